/** The recorded language models of test/fixtures/golden, and how to load and run them. */
import * as tf from '@tensorflow/tfjs';
import type {MambaLM} from '../../src/lm/model';
import {fromPretrained} from '../../src/lm/pretrained';
import type {Array64, Arrays} from '../support/arrays';
import {fixtureSource, goldenArrays} from '../support/golden';

const huggingFace = ['config.json', 'generation_config.json', 'model.safetensors'];
const original = ['config.json', 'model.safetensors'];

/** Every folder of a Mamba model, with the files to offer the loader. */
export const goldenModels = [
  {folder: 'lm/mamba_v64_h32', files: huggingFace},
  {folder: 'lm/mamba_v97_h48', files: huggingFace},
  {folder: 'lm/mamba_untied_bias_k3', files: huggingFace},
  {folder: 'lm/mamba_bf16', files: huggingFace},
  {folder: 'lm/falcon_mamba', files: huggingFace},
  {folder: 'lm/mamba2_g1', files: huggingFace},
  {folder: 'lm/mamba2_g2_untied', files: huggingFace},
  {folder: 'official/official_mamba', files: original},
  {folder: 'official/official_mamba_fp16', files: original},
  {folder: 'official/official_mamba2', files: original},
  {folder: 'official/official_mamba2_g2', files: original},
];

/** The same weights in another form: sharded, or a torch archive. */
export const otherForms = [
  {
    folder: 'lm/mamba_v64_h32/sharded',
    same: 'lm/mamba_v64_h32',
    files: [
      'config.json',
      'model.safetensors.index.json',
      ...[1, 2, 3].map((shard) => `model-0000${shard}-of-00003.safetensors`),
    ],
  },
  {
    folder: 'official/official_mamba',
    same: 'official/official_mamba',
    files: ['config.json', 'pytorch_model.bin'],
  },
  {
    folder: 'official/official_mamba2_g2',
    same: 'official/official_mamba2_g2',
    files: ['config.json', 'pytorch_model.bin'],
  },
  {
    folder: 'official/official_mamba_fp16',
    same: 'official/official_mamba_fp16',
    files: ['config.json', 'pytorch_model.bin'],
  },
];

export function loadGolden({folder, files}: {folder: string; files: string[]}): Promise<MambaLM> {
  return fromPretrained(fixtureSource(`golden/${folder}`, files));
}

export function expectedOf(folder: string): Promise<Arrays> {
  return goldenArrays(`golden/${folder}/expected.safetensors`);
}

export function toIds({shape, values}: Array64): tf.Tensor {
  return tf.tensor(Int32Array.from(values), shape, 'int32');
}

/** The rows of a recorded integer matrix. */
export function rowsOf({shape: [rows, width], values}: Array64): number[][] {
  return Array.from({length: rows}, (_, row) => Array.from(values.subarray(row * width, (row + 1) * width)));
}

/** `part` of `array` along axis 1, from `start` on. */
export function along(array: Array64, start: number, count: number): Array64 {
  const [batch, length] = array.shape;
  const inner = array.values.length / (batch * length);
  const values = new Float64Array(batch * count * inner);
  for (let b = 0; b < batch; b++) {
    const from = (b * length + start) * inner;
    values.set(array.values.subarray(from, from + count * inner), b * count * inner);
  }
  return {shape: [batch, count, ...array.shape.slice(2)], values};
}
