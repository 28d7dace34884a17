/** A LayersModel in a folder, `model.json` and `weights.bin`: TensorFlow.js itself reads and writes files only through tfjs-node. */
import {mkdir, readFile, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';

const WEIGHTS = 'weights.bin';

/** Reads what {@link saveFolder} or `model.save('file://…')` wrote. */
export async function loadFolder(folder: string): Promise<tf.LayersModel> {
  const json = JSON.parse(await readFile(join(folder, 'model.json'), 'utf8')) as tf.io.ModelJSON;
  const parts = json.weightsManifest.flatMap(({paths}) => paths);
  const bytes = await Promise.all(parts.map((path) => readFile(join(folder, path))));
  const specs = json.weightsManifest.flatMap(({weights}) => weights);
  const data = Uint8Array.from(Buffer.concat(bytes)).buffer;
  return tf.loadLayersModel(tf.io.fromMemory({...json, weightSpecs: specs, weightData: data}));
}

/** Writes a model. */
export async function saveFolder(model: tf.LayersModel, folder: string): Promise<void> {
  await mkdir(folder, {recursive: true});
  const handler = tf.io.withSaveHandler(async ({weightData, weightSpecs, ...rest}) => {
    const pieces = [weightData!].flat();
    await writeFile(join(folder, WEIGHTS), Buffer.concat(pieces.map((piece) => Buffer.from(piece))));
    const json = {...rest, weightsManifest: [{paths: [WEIGHTS], weights: weightSpecs}]};
    await writeFile(join(folder, 'model.json'), JSON.stringify(json));
    return {modelArtifactsInfo: {dateSaved: new Date(), modelTopologyType: 'JSON'}};
  });
  await model.save(handler);
}
