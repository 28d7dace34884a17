/** Mamba-2's scan and its single step, fused against composed, at the size of the 130m model: forward, and with all gradients. */
import * as tf from '@tensorflow/tfjs';
import '../src/kernels/all';
import {ssd, ssdStep} from '../src/ops';
import {normal, seededRandom, toTensor, uniform} from '../test/support/arrays';
import {removeKernels} from '../test/support/composedKernels';
import type {Measured} from './measure';
import {measure, row} from './measure';

const [BATCH, LENGTH, HEADS, HEAD_DIM, STATES] = [1, 1024, 24, 64, 128];

type Call = {label: string; run: () => tf.Tensor[]};

/** What both ops take, with `lead` the axes before the heads. */
function sharedInputs(lead: number[]) {
  const random = seededRandom(1);
  return {
    u: toTensor(normal(random, [...lead, HEADS, HEAD_DIM])),
    delta: toTensor(uniform(random, [...lead, HEADS], -4, -1)),
    A: toTensor(uniform(random, [HEADS], -16, -1)),
    B: toTensor(normal(random, [...lead, STATES])),
    C: toTensor(normal(random, [...lead, STATES])),
    D: toTensor(normal(random, [HEADS])),
    z: toTensor(normal(random, [...lead, HEADS, HEAD_DIM])),
  };
}

/** Forward, and with the gradient of the sum of the first result in every input. */
function callsOf(label: string, inputs: Record<string, tf.Tensor>, op: (inputs: never) => {y: tf.Tensor}): Call[] {
  const names = Object.keys(inputs);
  const y = (tensors: tf.Tensor[]) => op(Object.fromEntries(names.map((name, i) => [name, tensors[i]])) as never).y;
  const values = Object.values(inputs);
  return [
    {label: `${label} forward`, run: () => [tf.tidy(() => y(values))]},
    {label: `${label} forward + backward`, run: () => tf.tidy(() => tf.grads((...xs) => y(xs).sum())(values))},
  ];
}

export async function benchSsd(withComposed: boolean): Promise<void> {
  const scan = sharedInputs([BATCH, LENGTH]);
  const step = {...sharedInputs([BATCH]), state: tf.randomNormal([BATCH, HEADS, HEAD_DIM, STATES])};
  const size = `${HEADS}×${HEAD_DIM}, N ${STATES}]`;
  const options = {deltaSoftplus: true};
  const calls = [
    ...callsOf(`ssd [${BATCH},${LENGTH},${size}`, scan, (inputs: Parameters<typeof ssd>[0]) =>
      ssd({...inputs, ...options}),
    ),
    ...callsOf(`ssdStep [${BATCH},${size}`, step, (inputs: Parameters<typeof ssdStep>[0]) =>
      ssdStep({...inputs, ...options}),
    ),
  ];
  for (const {label, run} of calls) {
    const own = await measure(run, 15, 10);
    const composed = withComposed ? await composedOf(run) : undefined;
    console.log(row(label, own, composed && ratio(composed, own)));
    if (composed) console.log(row('  composed', composed));
    if (composed && hasProcessorTime()) console.log(`  ${processorTimes(run)}`);
  }
  tf.dispose([Object.values(scan), Object.values(step)]);
}

async function composedOf(run: () => tf.Tensor[]): Promise<Measured> {
  const putBack = useComposed();
  try {
    return await measure(run, 10, 10, false);
  } finally {
    putBack();
  }
}

function useComposed(): () => void {
  const {warn} = console;
  console.warn = () => {};
  const putBack = removeKernels();
  return () => {
    putBack();
    console.warn = warn;
  };
}

/** Where a call returns when its work is done, and Node can say how long processors worked on it. */
const hasProcessorTime = () =>
  ['tensorflow', 'wasm', 'cpu'].includes(tf.getBackend()) && 'cpuUsage' in (globalThis.process ?? {});

/** The processor time of a call, in turns, as on a machine with other work the wall clock tells mostly who got the cores. */
function processorTimes(run: () => tf.Tensor[]): string {
  const timed = (calls: number) =>
    Array.from({length: calls}, () => {
      const start = process.cpuUsage();
      tf.dispose(run());
      const {user, system} = process.cpuUsage(start);
      return (user + system) / 1e3;
    });
  const own: number[] = [];
  const composed: number[] = [];
  for (let turn = 0; turn < 8; turn++) {
    own.push(...timed(6).slice(1));
    const putBack = useComposed();
    composed.push(...timed(3).slice(1));
    putBack();
  }
  const [best, median] = [0, 0.5].map((share) => {
    const [a, b] = [own, composed].map((times) => times.sort((x, y) => x - y)[Math.floor(share * times.length)]);
    return `${a.toFixed(2)} ms against ${b.toFixed(2)}, ${(b / a).toFixed(1)} times`;
  });
  return `processor time in turns: at best ${best}; medians ${median}`;
}

const ratio = (composed: Measured, own: Measured) =>
  `${(composed.ms / own.ms).toFixed(1)} times the composed form (at best ${(composed.best / own.best).toFixed(1)} times)`;
