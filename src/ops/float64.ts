/** The arrays of the float64 references. */

/** Row-major numbers with their shape. */
export interface Array64 {
  shape: number[];
  values: Float64Array;
}

export function zeros64(shape: readonly number[]): Array64 {
  return {shape: [...shape], values: new Float64Array(shape.reduce((a, b) => a * b, 1))};
}
