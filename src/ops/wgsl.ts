/**
 * The scalar functions that several ops share, in WGSL, and reductions over a workgroup. WGSL promises little for log and near overflow,
 * so these never take an exponential that overflows, nor the logarithm of what is close to one.
 */

/** softplus as torch has it, with full precision for very negative x: max(x,0) + log1p(e^-|x|), log1p by its atanh series. */
export const softplusWgsl = `
fn softplus(x: f32) -> f32 {
  let e = exp(-abs(x));
  let s = e / (2.0 + e);
  let q = s * s;
  let series = 1.0 + q * (0.33333333 + q * (0.2 + q * (0.14285714 + q * (0.11111111 + q * (0.09090909 + q * 0.07692308)))));
  return select(max(x, 0.0) + 2.0 * s * series, x, x > 20.0);
}
`;

/** 1 / (1 + e^-x), and the slope of silu(x) = x·σ(x). */
export const sigmoidWgsl = `
fn sigmoid(x: f32) -> f32 {
  let e = exp(-abs(x));
  return select(e, 1.0, x >= 0.0) / (1.0 + e);
}
fn siluSlope(x: f32) -> f32 {
  let s = sigmoid(x);
  return s * (1.0 + x * (1.0 - s));
}
`;

/** e^x - 1 without cancellation. */
export const expm1Wgsl = `
fn expm1(x: f32) -> f32 {
  let series = x * (1.0 + x * (0.5 + x * (0.16666667 + x * (0.041666667 + x * (0.0083333333 + x * (0.0013888889 +
    x * 0.00019841270))))));
  return select(exp(x) - 1.0, series, abs(x) < 0.4);
}
`;

/** Combines two WGSL expressions. */
type Combine = (a: string, b: string) => string;

/**
 * `name(x, lane)`: x combined over a workgroup of `size` (16 times a power of two), in every invocation of it. Two steps of a fixed
 * order, not a tree: a barrier costs more than the few additions it would save. To be called by all invocations.
 */
export const reduceWgsl = (name: string, size: number, type: 'f32' | 'vec2f' | 'vec4f', combine: Combine) => `
var<workgroup> ${name}Parts: array<${type}, ${size}>;
fn ${name}(x: ${type}, lane: u32) -> ${type} {
  workgroupBarrier();
  ${name}Parts[lane] = x;
  workgroupBarrier();
  if (lane < 16u) {
    var part = x;
    for (var i = lane + 16u; i < ${size}u; i += 16u) { part = ${combine('part', `${name}Parts[i]`)}; }
    ${name}Parts[lane] = part;
  }
  workgroupBarrier();
  var whole = ${name}Parts[0];
  for (var i = 1u; i < 16u; i++) { whole = ${combine('whole', `${name}Parts[i]`)}; }
  return whole;
}
`;

const plus: Combine = (a, b) => `${a} + ${b}`;

/** `workgroupSum(x, lane)` of f32. */
export const workgroupSumWgsl = (size: number) => reduceWgsl('workgroupSum', size, 'f32', plus);

/** `workgroupSumOfPairs(x, lane)` of vec2f. */
export const workgroupSumOfPairsWgsl = (size: number) => reduceWgsl('workgroupSumOfPairs', size, 'vec2f', plus);

/** `workgroupSumOfQuads(x, lane)` of vec4f. */
export const workgroupSumOfQuadsWgsl = (size: number) => reduceWgsl('workgroupSumOfQuads', size, 'vec4f', plus);

/** `workgroupMax(x, lane)` of f32. */
export const workgroupMaxWgsl = (size: number) => reduceWgsl('workgroupMax', size, 'f32', (a, b) => `max(${a}, ${b})`);

/**
 * How many rows of few a workgroup takes along as it reads weights: all, rounded up to a power of two for the sake of few variants, but
 * `most` at most. One row alone has a variant of its own, in which nothing is in its way.
 */
export function rowsTogether(rows: number, most: number): number {
  return Math.min(2 ** Math.ceil(Math.log2(rows)), most);
}

/** One piece of code for each of the rows. */
export const forRows = (rows: number, code: (r: number) => string) =>
  Array.from({length: rows}, (_, r) => code(r)).join('\n    ');

/** The four signed bytes of a word, the lowest first. */
export const fourIntegers = `fn fourOf(word: i32) -> vec4<f32> {
  return vec4<f32>(vec4<i32>(
    extractBits(word, 0u, 8u), extractBits(word, 8u, 8u), extractBits(word, 16u, 8u), extractBits(word, 24u, 8u)));
}`;
