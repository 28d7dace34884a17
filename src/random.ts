/**
 * Random numbers whose state can be saved, so that a training run can be resumed exactly: xoshiro128** 1.1 of Blackman and Vigna
 * (prng.di.unimi.it/xoshiro128starstar.c), seeded by splitmix64 as its authors advise. TensorFlow.js's own generator keeps its state
 * to itself.
 */

/** Four unsigned 32-bit words, not all zero. */
export type RandomState = [number, number, number, number];

export class Random {
  private readonly words: Uint32Array;

  /** @param seed A whole number of 0 or more, or a state to go on from. */
  constructor(seed: number | RandomState) {
    if (typeof seed === 'number') {
      this.words = fromSeed(seed);
    } else {
      this.words = Uint32Array.from(seed);
      if (this.words.length !== 4 || this.words.every((word) => word === 0)) {
        throw new Error(`random: the state must be four words, not all zero, but is [${seed.join(',')}]`);
      }
    }
  }

  /** A copy of the state: a generator made from it goes on exactly as this one. */
  get state(): RandomState {
    return [...this.words] as RandomState;
  }

  /** The next 32 bits. */
  uint32(): number {
    const s = this.words;
    const result = Math.imul(rotate(Math.imul(s[1], 5), 7), 9) >>> 0;
    const shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate(s[3], 11);
    return result;
  }

  /** A whole number from 0 to below `count`, at most 2^53, all equally likely. */
  below(count: number): number {
    const bits = 2 ** 53;
    const usable = bits - (bits % count); // beyond it the first numbers would come up once too often
    for (;;) {
      const drawn = (this.uint32() >>> 11) * 2 ** 32 + this.uint32();
      if (drawn < usable) return drawn % count;
    }
  }
}

/** Drawn at a time: enough to make a loop worth it, few enough for the fastest memory. */
const chunk = 4096;

/**
 * Numbers evenly spread between two: a generator's own, in a loop that runs at a few nanoseconds each.
 *
 * @param seed As that of {@link Random}; another every time if left out.
 */
export function drawUniform(count: number, low: number, high: number, seed?: number): Float32Array {
  const bits = new Bits(seed);
  const values = new Float32Array(count);
  const scale = (high - low) / 2 ** 32;
  for (let i = 0; i < count;) {
    const words = bits.next();
    const end = Math.min(count - i, chunk);
    for (let j = 0; j < end; j++) values[i++] = low + scale * (words[j] + 0.5);
  }
  return values;
}

/**
 * Numbers of a normal distribution of mean 0, by the ziggurat of Marsaglia and Tsang (2000) with the layer and the place in it from bits
 * of their own (Doornik 2005): for 99 of 100 a word, a comparison and a product.
 */
export function drawNormal(count: number, deviation: number, seed?: number): Float32Array {
  const {edges, ratios} = (ziggurat ??= makeZiggurat());
  const bits = new Bits(seed);
  const rare = new Random([...bits.next().subarray(0, 4)] as RandomState);
  const values = new Float32Array(count);
  for (let i = 0; i < count;) {
    const words = bits.next();
    for (let j = 0; j < chunk && i < count; j++) {
      const layer = words[j] & (layers - 1);
      const place = (words[j] >>> 7) * 2 ** -24 - (1 - 2 ** -25); // in (-1, 1), none of them 0
      if (Math.abs(place) < ratios[layer]) {
        values[i++] = deviation * place * edges[layer];
      } else {
        const x = layer === 0 ? Math.sign(place) * inTail(rare) : inWedge(edges, layer, place, rare);
        if (x !== undefined) values[i++] = deviation * x;
      }
    }
  }
  return values;
}

/** Layers of equal area under exp(-x²/2), and where the lowest ends and the tail begins. */
const layers = 128;
const tail = 3.442619855899;
const area = 9.91256303526217e-3;

/** Where the layers end, the lowest first, and which part of each lies wholly under the curve. */
let ziggurat: Record<'edges' | 'ratios', Float64Array> | undefined;

function makeZiggurat(): NonNullable<typeof ziggurat> {
  const edges = new Float64Array(layers + 1);
  edges[0] = area / density(tail); // of a rectangle with the area of the lowest layer and its tail
  edges[1] = tail;
  for (let i = 2; i < layers; i++) edges[i] = Math.sqrt(-2 * Math.log(area / edges[i - 1] + density(edges[i - 1])));
  return {edges, ratios: edges.map((edge, i) => edges[i + 1] / edge).subarray(0, layers)};
}

function density(x: number): number {
  return Math.exp(-0.5 * x * x);
}

/** A number in (0, 1). */
function unit(random: Random): number {
  return (random.uint32() + 0.5) * 2 ** -32;
}

function inTail(random: Random): number {
  for (;;) {
    const beyond = -Math.log(unit(random)) / tail;
    if (-2 * Math.log(unit(random)) > beyond * beyond) return tail + beyond;
  }
}

/** A place in the part of a layer that is not wholly under the curve; undefined where it is above. */
function inWedge(edges: Float64Array, layer: number, place: number, random: Random): number | undefined {
  const x = place * edges[layer];
  const [low, high] = [density(edges[layer]), density(edges[layer + 1])];
  return low + unit(random) * (high - low) < density(x) ? x : undefined;
}

/** The words of a generator, many at a time. */
class Bits {
  private readonly words = new Uint32Array(chunk);
  private state: RandomState;

  constructor(seed = Math.floor(Math.random() * 2 ** 32)) {
    this.state = [...fromSeed(seed)] as RandomState;
  }

  /** The next of them, in a memory that the next call writes to again. */
  next(): Uint32Array {
    const {words} = this;
    // As in Random#uint32, with the state in registers.
    let [a, b, c, d] = this.state;
    for (let i = 0; i < chunk; i++) {
      words[i] = Math.imul(rotate(Math.imul(b, 5), 7), 9);
      const shifted = b << 9;
      c ^= a;
      d ^= b;
      b ^= c;
      a ^= d;
      c ^= shifted;
      d = rotate(d, 11);
    }
    this.state = [a, b, c, d];
    return words;
  }
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** Two outputs of splitmix64, each as two words, the low one first. */
function fromSeed(seed: number): Uint32Array {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new Error(`random: seed must be a whole number of 0 or more, but is ${seed}`);
  }
  const words = new BigUint64Array(2);
  let state = BigInt(seed);
  for (let i = 0; i < words.length; i++) {
    state = BigInt.asUintN(64, state + 0x9e3779b97f4a7c15n);
    let z = state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    words[i] = z ^ (z >> 31n);
  }
  return Uint32Array.from([...words].flatMap((z) => [Number(z & 0xffffffffn), Number(z >> 32n)]));
}
