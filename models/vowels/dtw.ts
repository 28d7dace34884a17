/**
 * The nearest neighbour by dynamic time warping (Sakoe & Chiba 1978), the usual yardstick of this data: the series of the training part that
 * differs least once both are stretched to fit. No band, all channels warped together (DTW_D).
 */
import type {Series} from './series';

/** The sum of squared differences along the best path through both. */
export function dtw(a: readonly Float32Array[], b: readonly Float32Array[], bound = Infinity): number {
  const [rows, columns] = [a[0].length, b[0].length];
  let above = new Float64Array(columns + 1).fill(Infinity);
  let row = new Float64Array(columns + 1);
  above[0] = 0;
  for (let i = 0; i < rows; i++) {
    row[0] = Infinity;
    let least = Infinity;
    for (let j = 0; j < columns; j++) {
      let difference = 0;
      for (let channel = 0; channel < a.length; channel++) difference += (a[channel][i] - b[channel][j]) ** 2;
      const cost = difference + Math.min(above[j], above[j + 1], row[j]);
      row[j + 1] = cost;
      if (cost < least) least = cost;
    }
    if (least >= bound) return Infinity;
    [above, row] = [row, above];
  }
  return above[columns];
}

/** The label of the nearest of the training part. */
export function nearest(series: Series, training: readonly Series[]): number {
  let [best, label] = [Infinity, -1];
  for (const known of training) {
    const distance = dtw(series.channels, known.channels, best);
    if (distance < best) [best, label] = [distance, known.label];
  }
  return label;
}
