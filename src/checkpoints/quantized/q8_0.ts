/**
 * GGUF's Q8_0 (ggml `quantize_row_q8_0_ref`): of every 32 values a half-precision scale, the largest of them over 127, and 32 signed bytes.
 * A value is divided by the scale *before* that is rounded to half precision, and halves are rounded away from zero.
 */
import {decodeFloats, encodeFloats, float16Limit} from '../floats';

/** Values of a block. */
export const Q8_0_VALUES = 32;
/** Bytes of a block. */
export const Q8_0_BYTES = 34;

/**
 * The blocks of values, whose number 32 divides.
 *
 * @throws Error if a value is none, or too large for a scale of half precision.
 */
export function quantizeQ8(values: Float32Array): Uint8Array {
  const count = values.length / Q8_0_VALUES;
  const blocks = new Uint8Array(count * Q8_0_BYTES);
  const integers = new Int8Array(blocks.buffer);
  const scales = new Float32Array(count);
  for (let block = 0; block < count; block++) {
    const at = block * Q8_0_VALUES;
    let largest = 0;
    for (let i = at; i < at + Q8_0_VALUES; i++) largest = Math.max(largest, Math.abs(values[i])); // NaN stays
    const scale = Math.fround(largest / 127);
    if (!(scale < float16Limit)) throw new Error(`holds ${largest}, which 8 bits with a scale cannot`);
    scales[block] = scale;
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale);
    const to = block * Q8_0_BYTES + 2;
    for (let i = 0; i < Q8_0_VALUES; i++) {
      const quotient = Math.fround(values[at + i] * inverse);
      integers[to + i] = Math.sign(quotient) * Math.floor(Math.abs(quotient) + 0.5);
    }
  }
  const halves = encodeFloats('F16', scales);
  for (let block = 0; block < count; block++) {
    blocks.set(halves.subarray(2 * block, 2 * block + 2), block * Q8_0_BYTES);
  }
  return blocks;
}

/** The scales of blocks, and their integers without gaps. */
export function splitQ8(blocks: Uint8Array): {scales: Float32Array; integers: Int8Array} {
  const count = blocks.length / Q8_0_BYTES;
  const halves = new Uint8Array(2 * count);
  const integers = new Int8Array(count * Q8_0_VALUES);
  const signed = new Int8Array(blocks.buffer, blocks.byteOffset, blocks.length);
  for (let block = 0; block < count; block++) {
    const at = block * Q8_0_BYTES;
    halves.set(blocks.subarray(at, at + 2), 2 * block);
    integers.set(signed.subarray(at + 2, at + Q8_0_BYTES), block * Q8_0_VALUES);
  }
  const scales = new Float32Array(count);
  decodeFloats('F16', halves, scales, 0);
  return {scales, integers};
}

/** The inverse of {@link splitQ8}; the scales are halves already. */
export function joinQ8({scales, integers}: {scales: Float32Array; integers: Int8Array}): Uint8Array {
  const blocks = new Uint8Array(scales.length * Q8_0_BYTES);
  const halves = encodeFloats('F16', scales);
  const unsigned = new Uint8Array(integers.buffer, integers.byteOffset, integers.length);
  for (let block = 0; block < scales.length; block++) {
    const at = block * Q8_0_BYTES;
    blocks.set(halves.subarray(2 * block, 2 * block + 2), at);
    blocks.set(unsigned.subarray(block * Q8_0_VALUES, (block + 1) * Q8_0_VALUES), at + 2);
  }
  return blocks;
}
