/**
 * Matrix products C = A·B + bias, with strides, so that a transposed operand is no slower: both are copied block by block into panels
 * that the inner loop reads in order (Goto & van de Geijn 2008). Sums are added up in blocks of DEPTH terms, which keeps them
 * accurate. TensorFlow.js's own product is as fast without transposed operands, and many times slower with them.
 */
import {VECTOR, addWide4, load4, narrow4, store4, sum4} from './vector';

/** Rows and columns of the tile that fits the sixteen vector registers: eight sums, two of B, one of A. */
const TILE_ROWS = 4;
const TILE_COLUMNS = 8;
/** Terms and columns of the block of B that stays in the second-level cache: 256 KB. */
const DEPTH = 256;
const COLUMNS = 256;
/** Columns that a product with few rows adds up at a time: 16 KB. */
const STRIP = 4096;

/**
 * A [rows, depth], B [depth, columns]; one stride of each, counted in elements, must be 1. C is dense; `bias` [columns] may be 0.
 * `scratch`: DEPTH·(COLUMNS + TILE_ROWS) floats.
 */
export function product(
  a: usize, aRow: i32, aColumn: i32, b: usize, bRow: i32, bColumn: i32, bias: usize, c: usize, scratch: usize,
  rows: i32, columns: i32, depth: i32,
): void {
  if (rows < TILE_ROWS) {
    fewRows(a, aRow, aColumn, b, bRow, bColumn, bias, c, scratch, rows, columns, depth);
    return;
  }
  const panelB = scratch;
  const panelA = panelB + ((DEPTH * COLUMNS) << 2);
  for (let j0 = 0; j0 < columns; j0 += COLUMNS) {
    const width = min(COLUMNS, columns - j0);
    for (let k0 = 0; k0 < depth; k0 += DEPTH) {
      const terms = min(DEPTH, depth - k0);
      const panelBytes = <usize>(terms * TILE_COLUMNS) << 2;
      for (let j = 0; j < width; j += TILE_COLUMNS) {
        const from = b + (<usize>(k0 * bRow + (j0 + j) * bColumn) << 2);
        const to = panelB + <usize>(j / TILE_COLUMNS) * panelBytes;
        pack(from, bColumn, bRow, to, 2 * VECTOR, width - j, terms);
        pack(from + (<usize>(4 * bColumn) << 2), bColumn, bRow, to + VECTOR, 2 * VECTOR, width - j - 4, terms);
      }
      for (let i = 0; i < rows; i += TILE_ROWS) {
        pack(a + (<usize>(i * aRow + k0 * aColumn) << 2), aRow, aColumn, panelA, VECTOR, rows - i, terms);
        for (let j = 0; j < width; j += TILE_COLUMNS) {
          const to = c + (<usize>(i * columns + j0 + j) << 2);
          const from = panelB + <usize>(j / TILE_COLUMNS) * panelBytes;
          const start = k0 ? 0 : bias ? bias + (<usize>(j0 + j) << 2) : 0;
          multiply(panelA, from, terms, to, columns, start, k0 === 0, rows - i, width - j);
        }
      }
    }
  }
}

