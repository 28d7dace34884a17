/**
 * Tells models apart: what a state was made by must be what goes on from it. Two checksums, one of the mixer and of the names and shapes of
 * all weights, one of a few values of every weight, since training or another checkpoint of the same sizes changes some in each. They see to
 * mistakes, not to malice.
 */
import * as tf from '@tensorflow/tfjs';
import {crc32} from '../checkpoints/crc32';
import type {MambaLM} from './model';

/** What a model is known by. */
export interface Fingerprint {
  /** Of the mixer, and of the names and shapes of the weights. */
  sizes: string;
  /** Of the weights' values. */
  weights: string;
}

/** Values taken of each weight: of its beginning, where the ids that occur most have their rows in the embedding. */
const SAMPLE = 256;

/** By model, what it was when its weights had these values. */
const known = new WeakMap<MambaLM, {values: object[]; fingerprint: Fingerprint}>();

/** The fingerprint of a model; read anew only where a weight has been given other values. */
export async function fingerprintOf(model: MambaLM): Promise<Fingerprint> {
  const weights = [...model.weightsByName()].map(([name, weight]) => ({name, tensor: weight.read()}));
  // Writing gives a variable other data.
  const values = weights.map(({tensor}) => tensor.dataId);
  const last = known.get(model);
  if (last && last.values.every((value, i) => value === values[i])) return last.fingerprint;
  const {mixer, epsilon, nLayer} = model.config;
  const sizes = JSON.stringify([mixer, epsilon, nLayer, weights.map(({name, tensor}) => [name, tensor.shape])]);
  const sample = tf.tidy(() => {
    return tf.concat(weights.map(({tensor}) => tensor.flatten().slice(0, Math.min(SAMPLE, tensor.size))));
  });
  try {
    const {buffer, byteOffset, byteLength} = await sample.data();
    const fingerprint = {
      sizes: digits(new TextEncoder().encode(sizes)),
      weights: digits(new Uint8Array(buffer, byteOffset, byteLength)),
    };
    known.set(model, {values, fingerprint});
    return fingerprint;
  } finally {
    sample.dispose();
  }
}

function digits(bytes: Uint8Array): string {
  return crc32(bytes).toString(16).padStart(8, '0');
}
