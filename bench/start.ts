/**
 * What random weights cost (`npm run bench -- start --backend <any>`): processor time of `mambaLM('mamba-130m')` beside that of filling
 * arrays of the same sizes, which have to be fetched from the system a page at a time as well; the page faults of both, and what of it a
 * number takes to draw.
 */
import * as tf from '@tensorflow/tfjs';
import {mambaLM} from '../src';
import {CHUNK, drawNormal, drawUniform, stateOf} from '../src/draw';
import {drawerWithSimd} from '../src/simdDraw';

interface Cost {
  /** Seconds of the process, user and system. */
  seconds: number;
  faults: number;
}

const ROUNDS = 5;
const NUMBERS = 2e7; // more than the allocator keeps

export function benchStart(): void {
  const models: Cost[] = [];
  const fills: Cost[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    let sizes: number[] = [];
    models.push(
      costOf(() => {
        const model = mambaLM('mamba-130m', {seed: 1});
        sizes = model.weights.map(({shape}) => tf.util.sizeFromShape(shape as number[]));
        model.dispose();
      }),
    );
    fills.push(costOf(() => sizes.map((size) => new Float32Array(size).fill(0.5))));
    const show = ({seconds, faults}: Cost) => `${seconds.toFixed(3)} s, ${faults} page faults`;
    console.log(`mambaLM('mamba-130m') ${show(models[round])}; its arrays filled ${show(fills[round])}`);
  }
  console.log(`at best ${(best(models) / best(fills)).toFixed(2)} times the time of filling`);
  const drawer = drawerWithSimd(stateOf(1))!;
  const again = (draw: () => unknown) => () => {
    for (let at = 0; at < NUMBERS; at += CHUNK) draw();
  };
  const parts: Record<string, () => unknown> = {
    'filling new memory': () => new Float32Array(NUMBERS).fill(0.5),
    'evenly spread, drawn': again(() => drawer.uniform(CHUNK, -1, 2 ** -22)),
    'evenly spread, drawn into new memory': () => drawUniform(NUMBERS, -1, 1, 1),
    'normal, drawn': again(() => drawer.normal(CHUNK, 1)),
    'normal, drawn into new memory': () => drawNormal(NUMBERS, 1, 1),
  };
  for (const [name, work] of Object.entries(parts)) {
    const costs = Array.from({length: ROUNDS}, () => costOf(work));
    console.log(`${name.padEnd(38)}${((1e9 * best(costs)) / NUMBERS).toFixed(2)} ns a number`);
  }
}

function costOf(work: () => unknown): Cost {
  const before = process.resourceUsage();
  work();
  const after = process.resourceUsage();
  const time = ({userCPUTime, systemCPUTime}: typeof before) => (userCPUTime + systemCPUTime) / 1e6;
  return {seconds: time(after) - time(before), faults: after.minorPageFault - before.minorPageFault};
}

function best(costs: readonly Cost[]): number {
  return Math.min(...costs.map(({seconds}) => seconds));
}
