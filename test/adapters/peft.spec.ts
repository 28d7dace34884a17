/**
 * Adapters that PEFT wrote: they load, and give the recorded logits and merged weights, merged and unmerged alike.
 */
import * as tf from '@tensorflow/tfjs';
import {loadAdapter, mergeAdapter, removeAdapter, unmergeAdapter} from '../../src/adapters';
import {weightTable} from '../../src/config/weightTable';
import type {MambaLM} from '../../src/lm/model';
import type {Arrays} from '../support/arrays';
import {readAndDispose, transposed} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {fixtureBytes} from '../support/fixtures';
import {fixtureSource, goldenArrays} from '../support/golden';
import {backendSettings} from '../support/settings';
import {adapterFiles, goldenAdapters, loadBase, logitsOf} from './goldenAdapters';
import {readLayout} from './layout';

/** The model's weights that were recorded, under the names and in the layout of the record. */
async function recordedWeights(model: MambaLM, expected: Arrays): Promise<Arrays> {
  const weights = model.weightsByName();
  const found: Arrays = {};
  for (const {ours, published, layout} of weightTable(model.config)) {
    if (!(`merged.${published}` in expected)) continue;
    const {value} = await readAndDispose({value: weights.get(ours)!.read().clone()});
    found[`merged.${published}`] = layout === 'transposed' ? transposed(value, [1, 0]) : value;
  }
  return found;
}

describe('an adapter of PEFT', () => {
  for (const {name, base, logits} of goldenAdapters) {
    it(`${name} gives what was recorded, merged and unmerged, and leaves the model as it was`, async () => {
      const model = await loadBase(base);
      const expected = await goldenArrays(`golden/peft/${name}/expected.safetensors`);
      const tolerance = 2 * backendSettings().output;
      const plain = await logitsOf(model, expected);
      const tensors = tf.memory().numTensors;
      const {targets, trainedParameters} = await loadAdapter(model, fixtureSource(`golden/peft/${name}`, adapterFiles));
      const stored = await readLayout(
        async (file) => new Uint8Array(await fixtureBytes(`golden/peft/${name}/${file}`)),
      );
      const own = stored.tensors.filter((tensor) => !tensor.name.includes('base_layer'));
      expect(targets.length).toBe(own.length / (name === 'dora_r4' ? 3 : 2));
      expect(trainedParameters).toBe(own.reduce((sum, {values}) => sum + values.length, 0));

      const unmerged = await logitsOf(model, expected);
      if (logits) expect(mismatches(unmerged, {logits: expected['logits']}, tolerance)).toEqual([]);
      mergeAdapter(model);
      const merged = await logitsOf(model, expected);
      expect(mismatches(merged, unmerged, tolerance)).toEqual([]);
      const recorded = Object.entries(expected).filter(([key]) => key.startsWith('merged.'));
      expect(mismatches(await recordedWeights(model, expected), Object.fromEntries(recorded), tolerance)).toEqual([]);

      unmergeAdapter(model);
      expect(await logitsOf(model, expected)).toEqual(unmerged);
      mergeAdapter(model);
      removeAdapter(model);
      expect(await logitsOf(model, expected)).toEqual(plain);
      expect(tf.memory().numTensors).toBe(tensors);
      model.dispose();
    });
  }
});
