/** The values of a model's weights by name, whatever form they have, for files. */
import * as tf from '@tensorflow/tfjs';
import type {LayerOfMatrices} from '../layers/matrices';
import type {Weight} from '../mixers/weight';
import {denseValue} from '../mixers/weight';
import type {MambaLM} from './model';
import type {PackedMatrix} from './packing';

/** The values, in our layout. */
export async function readWeight(model: MambaLM, name: string): Promise<Float32Array> {
  const form = formOf(model, name);
  if (!form) return (await model.weightsByName().get(name)!.read().data()) as Float32Array;
  const value = tf.tidy(() => denseValue(form, name === 'embeddings/weight').clone());
  try {
    return (await value.data()) as Float32Array;
  } finally {
    value.dispose();
  }
}

/** The blocks of a matrix that is packed in 8 bits now; undefined of any other weight. */
export async function readBlocks(model: MambaLM, name: string): Promise<Uint8Array | undefined> {
  if (formOf(model, name)?.form !== 'packed') return undefined;
  return (model.packing!.get(name) as PackedMatrix).read();
}

/** The form that a matrix was given, if any. */
function formOf(model: MambaLM, name: string): Weight | undefined {
  const slash = name.indexOf('/');
  const layer = model.getLayer(name.slice(0, slash)) as Partial<LayerOfMatrices>;
  return layer.matrices?.form(name.slice(slash + 1))?.(false);
}
