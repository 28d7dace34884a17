/** What every weight file is once its table of contents has been read: named tensors whose bytes can be read one by one. */
import {decodeFloats, bytesPerFloat, isFloatFormat} from './floats';

export interface StoredTensor {
  readonly name: string;
  /** What errors call the file it is in. */
  readonly file: string;
  /** Element type by its safetensors name. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Where in the file its bytes begin; reading in this order is fastest. */
  readonly position: number;
  /**
   * The elements, row by row, little-endian, in pieces of whole elements. A piece is valid until the next one is asked for.
   */
  pieces(): AsyncIterable<Uint8Array>;
  /** Whether this is known, unread, to be the same bytes as `other`. */
  isSameAs?(other: StoredTensor): boolean;
}

/** Bytes of an element of each type that files are known to hold. */
export const dtypeBytes: ReadonlyMap<string, number> = new Map([
  ...Object.entries(bytesPerFloat),
  ['F64', 8],
  ['I64', 8],
  ['I32', 4],
  ['I16', 2],
  ['I8', 1],
  ['U64', 8],
  ['U32', 4],
  ['U16', 2],
  ['U8', 1],
  ['BOOL', 1],
]);

/** Number of elements; undefined if that is more than a number can count exactly. */
export function countElements(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const size of shape) {
    if (size === 0) return 0;
    count *= size;
    if (count > Number.MAX_SAFE_INTEGER) count = Infinity;
  }
  return count === Infinity ? undefined : count;
}

/** Number of bytes, for a tensor whose table entry was found valid. */
export function byteLength(tensor: StoredTensor): number {
  return countElements(tensor.shape)! * dtypeBytes.get(tensor.dtype)!;
}

/** The whole tensor widened to float32. Its dtype must be F32, F16 or BF16. */
export async function readFloats(tensor: StoredTensor): Promise<Float32Array> {
  const {dtype, name, file, shape} = tensor;
  if (!isFloatFormat(dtype))
    throw new Error(`${file}: ${name} has dtype ${dtype}, where F32, F16 or BF16 was expected`);
  const values = new Float32Array(countElements(shape)!);
  let at = 0;
  for await (const piece of tensor.pieces()) {
    decodeFloats(dtype, piece, values, at);
    at += piece.length / bytesPerFloat[dtype];
  }
  return values;
}

/** The whole tensor as stored. */
export async function readBytes(tensor: StoredTensor): Promise<Uint8Array> {
  const bytes = new Uint8Array(byteLength(tensor));
  let at = 0;
  for await (const piece of tensor.pieces()) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
