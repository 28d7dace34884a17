/**
 * The native ops beside the same ops composed of TensorFlow.js's own, and beside PyTorch where a Python with torch is named.
 *
 *     npm run bench -- native --backend tensorflow
 *     PEER_PYTHON=<python with torch> npm run bench -- native --backend tensorflow
 *
 * Times are medians of one run, in milliseconds; a ratio says how many times longer the other one takes.
 */
import {spawnSync} from 'node:child_process';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {adamW, backendInfo, causalConv1d, selectiveScan} from '../src/node';
import {causalConv1dComposed} from '../src/ops/causalConv1d/composed';
import {selectiveScanComposed, selectiveScanGradComposed} from '../src/ops/selectiveScan/composed';
import {medianTime, printTable} from './timing';

const random = (...shape: number[]) => tf.randomNormal(shape, 0, 1, 'float32', 1);

/** Runs a computation to its end: on some backends a call returns before its result is there. */
function run(compute: () => tf.Tensor[] | tf.Tensor): () => void {
  return () => {
    const results = [tf.tidy(compute)].flat();
    if (tf.getBackend() !== 'tensorflow') results[0].dataSync(); // tensorflow runs every op to its end
    tf.dispose(results);
  };
}

function scanInputs([B, L, D, N]: readonly number[]) {
  return {
    u: random(B, L, D) as tf.Tensor3D,
    delta: random(B, L, D).sub<tf.Tensor3D>(3),
    A: tf
      .range(1, N + 1)
      .neg()
      .tile([D])
      .reshape<tf.Tensor2D>([D, N]),
    B: random(B, L, 1, N),
    C: random(B, L, 1, N),
    D: random(D) as tf.Tensor1D,
    z: random(B, L, D) as tf.Tensor3D,
    deltaBias: random(D) as tf.Tensor1D,
  };
}

/** Forward, and forward with backward, of a function of u; gradients reach every input. */
function benchScan(shape: readonly number[]): {forward: number; both: number; ours: [number, number]} {
  const inputs = scanInputs(shape);
  const {u, delta, A, B, C, D, z, deltaBias} = inputs;
  const loss = (...[u, delta, A, B, C, D, z, deltaBias]: tf.Tensor[]) =>
    selectiveScan({...({u, delta, A, B, C, D, z, deltaBias} as typeof inputs), deltaSoftplus: true}).y.sum();
  const own: [number, number] = [
    medianTime(run(() => selectiveScan({...inputs, deltaSoftplus: true}).y)),
    medianTime(run(() => tf.grads(loss)([u, delta, A, B, C, D, z, deltaBias]))),
  ];
  const attrs = {deltaSoftplus: true, keepStates: true};
  const forward = medianTime(
    run(() => selectiveScanComposed(inputs, attrs)),
    1000,
    3,
  );
  const both = medianTime(
    run(() => {
      const [y, finalState, states] = selectiveScanComposed(inputs, attrs);
      const dy = tf.onesLike(y);
      return selectiveScanGradComposed({...inputs, states, dy, dFinalState: tf.zerosLike(finalState)}, attrs);
    }),
    1000,
    3,
  );
  tf.dispose(Object.values(inputs));
  return {forward, both, ours: own};
}

/** PyTorch's times for a scan, by peers/torch_scan.py: the better of its two CPU forms. */
function torchScan(shape: readonly number[]): {forward: number; both: number} | undefined {
  const python = process.env['PEER_PYTHON'];
  if (!python) return undefined;
  const script = join(import.meta.dirname, 'peers/torch_scan.py');
  const {stdout, stderr, status} = spawnSync(python, [script, ...shape.map(String)], {encoding: 'utf8'});
  if (status !== 0) throw new Error(stderr);
  const {loop, parallel} = JSON.parse(stdout) as Record<'loop' | 'parallel', [number, number]>;
  return {forward: Math.min(loop[0], parallel[0]), both: Math.min(loop[1], parallel[1])};
}

function benchConv(): void {
  const x = random(1, 1024, 1536) as tf.Tensor3D;
  const weight = random(1536, 4) as tf.Tensor2D;
  const bias = random(1536) as tf.Tensor1D;
  const filter = weight.transpose().reshape<tf.Tensor4D>([4, 1, 1536, 1]);
  const own = medianTime(run(() => causalConv1d({x, weight, bias, activation: 'silu'}).y));
  const composed = medianTime(run(() => causalConv1dComposed({x, weight, bias}, {activation: 'silu'})));
  const depthwise = medianTime(
    run(() => {
      const padded = x.pad([
        [0, 0],
        [3, 0],
        [0, 0],
      ]);
      const y = tf.depthwiseConv2d(padded.expandDims<tf.Tensor4D>(2), filter, 1, 'valid').squeeze([2]).add(bias);
      return y.mul(y.sigmoid());
    }),
  );
  console.log('\ncausalConv1d with silu, [1,1024,1536], K = 4');
  printTable([
    ['', 'ms', 'ratio'],
    ['this package', own, 1],
    ['tfjs depthwiseConv2d', depthwise, depthwise / own],
    ['composed', composed, composed / own],
  ]);
}

/** AdamW over the weights of mamba-130m. */
function benchAdamW(): void {
  const block = [
    [768],
    [768, 3072],
    [1536, 4],
    [1536],
    [1536, 80],
    [48, 1536],
    [1536],
    [1536, 16],
    [1536],
    [1536, 768],
  ];
  const shapes = [[50280, 768], [768], ...Array.from({length: 24}, () => block).flat()];
  const variables = shapes.map((shape, i) => tf.variable(tf.fill(shape, 0.1), true, `w${i}`));
  const gradients = Object.fromEntries(shapes.map((shape, i) => [`w${i}`, tf.fill(shape, 0.01)]));
  const floats = shapes.reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const optimizer = adamW({learningRate: 1e-3, weightDecay: 0.1});
  const time = medianTime(() => optimizer.applyGradients(gradients), 3000, 5);
  console.log(`\nAdamW over ${variables.length} variables, ${(floats / 1e6).toFixed(1)} million weights`);
  console.log(
    `${time.toFixed(1)} ms a step, ${((7 * 4 * floats) / time / 1e6).toFixed(1)} GB/s (seven floats a weight)`,
  );
  tf.dispose([variables, Object.values(gradients)]);
}

export function benchNative(): void {
  console.log(JSON.stringify({...backendInfo(), nativeKernels: undefined}));
  if (!process.env['PEER_PYTHON']) console.log('PyTorch is left out: PEER_PYTHON names no Python that has it.');
  for (const shape of [
    [1, 1024, 256, 16],
    [1, 1024, 1536, 16],
  ]) {
    const {ours, forward, both} = benchScan(shape);
    const torch = torchScan(shape);
    console.log(`\nselectiveScan [${shape.join(',')}] with D, z, softplus`);
    printTable([
      ['', 'forward ms', 'ratio', 'with backward ms', 'ratio'],
      ['this package', ours[0], 1, ours[1], 1],
      ['composed of tfjs ops', forward, forward / ours[0], both, both / ours[1]],
      ...(torch
        ? [['PyTorch, better form', torch.forward, torch.forward / ours[0], torch.both, torch.both / ours[1]]]
        : []),
    ]);
    const steps = shape.reduce((a, b) => a * b, 1);
    console.log(`forward: ${(steps / ours[0] / 1e6).toFixed(2)} states a nanosecond`);
  }
  benchConv();
  benchAdamW();
}
