/** From logits to a token: the usual ways to narrow a distribution and to draw from it, in the order Hugging Face applies them. */

import {show} from '../mixers/fields';

/** How the next token is chosen. */
export interface SamplingOptions {
  /** Divides the logits; 0 takes the likeliest token (1). */
  temperature?: number;
  /** Keeps this many of the likeliest tokens (all). */
  topK?: number;
  /** Keeps the smallest set of likeliest tokens whose probabilities reach this sum (1). */
  topP?: number;
  /** Keeps tokens at least this fraction as likely as the likeliest (0). */
  minP?: number;
  /** Above 1 makes tokens that have occurred less likely (1); Keskar et al. 2019. */
  repetitionPenalty?: number;
}

const ranges: Record<keyof Required<SamplingOptions>, {holds: (x: number) => boolean; expected: string}> = {
  temperature: {holds: (x) => x >= 0 && x < Infinity, expected: 'a number of 0 or more'},
  topK: {holds: (x) => Number.isInteger(x) && x >= 1, expected: 'a positive integer'},
  topP: {holds: (x) => x > 0 && x <= 1, expected: 'a number above 0 and up to 1'},
  minP: {holds: (x) => x >= 0 && x <= 1, expected: 'a number from 0 to 1'},
  repetitionPenalty: {holds: (x) => x > 0 && x < Infinity, expected: 'a positive number'},
};

/** @throws Error naming the option that is out of range. */
export function checkSampling(op: string, options: SamplingOptions): void {
  for (const [name, {holds, expected}] of Object.entries(ranges)) {
    const value = options[name as keyof SamplingOptions];
    if (value !== undefined && (typeof value !== 'number' || !holds(value))) {
      throw new Error(`${op}: ${name} must be ${expected}, but is ${show(value)}`);
    }
  }
}

/** ln Σ exp of the logits. */
export function logSumExp(logits: ArrayLike<number>): number {
  let largest = -Infinity;
  for (let i = 0; i < logits.length; i++) {
    if (logits[i] > largest) largest = logits[i];
  }
  let sum = 0;
  for (let i = 0; i < logits.length; i++) {
    sum += Math.exp(logits[i] - largest);
  }
  return largest + Math.log(sum);
}

/**
 * Chooses a token.
 *
 * @param logits One per token; not changed.
 * @param seen Tokens that have occurred, for the repetition penalty.
 * @param random A number from 0 to below 1.
 */
export function sampleToken(
  logits: Float32Array,
  options: SamplingOptions,
  seen: ReadonlySet<number>,
  random: () => number,
): number {
  const {temperature = 1, topK, repetitionPenalty = 1} = options;
  const scores = repetitionPenalty === 1 ? logits : penalized(logits, seen, repetitionPenalty);
  if (temperature === 0) {
    return likeliest(scores);
  }
  let candidates = everyToken(scores, temperature);
  if (topK !== undefined && topK < candidates.ids.length) {
    const threshold = kthLargest(candidates.weights, topK);
    candidates = likeliestFirst(keep(candidates, threshold), topK);
  }
  return drawAmong(candidates, options, random);
}

/** How many of the likeliest tokens say what `sampleToken` would choose; undefined if it has to see all. */
export function neededTokens({temperature = 1, topK, repetitionPenalty = 1}: SamplingOptions): number | undefined {
  if (repetitionPenalty !== 1) return undefined;
  return temperature === 0 ? 1 : topK;
}

/**
 * Chooses as `sampleToken` does, from as many of the likeliest tokens as {@link neededTokens} says.
 *
 * @param ids By falling logit, equal ones by rising id.
 * @param logits One for each of them.
 */
export function sampleTop(
  ids: Int32Array,
  logits: Float32Array,
  options: SamplingOptions,
  random: () => number,
): number {
  const {temperature = 1} = options;
  if (temperature === 0) return ids[0];
  const weights = Float64Array.from(ids, (_, i) => Math.exp((logits[i] - logits[0]) / temperature));
  return drawAmong({ids, weights}, options, random);
}

function drawAmong(candidates: Candidates, {topP = 1, minP = 0}: SamplingOptions, random: () => number): number {
  const likely = topP < 1 ? nucleus(candidates, topP) : candidates;
  return draw(minP > 0 ? keep(likely, minP) : likely, random()); // the likeliest token has weight 1
}

/** Tokens with their probabilities up to a common factor. */
interface Candidates {
  ids: Int32Array;
  weights: Float64Array;
}

function penalized(logits: Float32Array, seen: ReadonlySet<number>, penalty: number): Float32Array {
  const scores = logits.slice();
  for (const id of seen) {
    scores[id] = scores[id] > 0 ? scores[id] / penalty : scores[id] * penalty;
  }
  return scores;
}

function likeliest(scores: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < scores.length; i++) {
    if (scores[i] > scores[best]) best = i;
  }
  return best;
}

/** Every token, the likeliest with weight 1. */
function everyToken(scores: Float32Array, temperature: number): Candidates {
  const largest = scores[likeliest(scores)];
  const ids = new Int32Array(scores.length);
  const weights = new Float64Array(scores.length);
  for (let id = 0; id < scores.length; id++) {
    ids[id] = id;
    weights[id] = Math.exp((scores[id] - largest) / temperature);
  }
  return {ids, weights};
}

function keep({ids, weights}: Candidates, threshold: number): Candidates {
  const kept: number[] = [];
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] >= threshold) kept.push(i);
  }
  return pick({ids, weights}, kept);
}

function pick({ids, weights}: Candidates, places: number[]): Candidates {
  const picked = {ids: new Int32Array(places.length), weights: new Float64Array(places.length)};
  places.forEach((place, i) => {
    picked.ids[i] = ids[place];
    picked.weights[i] = weights[place];
  });
  return picked;
}

/** The first `count` by falling weight, equal ones by place, so that the result never depends on a sort's whims. */
function likeliestFirst(candidates: Candidates, count = Infinity): Candidates {
  const {weights} = candidates;
  const places = Array.from(weights, (_, i) => i).sort((a, b) => weights[b] - weights[a] || a - b);
  return pick(candidates, places.slice(0, count));
}

/** Only tokens with more than (1 − topP)/V of the sum can belong, as those below have at most 1 − topP together: few need sorting. */
function nucleus(candidates: Candidates, topP: number): Candidates {
  const total = candidates.weights.reduce((a, b) => a + b, 0);
  const sorted = likeliestFirst(keep(candidates, (total * (1 - topP)) / candidates.weights.length));
  let sum = 0;
  const count = sorted.weights.findIndex((weight) => (sum += weight) >= topP * total);
  return count < 0
    ? sorted
    : pick(
        sorted,
        Array.from({length: count + 1}, (_, i) => i),
      );
}

/** The k-th largest value, by a heap of the k largest so far: no sort of a whole vocabulary. */
function kthLargest(values: Float64Array, k: number): number {
  const heap = new Float64Array(k).fill(-Infinity); // the smallest on top
  for (const value of values) {
    if (value <= heap[0]) continue;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child + 1 < k && heap[child + 1] < heap[child]) child++;
      if (child >= k || heap[child] >= value) break;
      heap[place] = heap[child];
      place = child;
    }
    heap[place] = value;
  }
  return heap[0];
}

function draw({ids, weights}: Candidates, random: number): number {
  let left = random * weights.reduce((a, b) => a + b, 0);
  for (let i = 0; i < weights.length; i++) {
    left -= weights[i];
    if (left < 0) return ids[i];
  }
  return ids[weights.length - 1]; // rounding
}
