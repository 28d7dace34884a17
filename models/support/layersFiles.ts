/** Models of `tf.layers` in a folder, as TensorFlow.js's own format has them: `model.json` and `weights.bin`, which a page loads by URL. */
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import type {StoredModel} from './layersModel';
import {layersModel} from './layersModel';

const topology = 'model.json';
const weights = 'weights.bin';

export async function saveLayers(model: tf.LayersModel, folder: string): Promise<void> {
  await mkdir(folder, {recursive: true});
  const handler = tf.io.withSaveHandler(async ({modelTopology, weightSpecs, weightData}) => {
    const json = {
      format: 'layers-model',
      modelTopology,
      weightsManifest: [{paths: [weights], weights: weightSpecs}],
    };
    const bytes = new Uint8Array(tf.io.CompositeArrayBuffer.join(weightData));
    await writeFile(join(folder, weights), bytes);
    await writeFile(join(folder, topology), `${JSON.stringify(json)}\n`);
    return {modelArtifactsInfo: tf.io.getModelArtifactsInfoForJSON({modelTopology, weightSpecs, weightData})};
  });
  await model.save(handler);
}

/** @param folder From where the program runs, or absolute. */
export async function loadLayers(folder: string): Promise<tf.LayersModel> {
  const [json, bytes] = await Promise.all([topology, weights].map((name) => readFile(join(folder, name))));
  return layersModel(JSON.parse(json.toString()) as StoredModel, new Uint8Array(bytes).buffer);
}
