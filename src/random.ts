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
    return nextWord(this.words);
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

/** The same things in another order, all orders equally likely (Fisher & Yates). */
export function shuffled<T>(things: readonly T[], random: Random): T[] {
  const result = [...things];
  for (let i = result.length - 1; i > 0; i--) {
    const j = random.below(i + 1);
    [result[i], result[j]] = [result[j], result[i]];
  }
  return result;
}

/** The next 32 bits of the generator with that state, which moves on. */
export function nextWord(state: Uint32Array): number {
  const result = Math.imul(rotate(Math.imul(state[1], 5), 7), 9) >>> 0;
  const shifted = state[1] << 9;
  state[2] ^= state[0];
  state[3] ^= state[1];
  state[1] ^= state[2];
  state[0] ^= state[3];
  state[2] ^= shifted;
  state[3] = rotate(state[3], 11);
  return result;
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

/** Two outputs of splitmix64, each as two words, the low one first. */
function fromSeed(seed: number): Uint32Array {
  checkSeed(seed);
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

export function checkSeed(seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new Error(`random: seed must be a whole number of 0 or more, but is ${seed}`);
  }
}
