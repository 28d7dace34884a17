/**
 * GLSL functions that the kernels share. GPUs' own exp and log may be far from correctly rounded, and a state that decays over thousands
 * of steps adds such errors up: these are polynomials, as the SIMD kernels of wasm have them (custom-ops/wasm/functions.ts).
 */
export const functions = `
vec4 exp2Part(vec4 r) {
  return r * (0.693147182 + r * (0.240226492 + r * (5.55035733e-2 + r * (9.61823761e-3 + r * (1.33907353e-3 + r * 1.54035116e-4)))));
}
vec4 powerOf(ivec4 k) { return intBitsToFloat((k + 127) << 23); }
// v·2^x: what a decay close to 1 takes away keeps its digits, and so does what a strong one leaves. What 2^x has beyond the largest
// power of two is a factor of its own, so that the result overflows only if it is too large itself.
vec4 scaled(vec4 v, vec4 x) {
  vec4 held = clamp(x, -126., 254.);
  vec4 k = floor(held + 0.5);
  ivec4 whole = ivec4(k);
  ivec4 most = min(whole, 127);
  vec4 kept = vec4(greaterThanEqual(x, vec4(-126.)));
  return kept * powerOf(most) * (v + v * exp2Part(held - k)) * powerOf(whole - most);
}
float exact_exp(float x) {
  float held = clamp(x, -87., 88.);
  float k = floor(held * 1.44269504 + 0.5);
  float r = (held - k * 0.693359375) + k * 2.12194440e-4;
  float p = r + r * r * (0.49999997 + r * (0.166665062 + r * (4.16671447e-2 + r * (8.36907141e-3 + r * 1.38888648e-3))));
  return x < -87. ? 0. : intBitsToFloat((int(k) + 127) << 23) * (1. + p);
}
// log(1 + t) for t in [0, 1]
float log1p(float t) {
  float s = t / (2. + t);
  float w = s * s;
  return 2. * s * (1. + w * (0.333332092 + w * (0.200107634 + w * (0.140009031 + w * 0.140059933))));
}
float softplus(float x) { return max(x, 0.) + log1p(exact_exp(-abs(x))); }
float sigmoid(float x) {
  float e = exact_exp(-abs(x));
  return (x < 0. ? e : 1.) / (1. + e);
}
float silu(float x) { return x * sigmoid(x); }
float siluSlope(float x) {
  float s = sigmoid(x);
  return s * (1. + x * (1. - s));
}
const float LOG2E = 1.44269504;
const float LN2 = 0.693147182;
`;
