// exp, softplus, sigmoid and silu on vectors.
//
// Errors against float64, measured by test/vector_math_test.cc over every 97th float32 of the range:
//   exp2Vec, expVec   at most 2 ulp  (exp2Vec's results below 2^-126 are 0 without AVX-512)
//   softplusVec, silu at most 4 ulp
// exp(0) is exactly 1 and the error of exp(x) vanishes with x: a state that should be held is held, and one that decays
// slowly over thousands of steps does not drift.
#pragma once

#include "simd.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

constexpr float kLog2e = 1.44269504088896341f;

// work(i) for each of S vectors. Long computations go step by step for all of them: the processor does not look far enough
// ahead to overlap one after the other.
template <int S, typename Work>
SIMD_INLINE void each(const Work &work) {
#pragma GCC unroll 16
  for (int i = 0; i < S; ++i) work(i);
}

// In this form a NaN stays one.
SIMD_INLINE Vec clamp(Vec x, float low, float high) {
#if defined(__AVX512F__)
  return (Vec)_mm512_min_ps((__m512)splat(high), _mm512_max_ps((__m512)splat(low), (__m512)x));
#else
  x = x < low ? splat(low) : x;
  return x > high ? splat(high) : x;
#endif
}

#if defined(__AVX512F__)
// 2^(j/16), which a permutation looks up; the rest of the exponent, |r| <= 1/32, then needs a third of the polynomial.
constexpr Vec kSixteenths = {1.0f,         1.04427373f, 1.09050775f, 1.13878858f, 1.18920708f, 1.24185777f,
                             1.29683959f,  1.35425556f, 1.41421354f, 1.47682619f, 1.54221082f, 1.61049032f,
                             1.68179286f,  1.75625217f, 1.8340081f,  1.91520655f};

constexpr float kToSixteenths = 786432.0f;  // 1.5 * 2^19: added, it leaves the last bit worth 1/16

// 2^(k + r), given k rounded to sixteenths by adding kToSixteenths, and with it still in.
SIMD_INLINE Vec exp2Sixteenths(Vec shifted, Vec k, Vec r) {
  const Vec power = (Vec)_mm512_permutexvar_ps((__m512i)shifted, (__m512)kSixteenths);
  const Vec q = (0.0555054098f * r + 0.240233555f) * r + 0.693147182f;
  return (Vec)_mm512_scalef_ps((__m512)(power + power * r * q), (__m512)k);  // times 2^floor(k)
}

SIMD_INLINE Vec exp2Vec(Vec x) {
  const Vec shifted = x + kToSixteenths;
  // x - k for what is not huge; of an infinite x it is 0, so that scalef makes it 0 or infinity.
  return exp2Sixteenths(shifted, shifted - kToSixteenths, (Vec)_mm512_reduce_ps((__m512)x, 0x40));
}

// x = exp2Vec(x) for S vectors.
template <int S>
SIMD_INLINE void exp2Each(Vec *x) {
  Vec shifted[S], r[S];
  each<S>([&](int i) { shifted[i] = x[i] + kToSixteenths, r[i] = (Vec)_mm512_reduce_ps((__m512)x[i], 0x40); });
  each<S>([&](int i) { x[i] = exp2Sixteenths(shifted[i], shifted[i] - kToSixteenths, r[i]); });
}

// log2(e) is multiplied by in two pieces, the first time without rounding: rounding x log2(e) would cost |x| ulps.
template <int S>
SIMD_INLINE void expEach(Vec *x) {
  Vec shifted[S], k[S];
  each<S>([&](int i) { x[i] = clamp(x[i], -105.0f, 89.0f); });
  each<S>([&](int i) { shifted[i] = x[i] * kLog2e + kToSixteenths; });
  each<S>([&](int i) { k[i] = shifted[i] - kToSixteenths; });
  each<S>([&](int i) {
    const Vec r = (Vec)_mm512_fmsub_ps((__m512)x[i], (__m512)splat(kLog2e), (__m512)k[i]);
    x[i] = r + x[i] * 1.92596303e-8f;
  });
  each<S>([&](int i) { x[i] = exp2Sixteenths(shifted[i], k[i], x[i]); });
}
SIMD_INLINE Vec expVec(Vec x) {
  expEach<1>(&x);
  return x;
}
#else
// 2^f - 1 = f q(f) on [-1/2, 1/2]; q is minimax for the relative error of 2^f (2e-9 before rounding).
SIMD_INLINE Vec exp2Fraction(Vec f) {
  Vec q = splat(1.5353362e-4f);
  q = q * f + 1.3398875e-3f;
  q = q * f + 9.618437e-3f;
  q = q * f + 5.5503324e-2f;
  q = q * f + 2.4022648e-1f;
  q = q * f + 6.9314718e-1f;
  return q * f + 1.0f;
}

