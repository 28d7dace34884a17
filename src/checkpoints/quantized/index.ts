/**
 * The quantised types of GGUF that are read, as ggml's `ggml-quants.c` dequantises them. A block's scales are in half precision; products
 * and sums are rounded to float32 in the order in which ggml takes them, so that the values agree bit for bit.
 */
import {decodeFloats} from '../floats';
import {Q8_0_BYTES, Q8_0_VALUES} from './q8_0';

/** One type. */
export interface QuantizedType {
  /** Values of a block. */
  values: number;
  /** Bytes of a block. */
  bytes: number;
  /** Writes the values of the block at `at` of `bytes` to `out` from `to` on. */
  decode(bytes: Uint8Array, at: number, out: Float32Array, to: number): void;
}

const f = Math.fround;
const half = new Float32Array(1);

/** The half-precision number at a place. */
function halfAt(bytes: Uint8Array, at: number): number {
  decodeFloats('F16', bytes.slice(at, at + 2), half, 0);
  return half[0];
}

/** A signed byte. */
const signed = (byte: number) => (byte << 24) >> 24;

const q8_0: QuantizedType = {
  values: Q8_0_VALUES,
  bytes: Q8_0_BYTES,
  decode(bytes, at, out, to) {
    const scale = halfAt(bytes, at);
    for (let i = 0; i < 32; i++) out[to + i] = scale * signed(bytes[at + 2 + i]);
  },
};

/** A half scale, then 16 bytes: of each the low four bits for the first half of the block and the high four for the second, less 8. */
const q4_0: QuantizedType = {
  values: 32,
  bytes: 18,
  decode(bytes, at, out, to) {
    const scale = halfAt(bytes, at);
    for (let i = 0; i < 16; i++) {
      const byte = bytes[at + 2 + i];
      out[to + i] = scale * ((byte & 15) - 8);
      out[to + 16 + i] = scale * ((byte >> 4) - 8);
    }
  },
};

/**
 * Half scale and half minimum of 256 values, 12 bytes with a scale and a minimum of six bits for each 32 of them, then the values of four
 * bits, two groups of 32 to 32 bytes.
 */
const q4_k: QuantizedType = {
  values: 256,
  bytes: 144,
  decode(bytes, at, out, to) {
    const [scale, least] = [halfAt(bytes, at), halfAt(bytes, at + 2)];
    for (let group = 0; group < 8; group++) {
      const [factor, offset] = scaleAndMinimum(bytes, at + 4, group);
      const [d, m] = [f(scale * factor), f(least * offset)];
      const from = at + 16 + 32 * (group >> 1);
      const shift = group & 1 ? 4 : 0;
      for (let i = 0; i < 32; i++) out[to + 32 * group + i] = f(d * ((bytes[from + i] >> shift) & 15)) - m;
    }
  },
};

/** ggml's `get_scale_min_k4`. */
function scaleAndMinimum(bytes: Uint8Array, at: number, group: number): [number, number] {
  const q = (i: number) => bytes[at + i];
  if (group < 4) return [q(group) & 63, q(group + 4) & 63];
  return [(q(group + 4) & 15) | ((q(group - 4) >> 6) << 4), (q(group + 4) >> 4) | ((q(group) >> 6) << 4)];
}

/** The low four bits of 256 values, their high two, a signed scale for each 16 of them, and a half scale for all. */
const q6_k: QuantizedType = {
  values: 256,
  bytes: 210,
  decode(bytes, at, out, to) {
    const scale = halfAt(bytes, at + 208);
    for (let i = 0; i < 256; i++) {
      const [part, rest] = [i >> 7, i & 127]; // two parts of 128, each four runs of 32
      const [run, k] = [rest >> 5, rest & 31];
      const low = bytes[at + 64 * part + 32 * (run & 1) + k] >> (run & 2 ? 4 : 0);
      const high = bytes[at + 128 + 32 * part + k] >> (2 * run);
      const integer = ((low & 15) | ((high & 3) << 4)) - 32;
      out[to + i] = f(scale * signed(bytes[at + 192 + (i >> 4)])) * integer;
    }
  },
};

/** By their names. */
export const quantizedTypes: Readonly<Record<string, QuantizedType>> = {Q8_0: q8_0, Q4_0: q4_0, Q4_K: q4_k, Q6_K: q6_k};

/** The values of whole blocks, put into `out` from index `to` on. */
export function decodeBlocks(
  {values, bytes, decode}: QuantizedType,
  blocks: Uint8Array,
  out: Float32Array,
  to: number,
): void {
  for (let at = 0; at < blocks.length; at += bytes, to += values) decode(blocks, at, out, to);
}
