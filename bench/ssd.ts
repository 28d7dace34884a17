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
  }
  tf.dispose([Object.values(scan), Object.values(step)]);
}

async function composedOf(run: () => tf.Tensor[]): Promise<Measured> {
  const warn = console.warn;
  console.warn = () => {};
  const putBack = removeKernels();
  try {
    return await measure(run, 10, 10, false);
  } finally {
    putBack();
    console.warn = warn;
  }
}

const ratio = (composed: Measured, own: Measured) =>
  `${(composed.ms / own.ms).toFixed(1)} times the composed form (at best ${(composed.best / own.best).toFixed(1)} times)`;
