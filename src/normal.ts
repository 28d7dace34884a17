/** The normal distribution in float32, by operations that IEEE rounds in one way only: see ./draw.ts. */

const {fround} = Math;

const asFloat = new Float32Array(1);
const asBits = new Int32Array(asFloat.buffer);

/**
 * √2 times the number of a normal distribution that has u/2 of it beyond, on the side that the first bit says: the inverse of the error
 * function by M. Giles, "Approximating the erfinv function" (2010), its single precision form. As u keeps its digits where it is small,
 * the tails are exact to where 2^32 draws reach.
 */
export function normalOf(word: number): number {
  const u = fround(fround(fround(word & 0x7fffffff) + 0.5) * 2 ** -31);
  const w = -log(fround(u * fround(2 - u)));
  const y = w < 5 ? polynomial(central, fround(w - 2.5)) : polynomial(tail, fround(fround(Math.sqrt(w)) - 3));
  return (word >>> 31 ? -1 : 1) * fround(y * fround(1 - u));
}

const central = Float32Array.of(
  ...[2.81022636e-8, 3.43273939e-7, -3.5233877e-6, -4.39150654e-6, 0.00021858087],
  ...[-0.00125372503, -0.00417768164, 0.246640727, 1.50140941],
);
const tail = Float32Array.of(
  ...[-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773],
  ...[-0.0076224613, 0.00943887047, 1.00167406, 2.83297682],
);
const atanh = Float32Array.of(2 / 9, 2 / 7, 2 / 5, 2 / 3, 2);
const LN2 = fround(Math.LN2);

/** log x, as an exponent and 2·atanh of what is left. */
function log(x: number): number {
  asFloat[0] = x;
  const exponent = (asBits[0] - 0x3f2aaaab) >> 23;
  asBits[0] -= exponent << 23;
  const f = fround(asFloat[0] - 1);
  const s = fround(f / fround(f + 2));
  return fround(fround(exponent * LN2) + fround(s * polynomial(atanh, fround(s * s))));
}

function polynomial(coefficients: Float32Array, x: number): number {
  let sum = coefficients[0];
  for (let i = 1; i < coefficients.length; i++) sum = fround(fround(sum * x) + coefficients[i]);
  return sum;
}
