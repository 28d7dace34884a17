/** Turning a matrix, as published files keep most of them. */

/** A row-major matrix transposed, in tiles that fit the cache. Bits are moved, not numbers, so that any NaN survives. */
export function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const from = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const to = new Uint32Array(values.length);
  const tile = 32;
  for (let r0 = 0; r0 < rows; r0 += tile) {
    const r1 = Math.min(rows, r0 + tile);
    for (let c0 = 0; c0 < columns; c0 += tile) {
      const c1 = Math.min(columns, c0 + tile);
      for (let c = c0; c < c1; c++) {
        for (let r = r0; r < r1; r++) to[c * rows + r] = from[r * columns + c]!;
      }
    }
  }
  return new Float32Array(to.buffer);
}
