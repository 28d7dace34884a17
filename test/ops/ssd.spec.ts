/**
 * What is special about Mamba-2's ops: the limits of the step size and their gradient, decays that would lose digits as a difference of
 * running sums, the published sizes of the state, and that nothing as large as B·L·H·P·N or B·H·L² is made.
 */
import * as tf from '@tensorflow/tfjs';
import type {SsdArgs} from '../../src/ops/ssd';
import type {Arrays} from '../support/arrays';
import {fill, mapValues, normal, seededRandom, sizeOf, toTensor, uniform} from '../support/arrays';
import {describeComposed} from '../support/composedKernels';
import {mismatches} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';
import {gatedRmsNormCase} from './cases/gatedRmsNorm';
import {ssdCase} from './cases/ssd';
import {ssdStepCase} from './cases/ssdStep';
import {anyOp, compareWithReference, evaluateOp} from './opUnderTest';

const scan = anyOp(ssdCase);
const step = anyOp(ssdStepCase);

/** Steps below, at, between, at and above limits that are float32 numbers. */
const limit: SsdArgs['deltaLimit'] = [0.125, 0.5];
const raw = [-1, 0.0625, 0.125, 0.25, 0.5, 0.75];
const limited = [0.125, 0.125, 0.125, 0.25, 0.5, 0.5];
const passes = [0, 0, 1, 1, 1, 0];

/** With A = 0 and everything else 1, y of the step is the step size, and its slope the slope of the limits. */
function atLimits(): void {
  it('the gradient of the limits passes at them and stops outside, as that of torch.clamp does', async () => {
    const count = raw.length;
    const ones = (...shape: number[]) => fill(shape, () => 1);
    const zeros = (...shape: number[]) => fill(shape, () => 0);
    const asBatch = {delta: fill([count, 1], (i) => raw[i]), A: zeros(1), B: ones(count, 1), C: ones(count, 1)};
    const inputs = {state: zeros(count, 1, 1, 1), u: ones(count, 1, 1), ...asBatch};
    const options = {deltaLimit: limit};
    const projections = {y: ones(count, 1, 1), state: zeros(count, 1, 1, 1)};
    const ofStep = await evaluateOp(step, {inputs, options}, projections);
    const asSequence = {
      ...{u: ones(count, 1, 1, 1), delta: fill([count, 1, 1], (i) => raw[i])},
      ...{A: zeros(1), B: ones(count, 1, 1), C: ones(count, 1, 1)},
    };
    const ofScan = await evaluateOp(
      scan,
      {inputs: asSequence, options},
      {y: ones(count, 1, 1, 1), finalState: zeros(count, 1, 1, 1)},
    );
    for (const {outputs, gradients} of [ofStep, ofScan]) {
      outputs.y.values.forEach((y, i) => expect(y).toBeCloseTo(limited[i], 6));
      gradients.delta.values.forEach((slope, i) => expect(slope).toBeCloseTo(passes[i], 6));
    }
  });
}

/** Decays of 16 and more at some positions, none to speak of at most: what is between two small ones must keep its digits. */
function unevenDecays(): void {
  it('a scan whose decays are strong here and weak there is right, with its gradients', async () => {
    const random = seededRandom(randomSeed);
    const [batch, length, heads, headDim, dState] = [1, 150, 2, 3, 4];
    const weak = uniform(random, [batch, length, heads], 1e-4, 1e-2);
    const inputs: Arrays = {
      u: normal(random, [batch, length, heads, headDim]),
      delta: fill(weak.shape, (i) => weak.values[i] + (i % 7 < 2 ? 4 : 0)),
      A: fill([heads], (h) => [-4, -16][h]),
      B: normal(random, [batch, length, dState]),
      C: normal(random, [batch, length, dState]),
      initialState: normal(random, [batch, heads, headDim, dState]),
    };
    expect(await compareWithReference(scan, {inputs, options: {}}, randomSeed)).toEqual([]);
  });

  it('a scan whose decay underflows to zero is right', async () => {
    const random = seededRandom(randomSeed);
    const inputs: Arrays = {
      u: normal(random, [2, 70, 2, 3]),
      delta: uniform(random, [2, 70, 2], 50, 110),
      A: uniform(random, [2], -100, -50),
      B: normal(random, [2, 70, 4]),
      C: normal(random, [2, 70, 4]),
      initialState: normal(random, [2, 2, 3, 4]),
    };
    expect(await compareWithReference(scan, {inputs, options: {}}, randomSeed)).toEqual([]);
  });

  it('a scan without decay, a sum over the whole sequence, is right', async () => {
    const random = seededRandom(randomSeed);
    const inputs: Arrays = {
      u: normal(random, [1, 300, 2, 3]),
      delta: uniform(random, [1, 300, 2], 0.1, 1),
      A: fill([2], () => 0),
      B: normal(random, [1, 300, 2]),
      C: normal(random, [1, 300, 2]),
    };
    expect(await compareWithReference(scan, {inputs, options: {}}, randomSeed)).toEqual([]);
  });
}

