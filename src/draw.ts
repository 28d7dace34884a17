/**
 * Random weights, many at a time. Four generators xoshiro128** side by side give a word each in turn, and every further operation is one
 * in float32 that IEEE rounds in one way only: so the numbers of a seed are the same bits on every machine, by one word after the other as
 * here, or by four at a time with SIMD (./simdDraw.ts), which is as fast as memory takes them.
 */
import * as tf from '@tensorflow/tfjs';
import {normalOf, normalTable} from './normal';
import {checkSeed, nextWord} from './random';

const {fround} = Math;

/** Numbers that are drawn at a time: few enough for the fastest memory. */
export const CHUNK = 4096;

/**
 * Draws the next numbers, up to {@link CHUNK} of them and that many but at the end, into a memory that it writes to again the next time:
 * evenly spread ones, low + scale · (k + ½) for k in [0, 2^23), or of a normal distribution of mean 0.
 */
interface Drawer {
  uniform(count: number, low: number, scale: number): Float32Array;
  normal(count: number, deviation: number): Float32Array;
}

/** Makes a drawer, where it can run. @param state Of all four generators: their first words, their second ones, and so on. */
export type MakeDrawer = (state: Uint32Array) => Drawer | undefined;

/** Makes a float32 tensor that `fill` writes where it is to lie; undefined where the backend's memory is not JavaScript's. */
export type Place = (shape: number[], fill: (values: Float32Array) => void) => tf.Tensor | undefined;

/** What numbers are drawn: evenly spread ones between two, or normal ones of mean 0. */
export type Spread = [low: number, high: number] | [deviation: number];

/** Draws a tensor elsewhere than in JavaScript; undefined where it cannot. */
export type DrawTensor = (shape: number[], spread: Spread, seed?: number) => tf.Tensor | undefined;

let makeFaster: MakeDrawer = () => undefined;
let place: Place = () => undefined;
let drawNatively: DrawTensor = () => undefined;

/** Brings in a faster form. */
export function offerDrawer(make: MakeDrawer, inPlace: Place): void {
  makeFaster = make;
  place = inPlace;
}

/** Brings in a form that takes no JavaScript. */
export function offerNativeDraw(draw: DrawTensor): void {
  drawNatively = draw;
}

/** A tensor of the numbers of {@link drawUniform}. */
export function uniformTensor(shape: number[], low: number, high: number, seed?: number): tf.Tensor {
  return drawNatively(shape, [low, high], seed) ?? filled(shape, (values) => fillUniform(values, low, high, seed));
}

/** A tensor of the numbers of {@link drawNormal}. */
export function normalTensor(shape: number[], deviation: number, seed?: number): tf.Tensor {
  return drawNatively(shape, [deviation], seed) ?? filled(shape, (values) => fillNormal(values, deviation, seed));
}

/** A float32 tensor that `fill` writes. */
export function filled(shape: number[], fill: (values: Float32Array) => void): tf.Tensor {
  const placed = place(shape, fill);
  if (placed) return placed;
  const values = new Float32Array(tf.util.sizeFromShape(shape));
  fill(values);
  return tf.tensor(values, shape);
}

/**
 * Numbers evenly spread between two.
 *
 * @param seed A whole number of 0 or more; another every time if left out.
 */
export function drawUniform(count: number, low: number, high: number, seed?: number): Float32Array {
  return fillUniform(new Float32Array(count), low, high, seed);
}

/** Numbers of a normal distribution of mean 0. */
export function drawNormal(count: number, deviation: number, seed?: number): Float32Array {
  return fillNormal(new Float32Array(count), deviation, seed);
}

/** The numbers of {@link drawUniform}, as many as there is room for. */
export function fillUniform(values: Float32Array, low: number, high: number, seed?: number): Float32Array {
  const state = stateOf(seed);
  const {uniform} = makeFaster(state) ?? {uniform: plainUniform(state)};
  return inChunks(values, (some) => uniform(some, low, (high - low) * 2 ** -23));
}

/** The numbers of {@link drawNormal}, as many as there is room for. */
export function fillNormal(values: Float32Array, deviation: number, seed?: number): Float32Array {
  const state = stateOf(seed);
  const {normal} = makeFaster(state) ?? {normal: plainNormal(state)};
  return inChunks(values, (some) => normal(some, deviation));
}

/** @internal The first states of the generators, by splitmix32: the seed in steps, mixed as in murmur3's 32-bit finish. */
export function stateOf(seed = Math.floor(Math.random() * 2 ** 32)): Uint32Array {
  checkSeed(seed);
  let counter = seed ^ (seed / 2 ** 32);
  return Uint32Array.from({length: 16}, () => {
    counter = (counter + 0x9e3779b9) | 0;
    const mixed = Math.imul(counter ^ (counter >>> 16), 0x85ebca6b);
    const twice = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
    return twice ^ (twice >>> 16);
  });
}

function inChunks(values: Float32Array, next: (count: number) => Float32Array): Float32Array {
  for (let at = 0; at < values.length; at += CHUNK) values.set(next(Math.min(CHUNK, values.length - at)), at);
  return values;
}

/** One number after the other. */
export function plainUniform(state: Uint32Array): Drawer['uniform'] {
  const draw = plainDraw(state);
  return (count, low, scale) => {
    const [from, by] = [fround(low), fround(scale)];
    return draw(count, (word) => from + fround(by * ((word >>> 9) + 0.5)));
  };
}

/** Likewise. */
export function plainNormal(state: Uint32Array): Drawer['normal'] {
  const draw = plainDraw(state);
  let table: Float32Array = new Float32Array();
  let tableOf: number | undefined;
  return (count, deviation) => {
    if (deviation !== tableOf) table = normalTable((tableOf = deviation));
    return draw(count, (word) => normalOf(word, table));
  };
}

function plainDraw(state: Uint32Array) {
  const values = new Float32Array(CHUNK);
  const lanes = [0, 1, 2, 3].map((lane) => Uint32Array.from([0, 4, 8, 12], (at) => state[at + lane]));
  return (count: number, number: (word: number) => number) => {
    // A generator at a time, so that its state stays at hand.
    lanes.forEach((lane, first) => {
      for (let i = first; i < count; i += 4) values[i] = number(nextWord(lane));
    });
    return values.subarray(0, count);
  };
}
