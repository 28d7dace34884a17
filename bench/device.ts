/**
 * `bench -- device` where TensorFlow has a GPU: what the scan's ops take when TensorFlow runs them, for a look beside the times of their
 * kernels alone (custom-ops/test/run-gpu.sh). Many calls in a row and one read at their end, since a call returns before the GPU is done.
 */
import type * as tf from '@tensorflow/tfjs';
import {dispose} from '@tensorflow/tfjs';
import {backendInfo} from '../src/node';
import {runSelectiveScan, runSelectiveScanGrad} from '../src/ops/selectiveScan/kernels';
import {normal, seededRandom, toTensor, uniform} from '../test/support/arrays';
import {printTable} from './timing';

type Shape = [batch: number, length: number, channels: number, dState: number];

const shapes: Shape[] = [
  [1, 1024, 1536, 16],
  [1, 4096, 1536, 16],
  [8, 2048, 1536, 16],
];

const CALLS = 50;
const ROUNDS = 9;

/** The median of the rounds, in microseconds a call; `probe` is a small one of the results, to wait for. */
function microseconds(compute: () => tf.Tensor[], probe: number): number {
  const round = () => {
    const start = performance.now();
    for (let i = 0; i < CALLS; i++) {
      const results = compute();
      if (i === CALLS - 1) results[probe].dataSync();
      dispose(results);
    }
    return (1e3 * (performance.now() - start)) / CALLS;
  };
  round();
  const times = Array.from({length: ROUNDS}, round);
  return times.sort((a, b) => a - b)[(ROUNDS - 1) / 2];
}

function benchScan([batch, length, channels, dState]: Shape): number[] {
  const random = seededRandom(1);
  const sequence = [batch, length, channels];
  const projection = [batch, length, 1, dState];
  const inputs = {
    u: toTensor(normal(random, sequence)),
    delta: toTensor(uniform(random, sequence, -5, -1)),
    A: toTensor(uniform(random, [channels, dState], -1, -0.1)),
    B: toTensor(normal(random, projection)),
    C: toTensor(normal(random, projection)),
    D: toTensor(normal(random, [channels])),
    z: toTensor(normal(random, sequence)),
  };
  const forward = (keepStates: boolean) => runSelectiveScan(inputs, {deltaSoftplus: true, keepStates});
  const [dy, dFinalState, states] = forward(true);
  const backward = () => runSelectiveScanGrad({...inputs, states, dy, dFinalState}, {deltaSoftplus: true});
  const times = [
    microseconds(() => forward(false), 1),
    microseconds(() => forward(true), 1),
    microseconds(backward, Object.keys(inputs).indexOf('D')),
  ];
  dispose([inputs, dy, dFinalState, states]);
  return times;
}

export function benchDevice(): void {
  const {device, tensorflow} = backendInfo();
  if (device !== 'GPU') throw new Error('TensorFlow has no GPU here');
  console.log(
    `selectiveScan with D, z and softplus, microseconds a call, as ops of TensorFlow ${tensorflow} on its GPU`,
  );
  printTable([
    ['[batch, length, channels, dState]', 'forward', 'keeping states', 'backward'],
    ...shapes.map((shape) => [`[${shape.join(',')}]`, ...benchScan(shape)]),
  ]);
}
