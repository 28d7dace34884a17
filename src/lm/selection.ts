/**
 * What a model selects (Gu & Dao 2023, sections 3.1 and 3.5.1): the step size Δ that each token gets in each layer, and how much of every
 * earlier token is left in the state at one of them. Both are means, for people to look at.
 */
import * as tf from '@tensorflow/tfjs';
import {MixerBlock} from '../layers/mixerBlock';
import {TokenEmbedding} from '../layers/tokenEmbedding';
import {mixerOf} from '../mixers';
import {ofMixer} from '../mixers/block';
import {stepSizesMamba1} from '../mixers/mamba1/run';
import {stepSizesMamba2} from '../mixers/mamba2/run';
import type {Weights} from '../mixers/mixer';
import {checkKeys, describe} from '../ops/check';
import {rmsNorm} from '../ops/rmsNorm';
import {MambaLM} from './model';

/** What {@link selection} gives; row after row, one for each layer. */
export interface Selection {
  /** Softplus(Δ) of each token [nLayer,L], its mean over channels (of Mamba-2: heads). A large one is written into the state. */
  delta: Float32Array;
  /**
   * The share [nLayer,L] of what a token wrote that the state still has at the token `at`: the product of the decays exp(Δ·A) between
   * them, its mean over channels and states. 1 for the token itself, 0 for those after it.
   */
  kept: Float32Array;
}

/** Δ [1,L,E] of a mixer that selects. */
type StepSizes = (weights: never, config: never, x: tf.Tensor3D) => tf.Tensor3D;
const selective: Partial<Record<string, StepSizes>> = {mamba1: stepSizesMamba1, mamba2: stepSizesMamba2};

/**
 * What a model of Mamba or Mamba-2 selects of a text, which it reads from an empty state.
 *
 * @param model The model; adapters and 8-bit weights count.
 * @param ids The tokens of the text, L of them.
 * @param options Where to look back from.
 * @param options.at The token whose state `kept` is about, from 0; the last one unless it is given.
 * @throws Error if the mixer is another one, or naming the argument that is wrong.
 */
export async function selection(
  model: MambaLM,
  ids: readonly number[],
  options: {at?: number} = {},
): Promise<Selection> {
  if (!(model instanceof MambaLM)) throw new Error('selection: model must be a MambaLM, such as mambaLM makes');
  if (!Array.isArray(ids) && !ArrayBuffer.isView(ids)) {
    throw new Error(`selection: ids must be a list of token ids, but is ${describe(ids)}`);
  }
  checkKeys('selection', options, ['at']);
  const {at = ids.length - 1} = options;
  const {vocabSize} = model.config;
  const mixer = mixerOf(model.config).name;
  const stepSizes = selective[mixer];
  if (!stepSizes)
    throw new Error(`selection: the mixer must be ${Object.keys(selective).join(' or ')}, but is ${mixer}`);
  if (ids.length === 0) throw new Error('selection: ids must hold at least one token, but is empty');
  const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
  if (wrong !== undefined) throw new Error(`selection: ids must be from 0 to ${vocabSize - 1}, but one is ${wrong}`);
  if (!Number.isInteger(at) || at < 0 || at >= ids.length) {
    throw new Error(`selection: at must be from 0 to ${ids.length - 1}, but is ${at}`);
  }
  const [delta, kept] = tf.tidy(() => {
    const embeddings = model.layers.find((layer) => layer instanceof TokenEmbedding)!;
    let x = embeddings.embed(tf.tensor2d([[...ids]], undefined, 'int32')) as tf.Tensor3D; // [1,L,dModel]
    const layers = model.layers.filter((layer) => layer instanceof MixerBlock);
    const rows = layers.map((layer) => {
      const {weights, config} = layer.block() as {weights: Weights; config: {epsilon: number}};
      const normalized = rmsNorm({x, weight: weights['norm/weight'] as tf.Tensor1D, epsilon: config.epsilon}).y;
      const own = ofMixer(weights);
      const steps = stepSizes(own as never, config as never, normalized as tf.Tensor3D).squeeze<tf.Tensor2D>([0]); // [L,E]
      const row = [steps.mean(1), keptOf(steps, own.ALog as tf.Tensor, at)];
      x = layer.runAligned(x).y;
      return row;
    });
    return [0, 1].map((i) => tf.stack(rows.map((row) => row[i])));
  });
  try {
    const values = await Promise.all([delta.data(), kept.data()]);
    return {delta: values[0] as Float32Array, kept: values[1] as Float32Array};
  } finally {
    tf.dispose([delta, kept]);
  }
}

/** Steps [L,E] and ln −A [E] or [E,N] → the share [L] that is left at position `at`; one state at a time, since [L,E,N] would be large. */
function keptOf(steps: tf.Tensor2D, ALog: tf.Tensor, at: number): tf.Tensor {
  const past = steps.slice([0, 0], [at + 1, -1]).cumsum(0, true, true); // of s: the sum of the steps behind s, up to `at`
  const rates = ALog.exp().neg().reshape([ALog.shape[0], -1]).unstack(1); // N of [E]
  const shares = rates.map((rate) => past.mul(rate).exp().mean(1)); // [at+1]
  return tf
    .addN(shares)
    .div(rates.length)
    .pad([[0, steps.shape[0] - at - 1]]);
}
