/** The losses of a round, kept beside the model as numbers and as a picture: `loss.json`, `loss.svg`. */
import {existsSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import type {LossPoint} from '../node';
import {writeWhole} from '../nodeStaging';
import {lossCurve} from '../training/lossCurve';

export interface Curve {
  readonly points: readonly LossPoint[];
  add(point: LossPoint): void;
  write(): Promise<void>;
}

/**
 * @param goesOn Whether the round is one that was stopped, so that it has losses already.
 * @param title What stands above the picture.
 */
export async function openCurve(folder: string, goesOn: boolean, title: string): Promise<Curve> {
  const file = `${folder}/loss.json`;
  const points: LossPoint[] =
    goesOn && existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as LossPoint[]) : [];
  return {
    points,
    add({step, loss}) {
      // Steps after the last checkpoint are done again.
      while (points.length > 0 && points.at(-1)!.step >= step) points.pop();
      points.push({step, loss});
    },
    async write() {
      if (points.length === 0) return;
      await writeWhole(file, JSON.stringify(points));
      await writeWhole(`${folder}/loss.svg`, lossCurve(points, {title}));
    },
  };
}

/** The curve in a line of a terminal: `4.19 ▇▅▃▂▁ 1.62`, each bar the mean of its part of the steps. */
export function sparkline(points: readonly LossPoint[], width = 40): string {
  if (points.length === 0) return '';
  const count = Math.min(width, points.length);
  const means = Array.from({length: count}, (_, i) => {
    const part = points.slice(Math.floor((i * points.length) / count), Math.floor(((i + 1) * points.length) / count));
    return part.reduce((sum, {loss}) => sum + loss, 0) / part.length;
  });
  const low = Math.min(...means);
  const span = Math.max(...means) - low || 1;
  const bars = means.map((mean) => '▁▂▃▄▅▆▇█'[Math.round((7 * (mean - low)) / span)]).join('');
  return `${points[0].loss.toFixed(2)} ${bars} ${points.at(-1)!.loss.toFixed(2)}`;
}
