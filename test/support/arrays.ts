/**
 * Numbers for the tests: float64 arrays whose every value is a float32, so that the reference and a backend are given exactly the
 * same inputs.
 */
import * as tf from '@tensorflow/tfjs';
import type {Array64} from '../../src/ops/float64';

export type {Array64};

/** Arrays by name: the inputs, outputs or gradients of an op. */
export type Arrays = Record<string, Array64>;

/** Numbers in [0, 1). */
export type Random = () => number;

/** A small generator with a good spread (mulberry32), the same on every machine. */
export function seededRandom(seed: number): Random {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}

/** An array whose values, rounded to float32, are given by their index. */
export function fill(shape: readonly number[], value: (index: number) => number): Array64 {
  return {shape: [...shape], values: Float64Array.from({length: sizeOf(shape)}, (_, i) => Math.fround(value(i)))};
}

export function uniform(random: Random, shape: readonly number[], low: number, high: number): Array64 {
  return fill(shape, () => low + (high - low) * random());
}

/** Standard normal numbers (Box-Muller). */
export function normal(random: Random, shape: readonly number[], scale = 1): Array64 {
  return fill(shape, () => scale * Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()));
}

/** An integer in [low, high]. */
export function integer(random: Random, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1));
}

/** The same values under another shape. */
export function reshaped({values}: Array64, shape: readonly number[]): Array64 {
  return {shape: [...shape], values};
}

/** Moves axis `order[i]` to place i. */
export function transposed({shape, values}: Array64, order: readonly number[]): Array64 {
  const strides = shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));
  const target = order.map((axis) => shape[axis]);
  const result = new Float64Array(values.length);
  for (let i = 0; i < result.length; i++) {
    let rest = i;
    let from = 0;
    for (let axis = order.length - 1; axis >= 0; axis--) {
      from += (rest % target[axis]) * strides[order[axis]];
      rest = Math.floor(rest / target[axis]);
    }
    result[i] = values[from];
  }
  return {shape: target, values: result};
}

export function toTensor({shape, values}: Array64): tf.Tensor {
  return tf.tensor(Float32Array.from(values), shape, 'float32');
}

/** Maps the values of a record, which keeps its keys. */
export function mapValues<T, R>(record: Record<string, T>, f: (value: T, key: string) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, f(value, key)]));
}

/** Reads tensors without blocking (a GPU backend has no other way) and disposes them. */
export async function readAndDispose(tensors: Record<string, tf.Tensor>): Promise<Arrays> {
  const read = await Promise.all(
    Object.entries(tensors).map(async ([name, tensor]) => {
      const array = {shape: tensor.shape, values: Float64Array.from(await tensor.data())};
      return [name, array] as const;
    }),
  );
  tf.dispose(tensors);
  return Object.fromEntries(read);
}