/** Copies four lines, `lineStride` apart, side by side: the four values of one term are a vector. Lines that are not there are zero. */
function pack(from: usize, lineStride: i32, termStride: i32, to: usize, step: usize, count: i32, terms: i32): void {
  if (count <= 0) {
    for (let k = 0; k < terms; k++, to += step) v128.store(to, f32x4.splat(0));
    return;
  }
  if (lineStride === 1) {
    const next = <usize>termStride << 2;
    for (let k = 0; k < terms; k++, from += next, to += step) v128.store(to, load4(from, count));
    return;
  }
  const line = <usize>lineStride << 2;
  // Lines that are not there repeat the last one, and are cleared below.
  const line1 = from + (count > 1 ? line : 0);
  const line2 = count > 2 ? from + 2 * line : line1;
  const line3 = count > 3 ? from + 3 * line : line2;
  let k = 0;
  let at: usize = 0;
  const present = lanes(count);
  for (; k + 4 <= terms; k += 4, at += VECTOR, to += 4 * step) {
    const r0 = v128.load(from + at);
    const r1 = v128.load(line1 + at);
    const r2 = v128.load(line2 + at);
    const r3 = v128.load(line3 + at);
    const low01 = i32x4.shuffle(r0, r1, 0, 4, 1, 5);
    const low23 = i32x4.shuffle(r2, r3, 0, 4, 1, 5);
    const high01 = i32x4.shuffle(r0, r1, 2, 6, 3, 7);
    const high23 = i32x4.shuffle(r2, r3, 2, 6, 3, 7);
    v128.store(to, v128.and(i64x2.shuffle(low01, low23, 0, 2), present));
    v128.store(to + step, v128.and(i64x2.shuffle(low01, low23, 1, 3), present));
    v128.store(to + 2 * step, v128.and(i64x2.shuffle(high01, high23, 0, 2), present));
    v128.store(to + 3 * step, v128.and(i64x2.shuffle(high01, high23, 1, 3), present));
  }
  for (; k < terms; k++, at += 4, to += step) {
    let v = v128.load_zero<f32>(from + at);
    v = v128.load_lane<f32>(line1 + at, v, 1);
    v = v128.load_lane<f32>(line2 + at, v, 2);
    v = v128.load_lane<f32>(line3 + at, v, 3);
    v128.store(to, v128.and(v, present));
  }
}

/** All bits set in the first `count` lanes. */
function lanes(count: i32): v128 {
  return i32x4.gt_s(i32x4.splat(count), i32x4(0, 1, 2, 3));
}

/** One tile: the panels' product, added to C or, if it is the first block of terms, written there with the bias. */
function multiply(
  a: usize, b: usize, terms: i32, c: usize, columns: i32, bias: usize, first: bool, rows: i32, width: i32,
): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00, c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (let end = a + <usize>terms * VECTOR; a < end; a += VECTOR, b += 2 * VECTOR) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, VECTOR);
    const a0 = v128.load_splat<f32>(a);
    c00 = f32x4.add(c00, f32x4.mul(a0, b0));
    c01 = f32x4.add(c01, f32x4.mul(a0, b1));
    const a1 = v128.load_splat<f32>(a, 4);
    c10 = f32x4.add(c10, f32x4.mul(a1, b0));
    c11 = f32x4.add(c11, f32x4.mul(a1, b1));
    const a2 = v128.load_splat<f32>(a, 8);
    c20 = f32x4.add(c20, f32x4.mul(a2, b0));
    c21 = f32x4.add(c21, f32x4.mul(a2, b1));
    const a3 = v128.load_splat<f32>(a, 12);
    c30 = f32x4.add(c30, f32x4.mul(a3, b0));
    c31 = f32x4.add(c31, f32x4.mul(a3, b1));
  }
  const low = min(width, 4);
  const bias0 = bias ? load4(bias, low) : f32x4.splat(0);
  const bias1 = bias && width > 4 ? load4(bias + VECTOR, width - 4) : f32x4.splat(0);
  const row = <usize>columns << 2;
  finish(c, c00, c01, bias0, bias1, first, width);
  if (rows > 1) finish(c + row, c10, c11, bias0, bias1, first, width);
  if (rows > 2) finish(c + 2 * row, c20, c21, bias0, bias1, first, width);
  if (rows > 3) finish(c + 3 * row, c30, c31, bias0, bias1, first, width);
}

// @ts-ignore: decorator
@inline
function finish(c: usize, v0: v128, v1: v128, bias0: v128, bias1: v128, first: bool, width: i32): void {
  store4(c, f32x4.add(v0, first ? bias0 : load4(c, width)), width);
  if (width > 4) {
    store4(c + VECTOR, f32x4.add(v1, first ? bias1 : load4(c + VECTOR, width - 4)), width - 4);
  }
}

/** A product with few rows reads B once, in memory order: copying it would cost as much as the product. */
function fewRows(
  a: usize, aRow: i32, aColumn: i32, b: usize, bRow: i32, bColumn: i32, bias: usize, c: usize, scratch: usize,
  rows: i32, columns: i32, depth: i32,
): void {
  for (let i = 0; i < rows; i++) {
    const from = a + (<usize>(i * aRow) << 2);
    const to = c + (<usize>(i * columns) << 2);
    if (bColumn === 1) {
      addRows(from, aColumn, b, bRow, bias, to, scratch, columns, depth);
    } else {
      dotRows(from, aColumn, b, bColumn, bias, to, columns, depth);
    }
  }
}

