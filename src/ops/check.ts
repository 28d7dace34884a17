/**
 * Argument checks shared by the ops: every wrong argument throws before any work, naming the op, the argument, what was expected
 * and what was given.
 */
import * as tf from '@tensorflow/tfjs';
import {valuesAreAtHand} from '../backends/traits';
import {didYouMean} from './suggest';

/** `[2,64,32]`; `[null,64,32]` where a size is open. */
export function showShape(shape: ReadonlyArray<number | string | null>): string {
  return `[${shape.map(String).join(',')}]`;
}

/** Takes a tensor, or what `tf.tensor` takes (nested arrays, typed arrays, numbers), and checks its type. */
export function toTensor(
  op: string,
  name: string,
  value: tf.Tensor | tf.TensorLike | undefined | null,
  dtype: 'float32' | 'int32' = 'float32',
): tf.Tensor {
  if (value === undefined || value === null) {
    throw new Error(`${op}: ${name} is missing`);
  }
  let tensor: tf.Tensor;
  if (value instanceof tf.Tensor) {
    tensor = value;
  } else {
    if (typeof value !== 'number' && !Array.isArray(value) && !ArrayBuffer.isView(value)) {
      throw new Error(`${op}: ${name} must be a tensor or an array of numbers, but is ${describe(value)}`);
    }
    if (!isRegular(value, shapeOf(value))) {
      throw new Error(`${op}: ${name} must be an array of numbers in rows of equal length, but is not`);
    }
    tensor = tf.tensor(value, undefined, dtype);
  }
  if (tensor.isDisposed) {
    throw new Error(`${op}: ${name} must be a tensor in use, but has been disposed`);
  }
  if (tensor.dtype !== dtype) {
    throw new Error(`${op}: ${name} must have dtype ${dtype}, but has ${tensor.dtype}`);
  }
  return tensor;
}

/** The shape of nested arrays, by their first items. */
function shapeOf(value: unknown): number[] {
  return Array.isArray(value) || ArrayBuffer.isView(value)
    ? [(value as unknown[]).length, ...shapeOf((value as unknown[])[0])]
    : [];
}

/** Whether nested arrays are numbers in that shape: `tf.tensor` takes others too, and makes something of them. */
function isRegular(value: unknown, shape: readonly number[]): boolean {
  if (shape.length === 0) {
    return typeof value === 'number';
  }
  if (ArrayBuffer.isView(value)) {
    return shape.length === 1 && (value as Float32Array).length === shape[0];
  }
  const [length, ...rest] = shape;
  return Array.isArray(value) && value.length === length && value.every((item) => isRegular(item, rest));
}

/** What an error says of a value: its type, and what it is if that is short; of a string, itself in quotes. */
export function describe(value: unknown): string {
  if (value === undefined || value === null) return String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  return typeof value === 'object' ? (value.constructor?.name ?? 'an object') : `${typeof value} ${String(value)}`;
}

/** Like toTensor, and leaves an absent argument undefined. */
export function toOptionalTensor(
  op: string,
  name: string,
  value: tf.Tensor | tf.TensorLike | undefined | null,
  dtype: 'float32' | 'int32' = 'float32',
): tf.Tensor | undefined {
  return value === undefined || value === null ? undefined : toTensor(op, name, value, dtype);
}

/** Checks the rank; `meaning` names the dimensions, e.g. `[batch, length, channels]`. */
export function checkRank(op: string, name: string, tensor: tf.Tensor, rank: number, meaning: string): void {
  if (tensor.rank !== rank) {
    throw new Error(`${op}: ${name} must have rank ${rank}, ${meaning}, but has shape ${showShape(tensor.shape)}`);
  }
}

/** Checks the shape against `expected`, which `meaning` explains, e.g. `the shape of u`. */
export function checkShape(
  op: string,
  name: string,
  tensor: tf.Tensor | undefined,
  expected: readonly number[],
  meaning: string,
): void {
  if (tensor !== undefined && !tf.util.arraysEqual(tensor.shape, expected as number[])) {
    throw new Error(`${op}: ${name} must have ${meaning}, ${showShape(expected)}, but has ${showShape(tensor.shape)}`);
  }
}

/** Checks that no dimension is zero: kernels have nothing to say about empty sequences. */
export function checkNotEmpty(op: string, name: string, tensor: tf.Tensor): void {
  if (tensor.size === 0) {
    throw new Error(`${op}: ${name} must not be empty, but has shape ${showShape(tensor.shape)}`);
  }
}

/** Checks a boolean option. */
export function checkBoolean(op: string, name: string, value: unknown): void {
  if (typeof value !== 'boolean') {
    throw new Error(`${op}: ${name} must be true or false, but is ${describe(value)}`);
  }
}

/** Checks a positive finite number, such as an epsilon. */
export function checkPositive(op: string, name: string, value: unknown): void {
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
    throw new Error(`${op}: ${name} must be a positive number, but is ${describe(value)}`);
  }
}

/** Checks an option that is one of a few words. */
export function checkOneOf(op: string, name: string, value: unknown, words: readonly string[]): void {
  if (!words.includes(value as string)) {
    throw new Error(`${op}: ${name} must be one of '${words.join("', '")}', but is ${describe(value)}`);
  }
}

/** Checks that an optional signal is an AbortSignal, of whatever realm or polyfill. */
export function checkSignal(op: string, signal: unknown): void {
  const {aborted, throwIfAborted} = (signal ?? {}) as Partial<AbortSignal>;
  if (signal !== undefined && (typeof aborted !== 'boolean' || typeof throwIfAborted !== 'function')) {
    throw new Error(`${op}: signal must be an AbortSignal, but is ${describe(signal)}`);
  }
}

/** Checks that an op's one argument is an object, and that it has no misspelled key, nor one by the name of `elsewhere`. */
export function checkKeys(
  op: string,
  args: unknown,
  keys: readonly string[],
  elsewhere?: Readonly<Record<string, string>>,
): void {
  if (typeof args !== 'object' || args === null || args instanceof tf.Tensor) {
    throw new Error(`${op}: the argument must be an object with ${keys.join(', ')}, but is ${describe(args)}`);
  }
  for (const key of Object.keys(args)) {
    if (!keys.includes(key)) {
      throw new Error(`${op}: unknown argument ${key}; expected ${keys.join(', ')}${didYouMean(key, keys, elsewhere)}`);
    }
  }
}

/** Checks that numbers which are to become integers are whole, where values can be read at once: a cast would cut 1.5 down to 1. */
export function checkWhole(op: string, name: string, tensor: tf.Tensor): void {
  if (!valuesAreAtHand()) {
    return;
  }
  for (const value of tensor.dataSync<'float32'>()) {
    if (!Number.isInteger(value)) {
      throw new Error(`${op}: ${name} must hold integers, but has ${value}`);
    }
  }
}

/** Checks that every integer lies in [0, end), or equals `ignored`, where values can be read at once. */
export function checkIndices(op: string, name: string, tensor: tf.Tensor, end: number, ignored?: number): void {
  if (!valuesAreAtHand()) {
    return;
  }
  if (tensor.dtype === 'float32') checkWhole(op, name, tensor);
  for (const value of tensor.dataSync<'int32'>()) {
    if ((value < 0 || value >= end) && value !== ignored) {
      const orIgnored = ignored === undefined ? '' : ` or equal ignoreIndex, ${ignored},`;
      throw new Error(`${op}: ${name} must lie in [0, ${end})${orIgnored} but has ${value}`);
    }
  }
}
