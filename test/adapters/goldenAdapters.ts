/** The adapters of test/fixtures/golden/peft, and what their models give. */
import type * as tf from '@tensorflow/tfjs';
import type {MambaLM} from '../../src/lm/model';
import {goldenModels, loadGolden, toIds} from '../lm/goldenModels';
import type {Arrays} from '../support/arrays';
import {readAndDispose} from '../support/arrays';

export const adapterFiles = ['adapter_config.json', 'adapter_model.safetensors'];

/** `logits`: whether PEFT's own forward pass saw every adapter; see the fixtures' README. */
export const goldenAdapters = [
  {name: 'lora_r4', base: 'lm/mamba_v64_h32', logits: true},
  {name: 'dora_r4', base: 'lm/mamba_v64_h32', logits: true},
  {name: 'lora_head', base: 'lm/mamba_untied_bias_k3', logits: true},
  {name: 'lora_rs_all', base: 'lm/mamba_v64_h32', logits: false},
];

export function loadBase(folder: string): Promise<MambaLM> {
  return loadGolden(goldenModels.find((golden) => golden.folder === folder)!);
}

/** Logits of the recorded ids. */
export async function logitsOf(model: MambaLM, expected: Arrays): Promise<Arrays> {
  const ids = toIds(expected['input_ids']);
  const logits = model.predict(ids) as tf.Tensor;
  ids.dispose();
  return readAndDispose({logits});
}