/** c = bias + Σ_k a_k·B[k,:], for some columns at a time, that c and the sums of a block of terms stay in the first-level cache. */
function addRows(
  a: usize, aStride: i32, b: usize, bRow: i32, bias: usize, c: usize, sums: usize, columns: i32, depth: i32,
): void {
  const next = <usize>aStride << 2;
  const row = <usize>bRow << 2;
  for (let j0 = 0; j0 < columns; j0 += STRIP) {
    const bytes = <usize>min(STRIP, columns - j0) << 2;
    const at = <usize>j0 << 2;
    if (bias) {
      memory.copy(c + at, bias + at, bytes);
    } else {
      memory.fill(c + at, 0, bytes);
    }
    for (let k = 0; k < depth; k++) {
      if (k % DEPTH === 0) memory.fill(sums, 0, bytes);
      addScaled(v128.load_splat<f32>(a + <usize>k * next), b + at + <usize>k * row, sums, bytes);
      if (k % DEPTH === DEPTH - 1 || k === depth - 1) addScaled(f32x4.splat(1), sums, c + at, bytes);
    }
  }
}

/** to += factor·from. One row of B after the other, as they lie in memory: of several at once it gives half as many in the same time. */
function addScaled(factor: v128, from: usize, to: usize, bytes: usize): void {
  let i: usize = 0;
  for (; i + 4 * VECTOR <= bytes; i += 4 * VECTOR) {
    addFour(factor, from + i, to + i);
    addFour(factor, from + i + VECTOR, to + i + VECTOR);
    addFour(factor, from + i + 2 * VECTOR, to + i + 2 * VECTOR);
    addFour(factor, from + i + 3 * VECTOR, to + i + 3 * VECTOR);
  }
  for (; i < bytes; i += 4) {
    store<f32>(to + i, load<f32>(to + i) + f32x4.extract_lane(factor, 0) * load<f32>(from + i));
  }
}

// @ts-ignore: decorator
@inline
function addFour(factor: v128, from: usize, to: usize): void {
  v128.store(to, f32x4.add(v128.load(to), f32x4.mul(factor, v128.load(from))));
}

/** c_j = bias_j + a·B[:,j], where a column of B is contiguous. */
function dotRows(a: usize, aStride: i32, b: usize, bColumn: i32, bias: usize, c: usize, columns: i32, depth: i32): void {
  const column = <usize>bColumn << 2;
  for (let j = 0; j < columns; j++, b += column, c += 4) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let k = 0;
    if (aStride === 1) {
      for (; k + 8 <= depth; k += 8) {
        const at = <usize>k << 2;
        s0 = f32x4.add(s0, f32x4.mul(v128.load(a + at), v128.load(b + at)));
        s1 = f32x4.add(s1, f32x4.mul(v128.load(a + at, VECTOR), v128.load(b + at, VECTOR)));
      }
    }
    let sum = sum4(f32x4.add(s0, s1));
    for (; k < depth; k++) {
      sum += load<f32>(a + (<usize>(k * aStride) << 2)) * load<f32>(b + (<usize>k << 2));
    }
    store<f32>(c, bias ? sum + load<f32>(bias + (<usize>j << 2)) : sum);
  }
}

/** The sum of each column of x [rows, columns], in float64. `wide`: columns + 4 doubles. */
export function columnSums(x: usize, sums: usize, wide: usize, rows: i32, columns: i32): void {
  memory.fill(wide, 0, <usize>(columns + 4) << 3);
  for (let i = 0; i < rows; i++, x += <usize>columns << 2) {
    for (let j = 0; j < columns; j += 4) {
      addWide4(wide + (<usize>j << 3), load4(x + (<usize>j << 2), columns - j));
    }
  }
  for (let j = 0; j < columns; j += 4) {
    store4(sums + (<usize>j << 2), narrow4(wide + (<usize>j << 3)), columns - j);
  }
}
