/** Extreme numbers: both ends of softplus, decay that underflows, very long sequences, ruled-out classes, NaN and infinity. */
import * as tf from '@tensorflow/tfjs';
import type {Arrays} from '../support/arrays';
import {fill, mapValues, normal, seededRandom, uniform} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {describeComposed} from '../support/composedKernels';
import {backendSettings, randomSeed} from '../support/settings';
import {opsUnderTest} from './cases';
import {convCase} from './cases/causalConv1d';
import {crossEntropyCase} from './cases/crossEntropy';
import {rmsNormCase} from './cases/rmsNorm';
import {scanCase} from './cases/selectiveScan';
import type {OpCase} from './opUnderTest';
import {anyOp, compareWithReference, evaluateOp, projectionsOf} from './opUnderTest';

const scan = anyOp(scanCase);
const exactBackends = ['cpu', 'wasm', 'tensorflow'];

/** What every kernel must do, those of the backend and the composed ones. */
function extremeNumbers(): void {
  it('softplus is right in every digit from -60 to 110, and beyond', async () => {
    const deltas = [...Array.from({length: 171}, (_, i) => i - 60), 19.9999, 20.0001, 88.7, 88.8, 800, 1e5];
    const ones = fill([deltas.length, 1, 1], () => 1);
    const delta = fill(ones.shape, (i) => deltas[i]);
    const testCase: OpCase = {
      inputs: {u: ones, delta, A: fill([1, 1], () => -1), B: ones, C: ones},
      options: {deltaSoftplus: true},
    };
    const projections = {y: ones, finalState: fill(ones.shape, () => 0)};
    const {outputs, gradients} = await evaluateOp(scan, testCase, projections);
    const {output, gradient} = backendSettings();
    // With everything else 1 the output is the step itself. Said here once more, as kernels and reference share their softplus.
    delta.values.forEach((x, i) => {
      const step = x > 20 ? x : Math.log1p(Math.exp(x));
      const slope = x > 20 ? 1 : 1 / (1 + Math.exp(-x));
      expect(Math.abs(outputs.y.values[i] / step - 1))
        .withContext(`at ${x}`)
        .toBeLessThan(output);
      expect(Math.abs(gradients.delta.values[i] / slope - 1))
        .withContext(`slope at ${x}`)
        .toBeLessThan(gradient);
    });
  });

  it('a scan whose decay underflows to zero is right', async () => {
    const random = seededRandom(randomSeed);
    const testCase = {
      inputs: {
        u: normal(random, [2, 40, 3]),
        delta: uniform(random, [2, 40, 3], 50, 110),
        A: uniform(random, [3, 4], -100, -50),
        B: normal(random, [2, 40, 4]),
        C: normal(random, [2, 40, 4]),
        initialState: normal(random, [2, 3, 4]),
      },
      options: {deltaSoftplus: false},
    };
    expect(await compareWithReference(scan, testCase, randomSeed)).toEqual([]);
  });

  it('a scan without decay, a sum over the whole sequence, is right', async () => {
    const random = seededRandom(randomSeed);
    const testCase = {
      inputs: {
        u: normal(random, [1, 500, 3]),
        delta: uniform(random, [1, 500, 3], 0.1, 1),
        A: fill([3, 2], () => 0),
        B: normal(random, [1, 500, 2]),
        C: normal(random, [1, 500, 2]),
      },
      options: {deltaSoftplus: false},
    };
    expect(await compareWithReference(scan, testCase, randomSeed)).toEqual([]);
  });

  it('the cross entropy of large and ruled-out logits is right', async () => {
    const rows = [
      [1e4, 0, -1e4],
      [88, 89, 90],
      [-1e4, -1e4, -1e4],
      [0, -Infinity, 1],
      [-Infinity, 3, -1e30],
    ];
    const logits = {shape: [5, 3], values: Float64Array.from(rows.flat(), Math.fround)};
    const testCase = {inputs: {logits}, options: {labels: [2, 0, 1, 0, 1]}};
    expect(await compareWithReference(anyOp(crossEntropyCase), testCase, randomSeed)).toEqual([]);
  });

  it('the cross entropy over the vocabulary of a language model is right', async () => {
    const logits = normal(seededRandom(randomSeed), [3, 50280], 4);
    const testCase = {inputs: {logits}, options: {labels: [50279, 0, -100]}};
    expect(await compareWithReference(anyOp(crossEntropyCase), testCase, randomSeed)).toEqual([]);
  });

  it('the norm of a row of zeros is zero, and has a gradient', async () => {
    const random = seededRandom(randomSeed);
    const inputs = {x: fill([3, 8], (i) => (i < 8 ? 0 : random() * 1e-12)), weight: normal(random, [8])};
    expect(await compareWithReference(anyOp(rmsNormCase), {inputs, options: {}}, randomSeed)).toEqual([]);
  });
}

