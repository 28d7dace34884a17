/** A model of `tf.layers` out of what its two files hold, in a page as in Node. */
import * as tf from '@tensorflow/tfjs';

/** `model.json`. */
export interface StoredModel {
  modelTopology: object;
  weightsManifest: tf.io.WeightsManifestConfig;
}

/** @param weightData `weights.bin`. */
export function layersModel(stored: StoredModel, weightData: ArrayBuffer): Promise<tf.LayersModel> {
  const weightSpecs = stored.weightsManifest.flatMap((group) => group.weights);
  return tf.loadLayersModel(tf.io.fromMemory({modelTopology: stored.modelTopology, weightSpecs, weightData}));
}
