/**
 * Makes the GPU programs that a model needs before it is used. A program is compiled when it is first run, which takes a GPU's driver
 * milliseconds, and a model has some thirty of them: the first token and the first step of training would wait for one after the other.
 */
import * as tf from '@tensorflow/tfjs';
import {compileOnly} from './backends/webgpuAhead';
import type {MambaLM} from './lm/model';
import {checkKeys} from './ops/check';
import {checkNumber} from './ops/adamW/hyperparameters';
import {runTopLogits} from './ops/topLogits';
import {AdamW} from './training/adamW';

/** The options of {@link warmup}. */
export interface WarmupOptions {
  /** Rows of the prompts, or of a batch of training (1). */
  batchSize?: number;
  /** Tokens of the longest prompt, or of a row of training (64). */
  length?: number;
}

/** What is used of a model that its type keeps to itself. */
interface Trainable {
  optimizer_?: tf.Optimizer;
  makeTrainFunction(): (inputsAndTargets: tf.Tensor[]) => tf.Tensor[];
}

const OP = 'warmup';

/**
 * Compiles what `prefill`, `step` and `generate` run, and, if the model is compiled for training, what a step of `fit` runs: side by
 * side, and without running any of it. The model may be used once the promise resolves. On other backends there is nothing to do.
 *
 * ```js
 * await createWebGPUBackend();
 * await tf.setBackend('webgpu');
 * const model = await fromPretrained(source);
 * await warmup(model);
 * ```
 *
 * @param model Its weights, and the optimizer's moments, stay as they are.
 * @param options The sizes to come: what runs depends on them in a few places, such as whether there is more than one row.
 * @throws Error naming the option that is wrong, or the program whose shader the device does not take.
 */
export async function warmup(model: MambaLM, options: WarmupOptions = {}): Promise<void> {
  checkKeys(OP, options, ['batchSize', 'length']);
  const {batchSize = 1, length = 64} = options;
  checkNumber(OP, 'batchSize', batchSize, 'positiveCount');
  checkNumber(OP, 'length', length, 'positiveCount');
  await compileOnly(() => {
    tf.tidy(() => decode(model, batchSize, length));
    if (model.optimizer as tf.Optimizer | undefined) trainWithoutTrace(model, batchSize, length);
  });
}

/** Prompts of one token, of less than a chunk of the scan, and of the length given; each from the start and from a state. */
function decode(model: MambaLM, batchSize: number, length: number): void {
  for (const each of new Set([1, Math.min(16, length), length])) {
    const ids = tf.zeros([batchSize, each], 'int32');
    const {state} = model.prefill(ids);
    model.prefill(ids, {state});
    // Prompts of different lengths are padded.
    if (batchSize > 1) model.prefill(ids, {mask: tf.ones([batchSize, each], 'int32')});
    const {logits} = model.step(tf.zeros([batchSize], 'int32'), state);
    runTopLogits(logits, 1, model.config.realVocabSize);
  }
}

/** A step of training by an optimizer like the model's, after which the weights are what they were. */
function trainWithoutTrace(model: MambaLM, batchSize: number, length: number): void {
  const trained = model as unknown as Trainable;
  const {optimizer} = model;
  const weights = model.weights.map((weight) => ({weight, value: tf.keep(weight.read().clone())}));
  const sameKind = likeIt(optimizer);
  trained.optimizer_ = sameKind;
  try {
    tf.tidy(() => {
      const ids = () => tf.zeros([batchSize, length], 'int32');
      tf.dispose(trained.makeTrainFunction()([ids(), ids()])); // it keeps the metrics
    });
  } finally {
    trained.optimizer_ = optimizer;
    sameKind.dispose();
    for (const {weight, value} of weights) {
      weight.write(value);
      value.dispose();
    }
  }
}

function likeIt(optimizer: tf.Optimizer): tf.Optimizer {
  // A schedule that is a plain function has no configuration, and makes no difference to what runs.
  if (optimizer instanceof AdamW) {
    const {clipNorm} = optimizer;
    return new AdamW({learningRate: 1, ...(clipNorm !== undefined && {clipNorm})});
  }
  const Kind = optimizer.constructor as tf.serialization.SerializableConstructor<tf.Optimizer> & typeof tf.Optimizer;
  return Kind.fromConfig(Kind, optimizer.getConfig());
}