describe('extreme numbers:', () => {
  extremeNumbers();

  it('a scan over 70,000 positions is right', async () => {
    const random = seededRandom(randomSeed);
    const length = 70_000;
    const testCase = {
      inputs: {
        u: normal(random, [1, length, 2]),
        delta: normal(random, [1, length, 2]),
        A: uniform(random, [2, 2], -1, -0.1),
        B: normal(random, [1, length, 2]),
        C: normal(random, [1, length, 2]),
        z: normal(random, [1, length, 2]),
        initialState: normal(random, [1, 2, 2]),
      },
      options: {deltaSoftplus: true},
    };
    expect(await compareWithReference(scan, testCase, randomSeed)).toEqual([]);
  });

  it('a convolution over 70,000 positions is right', async () => {
    const random = seededRandom(randomSeed);
    const inputs = {x: normal(random, [1, 70_000, 2]), weight: normal(random, [2, 4]), bias: normal(random, [2])};
    const testCase = {inputs, options: {activation: 'silu'}};
    expect(await compareWithReference(anyOp(convCase), testCase, randomSeed)).toEqual([]);
  });
});

describeComposed('extreme numbers, composed of TensorFlow.js ops:', () => {
  extremeNumbers();
});

describe('a value that is not finite', () => {
  /** The inputs with one value replaced. */
  const spoiled = (inputs: Arrays, name: string, index: number, value: number): Arrays => {
    const values = inputs[name].values.slice();
    values[index] = value;
    return {...inputs, [name]: {shape: inputs[name].shape, values}};
  };

  for (const op of opsUnderTest) {
    it(`in any input of ${op.op} leaves forward and backward with results of the right shapes`, async () => {
      const testCase = op.build(op.combinations[op.combinations.length - 1]);
      const projections = projectionsOf(op.reference(testCase), randomSeed);
      const shapes = (arrays: Arrays) => mapValues(arrays, ({shape}) => shape);
      for (const name of Object.keys(testCase.inputs)) {
        for (const value of [NaN, Infinity, -Infinity]) {
          const inputs = spoiled(testCase.inputs, name, 0, value);
          const {outputs, gradients} = await evaluateOp(op, {...testCase, inputs}, projections);
          expect(shapes(outputs)).toEqual(shapes(projections));
          expect(shapes(gradients)).toEqual(shapes(inputs));
        }
      }
    });
  }

  for (const [op, input, params] of [
    [scan, 'u', scanCase.combinations[scanCase.combinations.length - 1]],
    [anyOp(convCase), 'x', convCase.combinations[convCase.combinations.length - 1]],
  ] as const) {
    it(`in a sequence spoils its own channel from its position on, and nothing else, in ${op.op}`, async () => {
      const testCase = op.build({...params, length: 100});
      const [, length, channels] = testCase.inputs[input].shape;
      const [at, channel] = [70, 1];
      const clean = op.reference(testCase);
      const projections = projectionsOf(clean, randomSeed);
      const inputs = spoiled(testCase.inputs, input, at * channels + channel, NaN);
      const {outputs} = await evaluateOp(op, {...testCase, inputs}, projections);
      const untouched = (i: number) =>
        i >= length * channels || i % channels !== channel || Math.floor(i / channels) < at;
      const keep = ({y}: Arrays): Arrays => ({y: {shape: [-1], values: y.values.filter((_, i) => untouched(i))}});
      expect(mismatches(keep(outputs), keep(clean), backendSettings().output)).toEqual([]);
      // GPU compilers may assume that there are no NaNs.
      if (exactBackends.includes(tf.getBackend())) {
        expect(outputs.y.values[at * channels + channel]).toBeNaN();
      }
    });
  }
});
