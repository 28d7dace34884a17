/** Models of 8 bits, and the same in floats. */
import * as tf from '@tensorflow/tfjs';
import {blobFile} from '../../src/checkpoints/bytes';
import {decodeBlocks, quantizedTypes} from '../../src/checkpoints/quantized';
import {quantizeQ8} from '../../src/checkpoints/quantized/q8_0';
import {openSafetensors} from '../../src/checkpoints/safetensors';
import {readFloats} from '../../src/checkpoints/tensors';
import {weightTable} from '../../src/config/weightTable';
import type {MambaLM} from '../../src/lm/model';
import {fromPretrained, savePretrained} from '../../src/lm/pretrained';
import {readAndDispose} from '../support/arrays';
import {fixtureBytes} from '../support/fixtures';
import {fixtureSource} from '../support/golden';

export const files = ['config.json', 'model.safetensors'];
export const source = (folder: string) => fixtureSource(`golden/lm/${folder}`, files);
export const tied = 'mamba_v64_h32';
export const ids = [
  [3, 1, 4, 1, 5],
  [9, 2, 6, 5, 3],
];

export type Saved = Map<string, Uint8Array<ArrayBuffer>>;

export async function saved(model: MambaLM, options = {}): Promise<Saved> {
  const files: Saved = new Map();
  await savePretrained(model, {write: (name, bytes) => void files.set(name, bytes)}, options);
  return files;
}

export const fromSaved = (files: Saved) => ({
  name: 'saved',
  open: async (name: string) => (files.has(name) ? blobFile(name, new Blob([files.get(name)!])) : undefined),
});

export const tensorsOf = async (bytes: ArrayBuffer | Uint8Array<ArrayBuffer>) =>
  (await openSafetensors(blobFile('model.safetensors', new Blob([bytes])))).tensors;

/** Names of the matrices whose rows 32 divides, in files. */
export function packable(model: MambaLM): string[] {
  const isMatrix = ({layout, published}: {layout: string; published: string}) =>
    layout === 'transposed' || published.includes('embeddings');
  return [...weightTable(model.config)]
    .filter((entry) => isMatrix(entry) && (entry.layout === 'transposed' ? entry.shape[0] : entry.shape[1]) % 32 === 0)
    .map(({published}) => published);
}

/** The model in floats with the values that its 8 bits stand for. */
export async function rounded(folder: string, model: MambaLM): Promise<MambaLM> {
  const dense = await fromPretrained(source(folder));
  const stored = await tensorsOf(await fixtureBytes(`golden/lm/${folder}/model.safetensors`));
  for (const {ours, published, shape, layout} of weightTable(model.config)) {
    if (!packable(model).includes(published)) continue;
    const values = await readFloats(stored.get(published)!);
    decodeBlocks(quantizedTypes['Q8_0'], quantizeQ8(values), values, 0);
    tf.tidy(() => {
      const value =
        layout === 'transposed' ? tf.tensor2d(values, [shape[1], shape[0]]).transpose() : tf.tensor(values, [...shape]);
      void dense.weightsByName().get(ours)!.write(value);
    });
  }
  return dense;
}

export const logits = async (model: MambaLM) => {
  const input = tf.tensor2d(ids, undefined, 'int32');
  const result = model.predict(input) as tf.Tensor;
  input.dispose();
  return readAndDispose({logits: result});
};
