/**
 * Products of a few rows with rows of signed bytes, which have a scale for each 32 of them: decoding with weights of 8 bits. The bytes are
 * widened as they are read, so that a weight takes a quarter of the memory's time.
 */
import {VECTOR, sum4} from './vector';

const GROUP = 32;

/** y [rows,out] = x [rows,width] times integers [out,width] times their scales [out,width/32], plus `bias` [out], which may be 0. */
export function packedProduct(
  x: usize, integers: usize, scales: usize, bias: usize, y: usize, rows: i32, out: i32, width: i32,
): void {
  const groups = width / GROUP;
  for (let o = 0; o < out; o++) {
    const row = integers + <usize>(o * width);
    const own = scales + (<usize>(o * groups) << 2);
    const start = bias ? load<f32>(bias + (<usize>o << 2)) : 0;
    for (let r = 0; r < rows; r++) {
      store<f32>(y + (<usize>(r * out + o) << 2), dot(x + (<usize>(r * width) << 2), row, own, groups) + start);
    }
  }
}

function dot(x: usize, integers: usize, scales: usize, groups: i32): f32 {
  let sum0 = f32x4.splat(0), sum1 = sum0;
  for (let g = 0; g < groups; g++) {
    const scale = v128.load_splat<f32>(scales + (<usize>g << 2));
    sum0 = f32x4.add(sum0, f32x4.mul(scale, sixteen(x, v128.load(integers))));
    sum1 = f32x4.add(sum1, f32x4.mul(scale, sixteen(x + 4 * VECTOR, v128.load(integers, VECTOR))));
    x += 8 * VECTOR;
    integers += 2 * VECTOR;
  }
  return sum4(f32x4.add(sum0, sum1));
}

/** The products of sixteen numbers and sixteen bytes, in four sums. */
// @ts-ignore: decorator
@inline
function sixteen(x: usize, bytes: v128): v128 {
  const low = i16x8.extend_low_i8x16_s(bytes);
  const high = i16x8.extend_high_i8x16_s(bytes);
  const a = f32x4.mul(v128.load(x), f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)));
  const b = f32x4.mul(v128.load(x, VECTOR), f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)));
  const c = f32x4.mul(v128.load(x, 2 * VECTOR), f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)));
  const d = f32x4.mul(v128.load(x, 3 * VECTOR), f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)));
  return f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
}
