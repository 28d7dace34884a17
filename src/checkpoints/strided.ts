/** Views of a storage, as PyTorch has them: a shape and how far apart the elements of each axis lie. */
import {countElements} from './tensors';

/** Distance from the first element to the last; -1 if there is none. */
export function reach(shape: readonly number[], strides: readonly number[]): number {
  if (shape.includes(0)) return -1;
  return shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis], 0);
}

export function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/** Puts the elements of a view in order. */
export function gather(
  source: Uint8Array,
  itemBytes: number,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array {
  const out = new Uint8Array(countElements(shape)! * itemBytes);
  const index = shape.map(() => 0);
  let from = 0;
  for (let at = 0; at < out.length; at += itemBytes) {
    for (let i = 0; i < itemBytes; i++) out[at + i] = source[from * itemBytes + i]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
  return out;
}
