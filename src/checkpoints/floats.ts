/**
 * The float formats of checkpoints, from and to float32. All conversions work on bit patterns: that is exact for NaN
 * payloads and subnormals, and needs no Float16Array, which is younger than the browsers this runs in. Files are
 * little-endian, as is every machine that TensorFlow.js runs on.
 */

/** The formats weights may be stored in, by their safetensors names. */
export type FloatFormat = 'F32' | 'F16' | 'BF16';

export const bytesPerFloat: Record<FloatFormat, number> = {F32: 4, F16: 2, BF16: 2};

export function isFloatFormat(format: string): format is FloatFormat {
  return Object.hasOwn(bytesPerFloat, format);
}

/** Widens stored floats to float32 and puts them into `out` from index `at` on. */
export function decodeFloats(format: FloatFormat, bytes: Uint8Array, out: Float32Array, at: number): void {
  const bits = new Uint32Array(out.buffer, out.byteOffset, out.length);
  if (format === 'F32') {
    const source = aligned(bytes, 4);
    bits.set(new Uint32Array(source.buffer, source.byteOffset, bytes.length / 4), at);
    return;
  }
  const source = aligned(bytes, 2);
  const halves = new Uint16Array(source.buffer, source.byteOffset, bytes.length / 2);
  if (format === 'BF16') {
    for (let i = 0; i < halves.length; i++) bits[at + i] = halves[i] << 16;
    return;
  }
  float16Bits ??= Uint32Array.from({length: 65536}, (_, half) => widenFloat16(half));
  for (let i = 0; i < halves.length; i++) bits[at + i] = float16Bits[halves[i]]!;
}

/** Rounds float32 to the stored format, to nearest, ties to even, as PyTorch does. */
export function encodeFloats(format: FloatFormat, values: Float32Array): Uint8Array {
  if (format === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const halves = new Uint16Array(values.length);
  const narrow = format === 'F16' ? narrowToFloat16 : narrowToBFloat16;
  for (let i = 0; i < bits.length; i++) halves[i] = narrow(bits[i]);
  return new Uint8Array(halves.buffer);
}

/** Largest magnitude that float16 holds once rounded: what lies above becomes infinite. */
export const float16Limit = 65520;

let float16Bits: Uint32Array | undefined;

function widenFloat16(half: number): number {
  const sign = (half & 0x8000) << 16;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (fraction << 13)) >>> 0;
  if (exponent !== 0) return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
  if (fraction === 0) return sign >>> 0;
  // Subnormal, fraction · 2^-24: move the leading one to where it is implied.
  const shift = Math.clz32(fraction) - 21;
  return (sign | ((113 - shift) << 23) | (((fraction << shift) & 0x3ff) << 13)) >>> 0;
}

function narrowToFloat16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7c00 | ((magnitude >>> 13) & 0x3ff || 0x200); // NaN stays one
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65536 and above
  if (magnitude >= 0x38800000) {
    // Normal; the carry of the rounding may go on into the exponent, up to infinity.
    return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  if (magnitude < 0x33000000) return sign; // below half of the smallest subnormal
  const shift = 126 - (magnitude >>> 23);
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const half = 1 << (shift - 1);
  const quotient = significand >>> shift;
  return sign | ((significand + half - 1 + (quotient & 1)) >>> shift);
}

function narrowToBFloat16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return (bits >>> 16) | ((bits >>> 16) & 0x7f ? 0 : 0x40);
  return (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

/** Typed arrays must start at a multiple of their element size. (A Buffer's `slice` would copy nothing.) */
function aligned(bytes: Uint8Array, size: number): Uint8Array {
  return bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
}
