/**
 * Wrong calls: each error names the op and the argument, says what was expected and what was given, and comes before any work; and
 * what may be given in place of tensors.
 */
import * as tf from '@tensorflow/tfjs';
import {crossEntropy, embedding, rmsNorm} from '../../src/ops';
import {readAndDispose} from '../support/arrays';
import {backendSettings} from '../support/settings';
import {
  wrongConvolutions,
  wrongConvolutionUpdates,
  wrongCrossEntropies,
  wrongEmbeddings,
  wrongLinears,
  wrongNorms,
} from './wrong/others';
import {wrongScans, wrongStateUpdates} from './wrong/selectiveScan';
import {wrongGatedNorms, wrongSsds, wrongSsdSteps} from './wrong/ssd';
import type {WrongCalls} from './wrong/table';

const tables: WrongCalls[] = [
  wrongScans,
  wrongStateUpdates,
  wrongConvolutions,
  wrongConvolutionUpdates,
  wrongNorms,
  wrongCrossEntropies,
  wrongLinears,
  wrongEmbeddings,
  wrongSsds,
  wrongSsdSteps,
  wrongGatedNorms,
];

/** Calls, expecting that message, no kernel run, and nothing left behind. */
function expectRefused(call: () => unknown, message: string): void {
  const runKernel = spyOn(tf.engine(), 'runKernel').and.callThrough();
  const before = tf.memory();
  expect(call).toThrowError(message);
  const after = tf.memory();
  expect(runKernel.calls.allArgs().map(([kernel]) => kernel))
    .withContext(message)
    .toEqual([]);
  expect([after.numTensors, after.numBytes]).withContext(message).toEqual([before.numTensors, before.numBytes]);
}

describe('wrong calls', () => {
  it('are more than a hundred', () => {
    expect(tables.reduce((sum, {wrong}) => sum + wrong.length, 0)).toBeGreaterThan(100);
  });

  for (const {op, call, good, wrong} of tables) {
    it(`of ${op} do not include the good one`, () => {
      tf.tidy(() => {
        expect(() => call(good())).not.toThrow();
      });
    });

    it(`of ${op} must give an object`, () => {
      for (const nothing of [undefined, null, 3]) {
        expect(() => call(nothing as unknown as object)).toThrowError(
          new RegExp(`^${op}: the argument must be an object with .*, but is `),
        );
      }
    });

    wrong.forEach(([argument, change, message], i) => {
      it(`of ${op} number ${i + 1}, ${argument} ${message}, are refused`, () => {
        const changed = change();
        const args = {...good(), ...changed};
        expectRefused(() => call(args), `${op}: ${argument} ${message}`);
        const tensors = Object.values(args).filter((value) => value instanceof tf.Tensor);
        tf.dispose(tensors);
      });
    });
  }
});

describe('values out of range', () => {
  /** Rows of logits whose labels are `labels`, flat. */
  const loss = (labels: number[]) =>
    tf.tidy(() => {
      const logits = tf.tensor2d([0.1, -0.4, 0.3, 0.9, 0.2, -0.7, 0.5, 0.4, 0.6].slice(0, 3 * labels.length), [
        labels.length,
        3,
      ]);
      return crossEntropy({logits, labels: tf.tensor1d(labels, 'int32')});
    });

  for (const bad of [3, -1, -99, 2 ** 30]) {
    it(`such as the label ${bad} are refused where values are at hand, and do not count elsewhere`, async () => {
      if (backendSettings().refusesValues) {
        const numTensors = tf.memory().numTensors;
        expect(() => loss([0, bad, 2])).toThrowError(
          `crossEntropy: labels must lie in [0, 3) or equal ignoreIndex, -100, but has ${bad}`,
        );
        expect(tf.memory().numTensors).toBe(numTensors);
      } else {
        const {counted, ignored} = await readAndDispose({counted: loss([0, bad, 2]), ignored: loss([0, -100, 2])});
        expect(counted.values).toEqual(ignored.values);
      }
    });

    it(`such as the id ${bad} are refused where values are at hand, and are rows of zeros elsewhere`, async () => {
      const rows = () =>
        tf.tidy(() =>
          embedding({ids: tf.tensor1d([0, bad], 'int32'), weight: tf.tensor2d([1, 2, 3, 4, 5, 6], [3, 2])}),
        );
      if (backendSettings().refusesValues) {
        const numTensors = tf.memory().numTensors;
        expect(rows).toThrowError(`embedding: ids must lie in [0, 3) but has ${bad}`);
        expect(tf.memory().numTensors).toBe(numTensors);
      } else {
        const {result} = await readAndDispose({result: rows()});
        expect([...result.values]).toEqual([1, 2, 0, 0]);
      }
    });
  }
});

describe('in place of a tensor', () => {
  it('nested arrays and typed arrays may be given', async () => {
    const numTensors = tf.memory().numTensors;
    const {y} = rmsNorm({x: [[3, 4]], weight: new Float32Array([1, 2]), epsilon: 1e-12});
    expect(tf.memory().numTensors).toBe(numTensors + 1);
    const read = await readAndDispose({y});
    const {output} = backendSettings();
    expect(read.y.shape).toEqual([1, 2]);
    expect(Math.abs(read.y.values[0] / (3 / Math.sqrt(12.5)) - 1)).toBeLessThan(output);
    expect(Math.abs(read.y.values[1] / (8 / Math.sqrt(12.5)) - 1)).toBeLessThan(output);
  });

  it('labels may be a nested array', async () => {
    const {loss} = await readAndDispose({loss: crossEntropy({logits: [[[0, 0]]], labels: [[1]]})});
    expect(Math.abs(loss.values[0] / Math.LN2 - 1)).toBeLessThan(backendSettings().output);
  });
});
