/** Models whose matrices are held in 8 bits: what they give, and what they take. */
import * as tf from '@tensorflow/tfjs';
import {weightTable} from '../../src/config/weightTable';
import type {MambaLM} from '../../src/lm/model';
import {fromPretrained} from '../../src/lm/pretrained';
import {readAndDispose} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings} from '../support/settings';

import {packable, rounded, logits, source, tied, ids} from './packedModels';

describe('a model of 8 bits', () => {
  for (const folder of [tied, 'mamba2_g2_untied']) {
    it(`${folder} gives what its rounded weights give, at once and step by step, and is freed`, async () => {
      const tensors = tf.memory().numTensors;
      const model = await fromPretrained(source(folder), {weights: 'int8'});
      const dense = await rounded(folder, model);
      const tolerance = 2 * backendSettings().output;
      expect(mismatches(await logits(model), await logits(dense), tolerance)).toEqual([]);
      const step = (of: MambaLM) =>
        tf.tidy(() => {
          const {state} = of.prefill(ids);
          return {logits: of.step([1, 2], state).logits};
        });
      expect(mismatches(await readAndDispose(step(model)), await readAndDispose(step(dense)), tolerance)).toEqual([]);
      model.dispose();
      dense.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
    });
  }

  it('takes little more than a quarter of the memory', async () => {
    const before = tf.memory().numBytes;
    const model = await fromPretrained(source(tied), {weights: 'int8'});
    const floats = [...weightTable(model.config)]
      .filter(({published}) => !packable(model).includes(published))
      .reduce((sum, {shape}) => sum + 4 * tf.util.sizeFromShape([...shape]), 0);
    const values =
      [...weightTable(model.config)].reduce((sum, {shape}) => sum + tf.util.sizeFromShape([...shape]), 0) - floats / 4;
    const perValue = (tf.getBackend() === 'webgl' ? 2 : 1) + 4 / 32; // WebGL has no whole int32
    expect(tf.memory().numBytes - before).toBe(floats + values * perValue);
    model.dispose();
  });

  it('is refused where it cannot be', async () => {
    await expectAsync(fromPretrained(source(tied), {weights: 'int4' as 'int8'})).toBeRejectedWithError(
      /weights must be .*float32.*int8/,
    );
    const model = await fromPretrained(source(tied), {weights: 'int8'});
    await expectAsync(
      model.save(tf.io.withSaveHandler(async () => ({modelArtifactsInfo: null!}))),
    ).toBeRejectedWithError(/save: a LayersModel holds its weights as floats/);
    model.dispose();
  });
});