// The nearest integer to x, |x| < 2^22.
SIMD_INLINE Vec nearest(Vec x) { return x + 12582912.0f - 12582912.0f; }

// v * 2^k for an integer k, |k| < 253, by halves, for 2^k itself may be no float.
SIMD_INLINE Vec scaleByPowerOf2(Vec v, Vec k) {
  const IVec whole = __builtin_convertvector(k, IVec), half = whole >> 1;
  return v * asFloat((half << 23) + 0x3f800000) * asFloat(((whole - half) << 23) + 0x3f800000);
}

// The power of two is added to the exponent of 2^f, which is below 1 where k is 128 but at 128 itself: the sum is a float
// as long as the result is, and infinity at 128. Below 2^-126, where it is anything, a mask makes it 0.
SIMD_INLINE Vec exp2Vec(Vec x) {
  const IVec small = x < -126.0f;
  x = x > 128.0f ? splat(128.0f) : x;  // in this form a NaN stays one
  const Vec shifted = x + 12582912.0f, k = shifted - 12582912.0f;  // the low bits of shifted are k
  return asFloat((asInt(exp2Fraction(x - k)) + (asInt(shifted) << 23)) & ~small);
}

template <int S>
SIMD_INLINE void exp2Each(Vec *x) {
  for (int i = 0; i < S; ++i) x[i] = exp2Vec(x[i]);
}

// e^x = 2^k 2^f. ln 2 is subtracted in two pieces, the first short enough for k * piece to be exact: multiplying x by
// log2(e) and rounding would cost |x| ulps.
SIMD_INLINE Vec expVec(Vec x) {
  x = clamp(x, -105.0f, 89.0f);
  const Vec k = nearest(x * kLog2e);
  const Vec rest = (x - k * 0.693359375f) - k * -2.12194440e-4f;
  return scaleByPowerOf2(exp2Fraction(rest * kLog2e), k);
}

template <int S>
SIMD_INLINE void expEach(Vec *x) {
  for (int i = 0; i < S; ++i) x[i] = expVec(x[i]);
}
#endif

SIMD_INLINE Vec sigmoid(Vec x) { return 1.0f / (1.0f + expVec(-x)); }
SIMD_INLINE Vec silu(Vec x) { return x * sigmoid(x); }

// The derivative of silu, sigma(x) (1 + x (1 - sigma(x))), given sigma(x).
SIMD_INLINE Vec siluGradient(Vec x, Vec sigma) { return sigma * (1.0f + x * (1.0f - sigma)); }

// log(1 + e^x) = max(x, 0) + log1p(e^-|x|), and log1p(e) = 2 atanh(e / (2 + e)): no cancellation anywhere, so tiny
// results for very negative x keep their full precision. Above 20 it is x itself, as PyTorch has it. Given e = e^-|x|.
template <int S>
SIMD_INLINE void softplusEach(Vec *x, const Vec *e) {
  Vec s[S], q[S], r[S];
  each<S>([&](int i) { s[i] = e[i] / (2.0f + e[i]); });
  each<S>([&](int i) { q[i] = s[i] * s[i]; });
  each<S>([&](int i) { r[i] = 0.24413069f * q[i] + 0.2139325f; });
  each<S>([&](int i) { r[i] = r[i] * q[i] + 0.28620723f; });
  each<S>([&](int i) { r[i] = r[i] * q[i] + 0.39998692f; });
  each<S>([&](int i) { r[i] = r[i] * q[i] + 0.6666668f; });
  each<S>([&](int i) { r[i] = r[i] * q[i] + 2.0f; });
  each<S>([&](int i) { x[i] = x[i] > 20.0f ? x[i] : maximum(x[i], Vec{}) + s[i] * r[i]; });
}
SIMD_INLINE Vec softplusVec(Vec x) {
  const Vec e = expVec(-absolute(x));
  softplusEach<1>(&x, &e);
  return x;
}

// Its derivative, sigma(x), given e = e^-|x|; 1 above 20, where it rounds to that.
SIMD_INLINE Vec softplusGradient(Vec x, Vec e) { return (x > 0.0f ? splat(1.0f) : e) / (1.0f + e); }

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
