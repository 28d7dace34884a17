/**
 * Checks of what a layer is given at a call: each error names the layer and the input, what was expected and what was given. Layers
 * check before the ops do, so that the error speaks of the layer that the user wrote.
 */
import * as tf from '@tensorflow/tfjs';
import {showShape} from '../ops/check';

/** What a tensor and a symbolic tensor have in common. */
type AnyTensor = tf.Tensor | tf.SymbolicTensor;

/** Layers are handed a tensor, or a list of them. */
export function toList<T>(value: T | T[]): T[] {
  return Array.isArray(value) ? value : [value];
}

/** Checks that it is a tensor, symbolic or not, of float32. */
export function checkFloatTensor(layer: string, name: string, tensor: AnyTensor | undefined | null): void {
  if (!(tensor instanceof tf.Tensor || tensor instanceof tf.SymbolicTensor)) {
    throw new Error(`${layer}: ${name} must be a tensor, but is ${tensor === null ? 'null' : typeof tensor}`);
  }
  if (tensor.dtype !== 'float32') {
    throw new Error(`${layer}: ${name} must have dtype float32, but has ${tensor.dtype}; toFloat() casts it`);
  }
}

/** Checks a shape's rank; `axes` says what each axis means, `hint` what to do. */
export function checkAxes(layer: string, name: string, shape: tf.Shape, axes: readonly string[], hint = ''): void {
  if (shape.length !== axes.length) {
    throw new Error(`${layer}: ${name} must have shape [${axes.join(', ')}], but has ${showShape(shape)}${hint}`);
  }
}

/**
 * Checks the last axis of a shape, and gives it back.
 *
 * @param built The last axis that the weights were made for, if they exist.
 */
export function checkChannels(layer: string, name: string, shape: tf.Shape, built?: number): number {
  const channels = shape[shape.length - 1];
  if (typeof channels !== 'number') {
    throw new Error(`${layer}: ${name} must have a known last axis, but has shape ${showShape(shape)}`);
  }
  if (shape.includes(0)) {
    throw new Error(`${layer}: ${name} must not be empty, but has shape ${showShape(shape)}`);
  }
  if (built !== undefined && channels !== built) {
    throw new Error(
      `${layer}: ${name} must have ${built} channels, as the layer was built for, but has shape ${showShape(shape)}`,
    );
  }
  return channels;
}

/** Checks a mask against the [batch, length, …] it is for. */
export function checkMask(layer: string, mask: tf.Tensor | undefined | null, x: tf.Tensor): void {
  const expected = x.shape.slice(0, 2);
  if (mask && !tf.util.arraysEqual(mask.shape, expected)) {
    throw new Error(
      `${layer}: mask must have shape [batch, length], ${showShape(expected)}, but has ${showShape(mask.shape)}`,
    );
  }
}

/**
 * Checks states, in their order.
 *
 * @param expected Name and shape of each; null where any size will do.
 */
export function checkStates(
  layer: string,
  states: readonly AnyTensor[],
  expected: ReadonlyArray<readonly [name: string, shape: ReadonlyArray<number | null>]>,
): void {
  states.forEach((state, i) => checkFloatTensor(layer, `the state ${expected[i]?.[0] ?? i}`, state));
  const fits = ({shape}: AnyTensor, i: number) => {
    const wanted = expected[i][1];
    return shape.length === wanted.length && shape.every((size, axis) => (wanted[axis] ?? size) === size);
  };
  if (states.length !== expected.length || !states.every(fits)) {
    const names = expected.map(([name]) => name).join(', ');
    const wanted = expected.map(([, [batch, ...rest]]) => showShape([batch ?? 'batch', ...rest])).join(' and ');
    const given = states.map(({shape}) => showShape(shape)).join(' and ');
    throw new Error(`${layer}: the states [${names}] must have shapes ${wanted}, but have ${given || 'none'}`);
  }
}
