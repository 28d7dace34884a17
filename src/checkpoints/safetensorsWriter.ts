/**
 * Writes safetensors files as a stream: the layout is known before the first value, so no more than one tensor is ever in
 * memory.
 */
import {pieceBytes} from './bytes';
import {bytesPerFloat, encodeFloats, type FloatFormat} from './floats';

/** A tensor to be written; `read` is called when its turn comes. What gives bytes is stored as them, as U8 of the shape given. */
export type TensorToWrite = {name: string; shape: readonly number[]} & (
  {isBytes?: false; read(): Promise<Float32Array>} | {isBytes: true; read(): Promise<Uint8Array>}
);

type Place = Pick<TensorToWrite, 'name' | 'shape' | 'isBytes'>;

/** Number of bytes that a tensor takes. */
export function tensorBytes({shape, isBytes}: Omit<Place, 'name'>, format: FloatFormat): number {
  return isBytes ? shape.reduce((a, b) => a * b, 1) : storedBytes(shape, format);
}

/** Number of bytes that a tensor of this shape takes. */
export function storedBytes(shape: readonly number[], format: FloatFormat): number {
  return shape.reduce((a, b) => a * b, 1) * bytesPerFloat[format];
}

/**
 * The header, with the eight bytes of its length, padded so that the tensors begin at a multiple of eight.
 *
 * @param metadata What the file says of itself; of weights, the "format" that Hugging Face's readers ask for.
 */
export function safetensorsHeader(
  tensors: readonly Place[],
  format: FloatFormat,
  metadata: Record<string, string> = {format: 'pt'},
): Uint8Array<ArrayBuffer> {
  // As a map, because a tensor may be called __proto__.
  const header = new Map<string, unknown>([['__metadata__', metadata]]);
  let offset = 0;
  for (const {name, shape, isBytes} of tensors) {
    const end = offset + tensorBytes({shape, isBytes}, format);
    if (header.has(name)) throw new Error(`safetensors: tensor ${name} was given twice`);
    header.set(name, {dtype: isBytes ? 'U8' : format, shape, data_offsets: [offset, end]});
    offset = end;
  }
  const members = Array.from(header, ([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`);
  const text = new TextEncoder().encode(`{${members.join(',')}}`);
  const length = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, 8);
  return bytes;
}

/** The file, piece by piece. */
export async function* safetensorsPieces(
  tensors: readonly TensorToWrite[],
  format: FloatFormat,
): AsyncGenerator<Uint8Array> {
  yield safetensorsHeader(tensors, format);
  for (const {name, shape, isBytes, read} of tensors) {
    const values = await read();
    const count = shape.reduce((a, b) => a * b, 1);
    if (values.length !== count) {
      throw new Error(
        `safetensors: tensor ${name} of shape [${shape}] has ${count} values, but ${values.length} were given`,
      );
    }
    const step = pieceBytes / 4;
    for (let at = 0; at < values.length; at += step) {
      const piece = values.subarray(at, at + step);
      yield isBytes ? (piece as Uint8Array) : encodeFloats(format, piece as Float32Array);
    }
  }
}
