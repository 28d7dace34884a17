/**
 * `bench -- ops` on TensorFlow: the native ops beside TensorFlow.js op by op, beside PyTorch where peers/README.md was followed, and
 * beside what the machine could do. Times are the shortest of several runs, in milliseconds; a ratio says how many times longer the
 * other one takes.
 */
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {adamW, backendInfo, causalConv1d, mambaLM, selectiveScan} from '../src/node';
import {selectiveScanComposed, selectiveScanGradComposed} from '../src/ops/selectiveScan/composed';
import {nextToken, stepGradients} from '../src/training/gradients';
import {removeKernels} from '../test/support/composedKernels';
import type {Machine} from './machine';
import {measureMachine, output} from './machine';
import {isInstalled, ofPeer, peerPython} from './peers/peers';
import {bestTime, printTable, run} from './timing';

const random = (...shape: number[]) => tf.randomNormal(shape, 0, 1, 'float32', 1);

type Shape = readonly [batch: number, length: number, channels: number, dState: number];
/** Milliseconds forward, and forward with backward. */
type Times = [forward: number, both: number];

function scanInputs([B, L, D, N]: Shape) {
  return {
    u: random(B, L, D) as tf.Tensor3D,
    delta: random(B, L, D).sub<tf.Tensor3D>(3),
    A: tf
      .range(1, N + 1)
      .neg()
      .tile([D])
      .reshape<tf.Tensor2D>([D, N]),
    B: random(B, L, N),
    C: random(B, L, N),
    D: random(D) as tf.Tensor1D,
    z: random(B, L, D) as tf.Tensor3D,
    deltaBias: random(D) as tf.Tensor1D,
  };
}
type Inputs = ReturnType<typeof scanInputs>;

/** Forward, and forward with backward to every input, of a function that gives y. */
function timeScan(inputs: Inputs, scan: (inputs: Inputs) => tf.Tensor, budget = 1000, least = 5): Times {
  const names = Object.keys(inputs) as (keyof Inputs)[];
  const values = names.map((name) => inputs[name]);
  const gradients = tf.grads((...tensors: tf.Tensor[]) =>
    scan(Object.fromEntries(names.map((name, i) => [name, tensors[i]])) as Inputs),
  );
  const dy = tf.onesLike(inputs.u);
  const times: Times = [
    bestTime(
      run(() => scan(inputs)),
      budget,
      least,
    ),
    bestTime(
      run(() => gradients(values, dy)),
      budget,
      least,
    ),
  ];
  dy.dispose();
  return times;
}

/** As one would write it with TensorFlow.js and have it differentiate: the decays of all steps at once, then the loop. */
function scanOpByOp({u, delta, A, B, C, D, z, deltaBias}: Inputs): tf.Tensor {
  const [batch, length, channels] = u.shape;
  const step = delta.add(deltaBias).softplus();
  const decays = perStep(step.expandDims(3).mul(A).exp());
  const driven = perStep(step.mul(u).expandDims(3).mul(B.expandDims(2)));
  const rows = perStep(C.expandDims(2));
  let h: tf.Tensor = tf.zeros([batch, channels, A.shape[1]]);
  const y: tf.Tensor[] = [];
  for (let t = 0; t < length; t++) {
    h = decays[t].mul(h).add(driven[t]);
    y.push(h.mul(rows[t]).sum(-1));
  }
  const part = Math.ceil(Math.sqrt(length));
  const parts = Array.from({length: Math.ceil(length / part)}, (_, i) =>
    tf.stack(y.slice(i * part, (i + 1) * part), 1),
  );
  return tf.concat(parts, 1).add(u.mul(D)).mul(z.mul(z.sigmoid()));
}

/** [B,L,...] → L tensors [B,...]. In two levels, as one op with L results takes TensorFlow long. */
function perStep(x: tf.Tensor): tf.Tensor[] {
  const length = x.shape[1]!;
  const part = Math.ceil(Math.sqrt(length));
  const sizes = Array.from({length: Math.ceil(length / part)}, (_, i) => Math.min(part, length - i * part));
  return tf.split(x, sizes, 1).flatMap((piece) => tf.unstack(piece, 1));
}

/** By the kernels for backends without ones of their own, which keep no state of size B·L·D·N. */
function composedTimes(inputs: Inputs): Times {
  const grouped = {...inputs, B: inputs.B.expandDims(2), C: inputs.C.expandDims(2)};
  const attrs = {deltaSoftplus: true, keepStates: true};
  const times: Times = [
    bestTime(
      run(() => selectiveScanComposed(grouped, attrs)),
      1000,
      3,
    ),
    bestTime(
      run(() => {
        const [y, finalState, states] = selectiveScanComposed(grouped, attrs);
        const dy = tf.onesLike(y);
        return selectiveScanGradComposed({...grouped, states, dy, dFinalState: tf.zerosLike(finalState)}, attrs);
      }),
      1000,
      3,
    ),
  ];
  tf.dispose([grouped.B, grouped.C]);
  return times;
}

const torchScript = join(import.meta.dirname, 'peers/torch_scan.py');

/** PyTorch's two forms of a scan, by peers/torch_scan.py. */
function torchTimes(shape: Shape): Record<'loop' | 'parallel', Times> | undefined {
  const args = [torchScript, ...shape.map(String)];
  return ofPeer('PyTorch', () => JSON.parse(output(peerPython, args)) as Record<'loop' | 'parallel', Times>);
}

