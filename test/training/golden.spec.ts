/** Ten steps of AdamW on a recorded model, as PyTorch took them: clipping, decay and all (float64, index.json of golden/lm). */
import * as tf from '@tensorflow/tfjs';
import {weightTable} from '../../src/config/weightTable';
import type {MambaLM} from '../../src/lm/model';
import {adamW} from '../../src/training/adamW';
import type {BatchDataset} from '../../src/training/data';
import {trainer} from '../../src/training/trainer';
import type {Arrays} from '../support/arrays';
import {fill, readAndDispose, reshaped, transposed} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {goldenArrays} from '../support/golden';
import {expectedOf, goldenModels, loadGolden, rowsOf} from '../lm/goldenModels';

/** The same batch for ever: every position predicts the id that follows it, the last one nothing. */
function sameBatch(ids: number[][]): BatchDataset {
  const labels = ids.map((row) => [...row.slice(1), -100]);
  const batch = () => ({xs: tf.tensor2d(ids, undefined, 'int32'), ys: tf.tensor2d(labels, undefined, 'int32')});
  return {iterator: async () => ({next: async () => ({done: false, value: batch()})})};
}

/** The recorded parameters after the last step, in our layout. */
function finalWeights(model: MambaLM, recorded: Arrays): Arrays {
  return Object.fromEntries(
    [...weightTable(model.config)].map((weight) => {
      const array = recorded[`final.${weight.published}`];
      const ours = weight.layout === 'transposed' ? transposed(array, [1, 0]) : reshaped(array, weight.shape);
      return [weight.ours, ours];
    }),
  );
}

describe('ten recorded steps of AdamW', () => {
  for (const name of ['lm/mamba_v64_h32', 'lm/mamba2_g1'])
    it(`give the losses, gradient norms and weights of ${name}`, async () => {
      const golden = goldenModels.find(({folder}) => folder === name)!;
      const {input_ids: ids} = await expectedOf(golden.folder);
      const recorded = await goldenArrays(`golden/${golden.folder}/train10.safetensors`);
      const model = await loadGolden(golden);
      const optimizer = adamW({learningRate: 1e-2, clipNorm: 1});
      const losses: number[] = [];
      const norms: number[] = [];
      await trainer(model, {optimizer}).fit(sameBatch(rowsOf(ids)), {
        steps: 10,
        callbacks: {
          onStep: ({loss, gradientNorm}) => {
            losses.push(loss);
            norms.push(gradientNorm);
          },
        },
      });
      const weights = Object.fromEntries(
        [...model.weightsByName()].map(([name, weight]) => [name, weight.read().clone()]),
      );
      const curves = {losses: fill([10], (i) => losses[i]), norms: fill([10], (i) => norms[i])};
      expect(recorded['losses'].values[9]).toBeLessThan(0.7 * recorded['losses'].values[0]);
      expect(mismatches(curves, {losses: recorded['losses'], norms: recorded['grad_norms']}, 1e-4)).toEqual([]);
      expect(mismatches(await readAndDispose(weights), finalWeights(model, recorded), 1e-3)).toEqual([]);
      optimizer.dispose();
      model.dispose();
    });
});
