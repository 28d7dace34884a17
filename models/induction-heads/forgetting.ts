/**
 * The end of training: two prices. Once every answer at the length of training is right, nothing tells a model to remember for longer, and it
 * forgets a tenth of its state over 256 tokens: enough there, not for a million. So what makes the last block's state decay, its step
 * sizes, is made to cost something at every token. Where a token must be taken in, the task holds against it; at all others the step
 * sizes fall until float32 holds the state as it is. Before the last block it is the other way round: a state that fills slowly is near
 * zero at the end of 256 tokens and is not after thousands, where the last block then reads what it never has; so there it costs
 * something to remember.
 */
import * as tf from '@tensorflow/tfjs';
import type {MambaLM} from '../../src/node';
import {adamW, causalConv1d, crossEntropy, rmsNorm, warmupCosine, weights as products} from '../../src/node';
import type {MixerBlock} from '../../src/layers/mixerBlock';
import type {TokenEmbedding} from '../../src/layers/tokenEmbedding';
import type {MixerConfig} from '../../src/mixers/mamba1/config';
import type {Mamba1Weights} from '../../src/mixers/mamba1/weights';
import {Random} from '../../src/random';
import type {Draw} from '../support/episodes';
import {drawBatch} from '../support/episodes';

/** Below it softplus is less than 2e-8, and e to the minus of that is 1 in float32: there is no more to gain. */
const heldAt = -18;

/** At such a step size, 0.13 after softplus, a state of the slowest decay has forgotten nearly all within 64 tokens. */
const letGoAt = -2;

/** The step sizes [B,L,channels] of each block for ids [B,L], before softplus. */
export function stepSizes(model: MambaLM, ids: tf.Tensor2D): tf.Tensor3D[] {
  return tf.tidy(() => {
    const blocks = Array.from({length: model.config.nLayer}, (_, i) => model.getLayer(`layers.${i}`) as MixerBlock);
    let x = (model.getLayer('embeddings') as TokenEmbedding).embed(ids) as tf.Tensor3D;
    return blocks.map((block, i) => {
      const sizes = stepSizesOf(block, x);
      if (i < blocks.length - 1) x = block.run(x).y;
      return sizes;
    });
  });
}

function stepSizesOf(block: MixerBlock, x: tf.Tensor3D): tf.Tensor3D {
  const {epsilon, dtRank, dState} = block.mixerConfig as unknown as MixerConfig & {epsilon: number};
  const all = block.block().weights;
  const own = Object.entries(all).map(([name, weight]) => [name.replace(/^mixer\//, ''), weight]);
  const weights = Object.fromEntries(own) as Mamba1Weights;
  const input = rmsNorm({x, weight: all['norm/weight'] as tf.Tensor1D, epsilon}).y;
  const [xs] = tf.split(products.linear({x: input, weight: weights['inProj/kernel']}), 2, -1);
  const {y: u} = causalConv1d({
    ...{x: xs as tf.Tensor3D, weight: weights['conv/weight'] as tf.Tensor2D},
    ...{bias: weights['conv/bias'] as tf.Tensor1D, activation: 'silu'},
  });
  const selection = products.linear({x: u, weight: weights['xProj/kernel']});
  const [dt] = tf.split(selection, [dtRank, 2 * dState], -1);
  return products.linear({x: dt, weight: weights['dtProj/kernel'], bias: weights['dtProj/bias']}) as tf.Tensor3D;
}

/** How far the last block's step sizes, before softplus, lie above {@link heldAt}: the mean over channels and tokens of ids [B,L]. */
export function priceOfForgetting(model: MambaLM, ids: tf.Tensor2D): tf.Scalar {
  return tf.tidy(() => forgettingOf(stepSizes(model, ids)));
}

/** How far those of the blocks before it lie below {@link letGoAt}, likewise. */
export function priceOfRemembering(model: MambaLM, ids: tf.Tensor2D): tf.Scalar {
  return tf.tidy(() => rememberingOf(stepSizes(model, ids)));
}

const forgettingOf = (sizes: tf.Tensor3D[]): tf.Scalar => sizes.at(-1)!.sub(heldAt).relu().mean();

const rememberingOf = (sizes: tf.Tensor3D[]): tf.Scalar => {
  const prices = sizes.slice(0, -1).map((size) => tf.sub(letGoAt, size).relu().mean<tf.Scalar>());
  return tf.addN<tf.Scalar>([tf.scalar(0), ...prices]);
};

/**
 * Trains on the task and both prices together, from a model that has learned the task.
 *
 * @param draws Take turns: what is rare in one, such as an answer right before its question in long sequences, is not in another.
 */
export function unlearnForgetting(
  model: MambaLM,
  draws: readonly Draw[],
  options: {
    steps: number;
    rate: number;
    price: number;
    batchSize: number;
    weightDecay: number;
    seed: number;
    every: number;
  },
): void {
  const {steps, rate, price, batchSize, weightDecay, seed, every} = options;
  const learningRate = warmupCosine({peak: rate, warmupSteps: 10, totalSteps: steps, floor: rate / 100});
  const optimizer = adamW({learningRate, weightDecay, clipNorm: 1});
  const variables = model.trainableWeights.map((weight) => weight.read() as tf.Variable);
  const random = new Random(seed);
  for (let step = 1; step <= steps; step++) {
    const {xs, ys} = drawBatch(draws[step % draws.length], batchSize, random);
    let figures: number[] = [];
    const cost = () => {
      const task = crossEntropy({logits: model.apply(xs, {training: true}) as tf.Tensor3D, labels: ys});
      const sizes = stepSizes(model, xs);
      const [height, depth] = [forgettingOf(sizes), rememberingOf(sizes)];
      if (step % every === 0) figures = [task, height, depth].map((value) => value.dataSync()[0]);
      return task.add<tf.Scalar>(height.add(depth).mul(price));
    };
    optimizer.minimize(cost, false, variables);
    if (figures.length > 0) {
      const [loss, height, depth] = figures;
      console.log(
        `forgetting, step ${step} of ${steps}: loss ${loss.toPrecision(3)}, ` +
          `step sizes ${height.toFixed(3)} above the aim in the last block, ${depth.toFixed(3)} below it before`,
      );
    }
    tf.dispose([xs, ys]);
  }
  optimizer.dispose();
}
