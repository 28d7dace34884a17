/** The losses of a round, kept beside the model as numbers and as a picture: `loss.json`, `loss.svg`. */
import {existsSync} from 'node:fs';
import {readFile, writeFile} from 'node:fs/promises';
import type {LossPoint} from '../../src/node';
import {lossCurve} from '../../src/node';

export interface Curve {
  add(point: LossPoint): void;
  write(): Promise<void>;
}

/** @param goesOn Whether the round is one that was stopped, so that it has losses already. */
export async function openCurve(folder: string, goesOn: boolean): Promise<Curve> {
  const file = `${folder}/loss.json`;
  const points: LossPoint[] =
    goesOn && existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as LossPoint[]) : [];
  return {
    add({step, loss}) {
      // Steps after the last checkpoint are done again.
      while (points.length > 0 && points.at(-1)!.step >= step) points.pop();
      points.push({step, loss});
    },
    async write() {
      if (points.length === 0) return;
      await writeFile(file, JSON.stringify(points));
      await writeFile(`${folder}/loss.svg`, lossCurve(points, {title: 'nats per character, over steps'}));
    },
  };
}