/** The published sizes of heads and states, and odd ones near them. */
function publishedSizes(): void {
  for (const [length, heads, headDim, dState, groups] of [
    [70, 2, 64, 128, 0],
    [130, 4, 64, 64, 1],
    [65, 2, 32, 256, 1],
    [67, 3, 65, 129, 0],
  ]) {
    it(`${heads} heads of ${headDim} channels with states of ${dState} are right over ${length} positions`, async () => {
      const testCase = ssdCase.build({
        ...{batch: 1, length, heads, headDim, dState, groups, skip: 'head', hasZ: true, hasBias: true},
        ...{hasInitialState: true, deltaSoftplus: true, limit: [0, Infinity], decay: 'usual', seed: dState},
      });
      expect(await compareWithReference(scan, testCase, randomSeed)).toEqual([]);
    });
  }
}

function special(): void {
  atLimits();
  unevenDecays();
  publishedSizes();
}

/** With A = 1, B = 0 and everything else 1, y of the step is the decay, here a growth. */
function growth(): void {
  it('a growth near the largest float32 is exact, and beyond it infinite', async () => {
    // GPU compilers may assume that nothing is infinite, and their exponential of 80 has lost some bits.
    const isGpu = ['webgl', 'webgpu'].includes(tf.getBackend());
    const deltas = isGpu ? [1, 80] : [1, 80, 88.5, 89, 200];
    const ones = (...shape: number[]) => fill(shape, () => 1);
    const count = deltas.length;
    const {y} = step.run(
      mapValues(
        {
          ...{state: ones(count, 1, 1, 1), u: ones(count, 1, 1), delta: fill([count, 1], (i) => deltas[i])},
          ...{A: ones(1), B: fill([count, 1], () => 0), C: ones(count, 1)},
        },
        toTensor,
      ),
      {},
    );
    const values = await y.data();
    deltas.forEach((delta, i) => {
      const ratio = values[i] / Math.fround(Math.exp(delta));
      expect(delta < 89 ? Math.abs(ratio - 1) < (isGpu ? 1e-4 : 1e-5) : values[i] === Infinity)
        .withContext(`e^${delta}`)
        .toBeTrue();
    });
  });
}

describe('of Mamba-2,', () => {
  special();
  growth();
});

describeComposed('of Mamba-2, composed of TensorFlow.js ops,', () => {
  special();

  it('a scan makes nothing of size B·L·H·P·N or B·H·L²', async () => {
    const [batch, length, heads, headDim, dState] = [2, 512, 4, 32, 64];
    const {inputs, options} = ssdCase.build({
      ...{batch, length, heads, headDim, dState, groups: 0, skip: 'head', hasZ: true, hasBias: true},
      ...{hasInitialState: true, deltaSoftplus: true, limit: undefined, decay: 'usual', seed: 1},
    });
    const tensors = mapValues(inputs, toTensor);
    const names = Object.keys(tensors);
    const {kernels, result} = await tf.profile(() =>
      tf.grads(
        (...xs: tf.Tensor[]) => ssdCase.run(Object.fromEntries(names.map((name, i) => [name, xs[i]])), options).y,
      )(Object.values(tensors)),
    );
    const largest = Math.max(...kernels.flatMap(({outputShapes}) => outputShapes.map((shape) => sizeOf(shape))));
    expect(kernels.map(({name}) => name)).toContain('SSDGrad');
    expect(largest).toBeLessThanOrEqual(2 * batch * length * heads * Math.max(headDim, dState));
    tf.dispose([result, tensors]);
  });
});

describe('the gated norm of Mamba-2', () => {
  it('is that of the original layout per group and that of Hugging Face over all channels', async () => {
    const x = fill([1, 4], (i) => [3, 4, 6, 8][i]);
    const inputs = {x, weight: fill([4], () => 1)};
    for (const [groups, expected] of [
      [2, [3, 4, 6, 8].map((value, i) => value / Math.sqrt(i < 2 ? 12.5 : 50))],
      [1, [3, 4, 6, 8].map((value) => value / Math.sqrt(31.25))],
    ] as const) {
      const ones = fill([1, 4], () => 1);
      const options = {groups, epsilon: 1e-12};
      const {outputs} = await evaluateOp(anyOp(gatedRmsNormCase), {inputs, options}, {y: ones});
      const y = fill([1, 4], (i) => expected[i]);
      expect(mismatches(outputs, {y}, backendSettings().output)).toEqual([]);
    }
  });
});
