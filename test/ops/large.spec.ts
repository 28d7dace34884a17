/** Sizes at which a GPU's grid runs out or its work has to be cut: long sequences, many rows, odd channels. */
import * as tf from '@tensorflow/tfjs';
import {rmsNorm} from '../../src/ops/rmsNorm';
import {rmsNormReference} from '../../src/ops/rmsNorm/reference';
import {selectiveScan} from '../../src/ops/selectiveScan';
import {selectiveScanGradReference, selectiveScanReference} from '../../src/ops/selectiveScan/reference';
import type {Arrays} from '../support/arrays';
import {mapValues, normal, readAndDispose, reshaped, seededRandom, toTensor, uniform} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings} from '../support/settings';

async function compareScan(batch: number, length: number, channels: number, dState: number): Promise<string[]> {
  const random = seededRandom(11);
  const inputs: Arrays = {
    u: normal(random, [batch, length, channels]),
    delta: uniform(random, [batch, length, channels], 0.01, 0.5),
    A: uniform(random, [channels, dState], -1, -0.05),
    B: normal(random, [batch, length, 1, dState]),
    C: normal(random, [batch, length, 1, dState]),
  };
  const dy = normal(random, [batch, length, channels]);
  const zero = reshaped({shape: [], values: new Float64Array(batch * channels * dState)}, [batch, channels, dState]);
  const names = Object.keys(inputs);
  const {value, gradients} = tf.tidy(() => {
    const tensors = names.map((name) => toTensor(inputs[name]));
    const run = (u: tf.Tensor, delta: tf.Tensor, A: tf.Tensor, B: tf.Tensor, C: tf.Tensor) =>
      selectiveScan({u: u as tf.Tensor3D, delta: delta as tf.Tensor3D, A: A as tf.Tensor2D, B, C}).y;
    const {value, grads} = tf.valueAndGrads(run)(tensors, toTensor(dy) as tf.Tensor3D);
    return {value, gradients: Object.fromEntries(grads.map((gradient, i) => [names[i], gradient]))};
  });
  const scan = inputs as unknown as Parameters<typeof selectiveScanReference>[0];
  const {output, gradient} = backendSettings();
  const {y} = selectiveScanReference(scan, false);
  const expected = selectiveScanGradReference(scan, false, dy, zero) as Arrays;
  return [
    ...mismatches(await readAndDispose({y: value}), {y}, output),
    ...mismatches(await readAndDispose(gradients), expected, gradient).map((text) => `gradient of ${text}`),
  ];
}

describe('large sizes', () => {
  it('a sequence of 70,000', async () => {
    expect(await compareScan(1, 70_000, 3, 2)).toEqual([]);
  });

  it('more channels than a workgroup has, and no multiple of anything', async () => {
    expect(await compareScan(3, 131, 331, 5)).toEqual([]);
  });

  it('a batch so large that the scan is not cut into chunks', async () => {
    // That is webgpu's way, and webgl's textures grow; to typed arrays a batch is a loop, and the reference takes seconds.
    const batch = ['cpu', 'wasm'].includes(tf.getBackend()) ? 5 : 513;
    expect(await compareScan(batch, 37, 129, 1)).toEqual([]);
  });

  it('more rows than a dimension of the grid has workgroups', async () => {
    const random = seededRandom(12);
    const inputs = {x: normal(random, [70_001, 5]), weight: normal(random, [5])};
    const {x, weight} = mapValues(inputs, toTensor);
    const {y} = rmsNorm({x, weight: weight as tf.Tensor1D});
    tf.dispose([x, weight]);
    const expected = {y: rmsNormReference(inputs, 1e-5).y};
    expect(mismatches(await readAndDispose({y}), expected, backendSettings().output)).toEqual([]);
  });
});
