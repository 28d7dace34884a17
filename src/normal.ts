/**
 * The normal distribution in float32, by operations that IEEE rounds in one way only: see ./draw.ts. The inverse of its distribution is a
 * table of cubics, one for each eighth of an octave of the share that lies beyond, so that the tails are as fine as the middle.
 */

const {fround, LN2, SQRT1_2} = Math;

const OCTAVES = 31;
const PARTS = 8;
/** Where the cubics of the numbers from 1 on are, going by the bits of these as float32. */
const FIRST = 127 * PARTS;
const WIDTH = 2 ** 20;

const asFloat = new Float32Array(1);
const asBits = new Int32Array(asFloat.buffer);

let cubics: number[] | undefined;

/** The cubics for a normal distribution of mean 0: for each part of each octave the coefficients of 1, t, t² and t³, t in [0, 2^20). */
export function normalTable(deviation: number): Float32Array {
  cubics ??= makeCubics();
  return Float32Array.from(cubics, (coefficient) => coefficient * deviation);
}

/**
 * The number of a normal distribution that has u/2 of it beyond, on the side that the first bit says, u being an odd multiple of 2^-31:
 * the tails are exact to where 2^30 draws reach.
 */
export function normalOf(word: number, table: Float32Array): number {
  asFloat[0] = (word & 0x7fffffff) | 1;
  const bits = asBits[0];
  const at = 4 * ((bits >> 20) - FIRST);
  const t = bits & (WIDTH - 1);
  let y = table[at + 3];
  for (let power = 2; power >= 0; power--) y = fround(fround(y * t) + table[at + power]);
  return word >>> 31 ? -y : y;
}

/** Through four points of each part, its ends being two of them, so that nothing jumps. The last one is 0, for u = 1 alone. */
function makeCubics(): number[] {
  const values: number[] = [];
  for (let part = 0; part < OCTAVES * PARTS; part++) {
    const octave = 2 ** (Math.floor(part / PARTS) - OCTAVES);
    const [a, b, c, d] = [0, 1, 2, 3].map((third) => inverse(octave * (1 + ((part % PARTS) + third / 3) / PARTS)));
    values.push(
      a,
      (-11 * a + 18 * b - 9 * c + 2 * d) / 2 / WIDTH,
      (18 * a - 45 * b + 36 * c - 9 * d) / 2 / WIDTH ** 2,
      (-9 * a + 27 * b - 27 * c + 9 * d) / 2 / WIDTH ** 3,
    );
  }
  return [...values, 0, 0, 0, 0];
}

/**
 * How far out u/2 of the distribution lies beyond: M. Wichura, "Algorithm AS 241: The percentage points of the normal distribution" (1988),
 * PPND7, of one part in 10^7. Its last form, for shares below e^-25, is never reached.
 */
function inverse(u: number): number {
  const q = (1 - u) / 2;
  if (q <= 0.425) return q * ratio(central, 0.180625 - q * q);
  return ratio(tail, Math.sqrt(-log(u / 2)) - 1.6);
}

/** Numerator and denominator, the highest power first. */
const central = [
  [59.10937472, 159.29113202, 50.434271938, 3.3871327179],
  [67.1875636, 78.757757664, 17.895169469, 1],
];
const tail = [
  [0.17023821103, 1.3067284816, 2.75681539, 1.4234372777],
  [0.12021132975, 0.7370016425, 1],
];
const atanh = [2 / 9, 2 / 7, 2 / 5, 2 / 3, 2];

/** log x for x up to 1, as an exponent and 2·atanh of what is left: Math.log is not the same on every machine. */
function log(x: number): number {
  let exponent = 0;
  for (; x < SQRT1_2; x *= 2) exponent--;
  const s = (x - 1) / (x + 1);
  return exponent * LN2 + s * polynomial(atanh, s * s);
}

function ratio([above, below]: number[][], x: number): number {
  return polynomial(above, x) / polynomial(below, x);
}

function polynomial(coefficients: readonly number[], x: number): number {
  return coefficients.reduce((sum, coefficient) => sum * x + coefficient);
}