function benchScan(shape: Shape, machine: Machine | undefined, withTorch: boolean): void {
  const inputs = scanInputs(shape);
  const ours = timeScan(inputs, (given) => selectiveScan({...given, deltaSoftplus: true}).y);
  const others: [string, Times][] = [
    ['TensorFlow.js op by op', timeScan(inputs, scanOpByOp, 1000, 3)],
    ['composed kernels', composedTimes(inputs)],
  ];
  tf.dispose(Object.values(inputs));
  const torch = withTorch ? torchTimes(shape) : undefined;
  if (torch) others.push(['PyTorch, loop over time', torch.loop], ['PyTorch, parallel scan', torch.parallel]);

  console.log(`\nselectiveScan [${shape.join(',')}] with D, z and softplus`);
  printTable([
    ['', 'forward ms', 'ratio', 'with backward ms', 'ratio'],
    ['this package', ours[0], 1, ours[1], 1],
    ...others.map(([name, [forward, both]]) => [name, forward, forward / ours[0], both, both / ours[1]]),
  ]);
  if (machine) printFloors(shape, ours, machine);
}

/**
 * What the machine would take for the exponentials (a backward pass cannot do without its own), and for moving each input and each
 * result once; the larger is the floor.
 */
function printFloors([B, L, D, N]: Shape, ours: Times, machine: Machine): void {
  const sequence = B * L * D;
  const projections = 2 * B * L * N;
  const floats = [4 * sequence + projections, 11 * sequence + 3 * projections];
  ['forward', 'with backward'].forEach((direction, i) => {
    const byExponentials = (1e3 * (i + 1) * sequence * N) / machine.exponentials;
    const byBytes = (1e3 * 4 * floats[i]) / machine.copy;
    const floor = Math.max(byExponentials, byBytes);
    console.log(
      `${direction}: ${(floor / ours[i]).toFixed(2)} of the floor (exponentials ${byExponentials.toFixed(2)} ms, ` +
        `bytes ${byBytes.toFixed(2)} ms)`,
    );
  });
}

function benchConv(): void {
  const x = random(1, 1024, 1536) as tf.Tensor3D;
  const weight = random(1536, 4) as tf.Tensor2D;
  const bias = random(1536) as tf.Tensor1D;
  const filter = weight.transpose().reshape<tf.Tensor4D>([4, 1, 1536, 1]);
  const own = bestTime(run(() => causalConv1d({x, weight, bias, activation: 'silu'}).y));
  const depthwise = bestTime(
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
  tf.dispose([x, weight, bias, filter]);
  console.log('\ncausalConv1d with silu, [1,1024,1536], K = 4');
  printTable([
    ['', 'ms', 'ratio'],
    ['this package', own, 1],
    ['TensorFlow.js depthwiseConv2d', depthwise, depthwise / own],
  ]);
}

/** Forward, backward and AdamW of a small language model, with this package's kernels and with composed ones. */
function benchTraining(): void {
  const [batch, length, vocabSize] = [8, 256, 256];
  const model = mambaLM({vocabSize, dModel: 256, nLayer: 4}, {seed: 1});
  const ids = tf.randomUniform([batch, length + 1], 0, vocabSize, 'int32', 1);
  const xs = ids.slice([0, 0], [batch, length]);
  const ys = ids.slice([0, 1], [batch, length]);
  const step = () => {
    const {loss, gradients} = stepGradients(model, [{xs, ys}], nextToken);
    optimizer.applyGradients(gradients);
    tf.dispose([loss, gradients]);
  };
  let optimizer = adamW({learningRate: 1e-4});
  const own = bestTime(step, 3000);
  optimizer.dispose();
  const {warn} = console;
  console.warn = () => {};
  const putBack = removeKernels();
  optimizer = adamW({learningRate: 1e-4});
  const composed = bestTime(step, 1000, 2);
  optimizer.dispose();
  putBack();
  console.warn = warn;
  tf.dispose([ids, xs, ys]);
  model.dispose();
  console.log(`\ntraining step, 4 layers, 256 wide, ${batch} × ${length} tokens`);
  printTable([
    ['', 'ms', 'ratio'],
    ['this package', own, 1],
    ['composed kernels', composed, composed / own],
  ]);
}

/** AdamW over the weights of mamba-130m. */
function benchAdamW(machine: Machine | undefined): void {
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
  const rate = (7 * 4 * floats * 1e3) / bestTime(() => optimizer.applyGradients(gradients), 3000, 5);
  const share = machine ? `, ${(rate / machine.copy).toFixed(2)} of what a copy moves` : '';
  console.log(`\nAdamW over ${variables.length} variables, ${(floats / 1e6).toFixed(1)} million weights`);
  console.log(`${((7 * 4 * floats * 1e3) / rate).toFixed(1)} ms a step, ${(rate / 1e9).toFixed(1)} GB/s${share}`);
  optimizer.dispose();
  tf.dispose([variables, Object.values(gradients)]);
}

export function benchNative(): void {
  console.log(JSON.stringify({...backendInfo(), nativeKernels: undefined}));
  const machine = measureMachine();
  const withTorch = isInstalled('PyTorch', peerPython);
  benchScan([1, 1024, 256, 16], machine, withTorch);
  benchScan([1, 1024, 1536, 16], machine, withTorch);
  benchConv();
  benchTraining();
  benchAdamW(machine);
}
