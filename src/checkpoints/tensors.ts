/** What every weight file is once its table of contents has been read: named tensors whose bytes can be read one by one. */
import {decodeFloats, bytesPerFloat, isFloatFormat} from './floats';
import {decodeBlocks, quantizedTypes} from './quantized';
import {quote} from './quote';

export interface StoredTensor {
  readonly name: string;
  /** What errors call the file it is in. */
  readonly file: string;
  /** Element type by its safetensors name, or the name of one of GGUF's quantised types. */
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

/**
 * Bytes of an element of each type that files are known to hold: those of safetensors. Only floats of 16 and 32 bits can be
 * a weight here; the others are known so that they can be refused by name.
 */
export const dtypeBytes: ReadonlyMap<string, number> = new Map([
  ...Object.entries(bytesPerFloat),
  ['C64', 8],
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
  ['F8_E4M3', 1],
  ['F8_E4M3FNUZ', 1],
  ['F8_E5M2', 1],
  ['F8_E5M2FNUZ', 1],
  ['F8_E8M0', 1],
  ['F6_E2M3', 0.75],
  ['F6_E3M2', 0.75],
  ['F4', 0.5],
]);

/** The largest published model has 1,000 tensors. */
const maxTensors = 65_536;
const maxNameLength = 1024;

/**
 * Bounds what a table of contents can cost before anything in it is looked at.
 *
 * @throws An error without the file's name.
 */
export function checkNames(names: readonly string[]): void {
  if (names.length > maxTensors)
    throw new Error(`${names.length} tensors are more than the ${maxTensors} of any model`);
  const long = names.find((name) => name.length > maxNameLength);
  if (long !== undefined) throw new Error(`tensor ${quote(long)} has a name of ${long.length} characters`);
}

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
export function byteLength({dtype, shape}: StoredTensor): number {
  const count = countElements(shape)!;
  const blocks = quantizedTypes[dtype];
  return blocks ? (count / blocks.values) * blocks.bytes : count * dtypeBytes.get(dtype)!;
}

/** Whether the values of such a tensor can be read as floats. */
export function isReadable(dtype: string): boolean {
  return isFloatFormat(dtype) || Object.hasOwn(quantizedTypes, dtype);
}

/** The whole tensor as float32. Its dtype must be F32, F16, BF16 or a quantised one. */
export async function readFloats(tensor: StoredTensor): Promise<Float32Array> {
  const {dtype, name, file, shape} = tensor;
  if (!isReadable(dtype)) throw new Error(`${file}: ${name} has dtype ${dtype}, where F32, F16 or BF16 was expected`);
  const values = new Float32Array(countElements(shape)!);
  if (!isFloatFormat(dtype)) {
    decodeBlocks(quantizedTypes[dtype], await readBytes(tensor), values, 0);
    return values;
  }
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
