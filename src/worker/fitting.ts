/** Training in a worker: what a page can say in plain values, as the trainer takes it. */
import type {MambaLM} from '../lm/model';
import {checkKeys, describe} from '../ops/check';
import {adamW} from '../training/adamW';
import {browserCheckpoints} from '../training/browserCheckpoints';
import {tokenWindows} from '../training/data';
import type {FitResult} from '../training/options';
import {warmupCosine} from '../training/schedules';
import {trainer} from '../training/trainer';
import type {Context} from './host';
import type {WorkerFitOptions} from './types';

/** Of {@link WorkerFitOptions}; the last two stay in the page. */
const KEYS = 'data batchSize length seed optimizer steps reportEvery validation checkpoint signal callbacks'.split(' ');

export async function fit(
  model: MambaLM,
  options: WorkerFitOptions,
  signal: AbortSignal,
  emit: Context['emit'],
): Promise<FitResult> {
  checkKeys('fit', options, KEYS);
  const {data, batchSize, length, seed, optimizer, steps, reportEvery, validation, checkpoint} = options;
  if (typeof optimizer !== 'object' || optimizer === null) {
    throw new Error(
      `fit: optimizer must be an object with learningRate and what adamW takes, but is ${describe(optimizer)}`,
    );
  }
  const {learningRate, ...rest} = optimizer;
  const rate = typeof learningRate === 'number' ? {learningRate} : {schedule: warmupCosine(learningRate)};
  const tell = (event: string) => (detail: unknown) => emit(event, detail);
  const heldOut = validation && {
    every: validation.every,
    batches: validation.batches,
    dataset: tokenWindows(idsOf(model, validation.data), {batchSize, length, order: 'sequential'}),
  };
  const windows = tokenWindows(idsOf(model, data), {batchSize, length, seed});
  const weightUpdates = adamW({...rest, ...rate});
  try {
    return await trainer(model, {optimizer: weightUpdates}).fit(windows, {
      ...{steps, reportEvery, signal, verbose: 0},
      callbacks: {onStep: tell('step'), onValidation: tell('validation'), onCheckpoint: tell('checkpoint')},
      ...(heldOut && {validation: heldOut}),
      ...(checkpoint && {checkpoint: {target: browserCheckpoints(checkpoint.name), every: checkpoint.every}}),
    });
  } finally {
    weightUpdates.dispose();
  }
}

function idsOf({tokenizer}: MambaLM, data: WorkerFitOptions['data']): ArrayLike<number> {
  if (data === undefined || data === null) throw new Error(`fit: data must be a text or token ids, but is ${data}`);
  if (typeof data !== 'string') return data;
  if (!tokenizer) throw new Error('fit: data is a text, but the model has no tokenizer; give token ids');
  return tokenizer.encode(data);
}
