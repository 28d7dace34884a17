/** Models of 8 bits in files, and adapters over them. */
import * as tf from '@tensorflow/tfjs';
import {addAdapter, mergeAdapter, removeAdapter} from '../../src/adapters';
import {quantizeQ8} from '../../src/checkpoints/quantized/q8_0';
import {readBytes, readFloats} from '../../src/checkpoints/tensors';
import {fromPretrained} from '../../src/lm/pretrained';
import {adamW} from '../../src/training/adamW';
import {memoryCheckpoints} from '../../src/training/checkpoint';
import {trainer} from '../../src/training/trainer';
import {mismatches} from '../support/closeness';
import {fixtureBytes} from '../support/fixtures';
import {backendSettings} from '../support/settings';
import {windows} from '../training/runs';

import {packable, logits, source, tied, saved, fromSaved, tensorsOf} from './packedModels';

describe('a model of 8 bits in files', () => {
  it('is saved as it is held, and loaded again byte for byte', async () => {
    const model = await fromPretrained(source(tied), {weights: 'int8'});
    const first = await saved(model);
    const config = JSON.parse(new TextDecoder().decode(first.get('config.json'))) as Record<
      string,
      {quant_method: string}
    >;
    expect(config['quantization_config'].quant_method).toBe('q8_0');
    const original = await tensorsOf(await fixtureBytes(`golden/lm/${tied}/model.safetensors`));
    const tensors = await tensorsOf(first.get('model.safetensors')!);
    const names = packable(model);
    expect([...tensors.keys()].filter((name) => name.endsWith('.q8_0')).sort()).toEqual(
      names.map((name) => `${name}.q8_0`).sort(),
    );
    for (const name of names) {
      const stored = await readBytes(tensors.get(`${name}.q8_0`)!);
      expect(stored)
        .withContext(name)
        .toEqual(quantizeQ8(await readFloats(original.get(name)!)));
    }
    const again = await fromPretrained(fromSaved(first), {weights: 'int8'});
    expect(await saved(again)).toEqual(first);
    expect(await logits(again)).toEqual(await logits(model));

    const inFloats = await fromPretrained(fromSaved(first)); // the same values, unpacked
    expect(mismatches(await logits(inFloats), await logits(model), 2 * backendSettings().output)).toEqual([]);
    expect(await saved(inFloats, {dtype: 'int8'})).toEqual(first);
    expect(await saved(model, {dtype: 'float32'})).toEqual(await saved(inFloats));
    for (const each of [model, again, inFloats]) each.dispose();
  });

  it('has adapters that train over it, merge into floats, and leave it as it was', async () => {
    const model = await fromPretrained(source(tied), {weights: 'int8'});
    const before = await logits(model);
    const tensors = tf.memory().numTensors;
    addAdapter(model, {rank: 4, dora: true, targets: ['in_proj', 'out_proj', 'embeddings'], seed: 1});
    const optimizer = adamW({learningRate: 0.01});
    const losses: number[] = [];
    const options = {steps: 4, checkpoint: {target: memoryCheckpoints()}};
    await trainer(model, {optimizer}).fit(windows(), {
      ...options,
      callbacks: {onStep: ({loss}) => void losses.push(loss)},
    });
    optimizer.dispose();
    expect(losses[3]).toBeLessThan(losses[0] - 0.05);
    const trained = await logits(model);
    mergeAdapter(model);
    expect(mismatches(await logits(model), trained, 2 * backendSettings().output)).toEqual([]);
    const merged = await fromPretrained(fromSaved(await saved(model, {dtype: 'float32'})));
    expect(mismatches(await logits(merged), trained, 2 * backendSettings().output)).toEqual([]);
    merged.dispose();
    removeAdapter(model);
    expect(await logits(model)).toEqual(before);
    expect(tf.memory().numTensors).toBe(tensors);
    model.dispose();
  });
});
