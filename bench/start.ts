/**
 * What random weights cost (`npm run bench -- start --backend <any>`): processor time and time of the clock of `mambaLM('mamba-130m')` beside
 * those of filling arrays of the same sizes, whose pages are new each time, and tensors of them on the same backend, which may use memory
 * again, as models after the first do; the page faults of each, and what of it a number takes to draw in JavaScript.
 */
import * as tf from '@tensorflow/tfjs';
import {mambaLM} from '../src';
import {uploadNow} from '../src/backends/traits';
import {CHUNK, drawNormal, drawUniform, stateOf} from '../src/draw';
import {drawerWithSimd} from '../src/simdDraw';

interface Cost {
  /** Seconds of the process, user and system. */
  seconds: number;
  clock: number;
  faults: number;
}

const ROUNDS = 5;
const NUMBERS = 2e7; // more than the allocator keeps

export function benchStart(): void {
  const costs: Record<'models' | 'arrays' | 'tensors', Cost[]> = {models: [], arrays: [], tensors: []};
  for (let round = 0; round < ROUNDS; round++) {
    let shapes: number[][] = [];
    costs.models.push(
      costOf(() => {
        const model = mambaLM('mamba-130m', {seed: 1});
        model.weights.forEach((weight) => uploadNow(weight.read()));
        shapes = model.weights.map(({shape}) => shape as number[]);
        model.dispose();
      }),
    );
    costs.arrays.push(costOf(() => shapes.map((shape) => new Float32Array(tf.util.sizeFromShape(shape)).fill(0.5))));
    costs.tensors.push(
      costOf(() => {
        const filled = shapes.map((shape) => tf.fill(shape, 0.5));
        filled.forEach(uploadNow);
        tf.dispose(filled);
      }),
    );
    const show = (of: Cost[]) => {
      const {seconds, clock, faults} = of[round];
      return `${seconds.toFixed(3)} s, ${clock.toFixed(3)} by the clock, ${faults} page faults`;
    };
    console.log(`mambaLM('mamba-130m')  ${show(costs.models)}`);
    console.log(`its arrays filled      ${show(costs.arrays)}`);
    console.log(`its tensors filled     ${show(costs.tensors)}`);
  }
  const {models, arrays, tensors} = costs;
  const ratio = (a: number, b: number) => (a / b).toFixed(2);
  console.log(
    `the first model ${ratio(models[0].seconds, arrays[0].seconds)} times the time of filling the first arrays, at best ` +
      `${ratio(best(models), best(arrays))} that of filling arrays, ${ratio(best(models), best(tensors))} that of filling tensors`,
  );
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
  const start = performance.now();
  work();
  const clock = (performance.now() - start) / 1000;
  const after = process.resourceUsage();
  const time = ({userCPUTime, systemCPUTime}: typeof before) => (userCPUTime + systemCPUTime) / 1e6;
  return {seconds: time(after) - time(before), clock, faults: after.minorPageFault - before.minorPageFault};
}

function best(costs: readonly Cost[]): number {
  return Math.min(...costs.map(({seconds}) => seconds));
}
