/** What `train` and `finetune` have in common: data to tokens, the fit with what is told of it, and how it ends. */
import type {Cluster, MambaLM, OpenedData, Tokenizer, Trainer} from '../node';
import {sparkline} from './curve';
import {fitInFolder} from './fitting';
import type {Io} from './io';
import {StatusLine, UsageError} from './io';
import type {Library} from './library';
import type {Round} from './rounds';
import {show} from './rounds';
import {divisionOf, goesOnWith} from './together';
import type {TrainingFlags} from './trainingFlags';
import {tensorBoardLog} from '../training/nodeTensorBoard';
import {ProgressLine} from '../training/progressLine';

/** Opens the data of a run, telling how it gets on. */
export async function openTrainingData(
  lib: Library,
  path: string,
  flags: TrainingFlags,
  model: {tokenizer: Tokenizer; endOfText?: number; round: number},
  io: Io,
): Promise<OpenedData> {
  const line = new StatusLine(io);
  try {
    return await lib.openData(path, {
      tokenizer: model.tokenizer,
      endOfText: model.endOfText,
      batchSize: flags.batchSize,
      length: flags.maxSeqLength,
      seed: flags.seed + model.round,
      heldOut: flags.heldOut,
      maskPrompt: flags.maskPrompt,
      pack: flags.pack,
      order: flags.stateful ? 'continuous' : undefined,
      signal: io.signal,
      onProgress: ({name, tokens}) => line.show(`reading ${name}: ${tokens.toLocaleString('en')} tokens`),
    });
  } finally {
    line.end();
  }
}

/** In words, and as JSON. */
export function tellData(data: OpenedData, json: boolean | undefined, io: Io): void {
  const parts = (['train', 'valid', 'test'] as const).flatMap((name) => {
    const part = data[name];
    return part ? [{name, tokens: part.tokens, examples: part.examples, cut: part.cut || undefined}] : [];
  });
  if (json)
    return io.out(
      `${JSON.stringify({event: 'data', ...Object.fromEntries(parts.map(({name, ...part}) => [name, part]))})}\n`,
    );
  for (const {name, tokens, examples, cut} of parts) {
    const counted = examples === undefined ? '' : ` in ${examples.toLocaleString('en')} examples`;
    const shortened = cut === undefined ? '' : `, ${cut} of them cut at --max-seq-length`;
    io.out(`${name}: ${tokens.toLocaleString('en')} tokens${counted}${shortened}\n`);
  }
}

export interface SessionOptions {
  /** What goes on with it. */
  command: string;
  /** The flags that use what it makes. */
  use: string;
  folder: string;
  round: Round;
  cluster?: Cluster;
  save(): Promise<void>;
}

/** The trainer of a round, as the flags have it. */
export function trainerOf(
  lib: Library,
  model: MambaLM,
  flags: TrainingFlags,
  round: Round,
  cluster?: Cluster,
): Trainer {
  return lib.trainer(model, {
    optimizer: optimizerOf(lib, flags, round),
    gradientAccumulation: flags.gradAccumulationSteps,
    gradCheckpoint: flags.gradCheckpoint,
    stateful: flags.stateful,
    emaDecay: flags.emaDecay,
    cluster,
    ...divisionOf(flags),
  });
}

function optimizerOf(lib: Library, flags: TrainingFlags, {steps, rate}: Pick<Round, 'steps' | 'rate'>) {
  const peak = flags.learningRate * rate;
  const options = {
    peak,
    warmupSteps: Math.min(Math.ceil(0.05 * steps), steps - 1),
    totalSteps: steps,
    floor: peak / 80,
  };
  const schedules = {
    cosine: () => lib.warmupCosine(options),
    linear: () => lib.warmupLinear(options),
    constant: () => lib.warmupConstant({peak, warmupSteps: options.warmupSteps}),
  };
  const schedule = schedules[flags.lrSchedule]();
  return lib.adamW({learningRate: schedule, weightDecay: flags.weightDecay, clipNorm: 1});
}

/** Trains, and tells of it. @returns Whether it came to its end. */
export async function fit(
  trainer: Trainer,
  data: OpenedData,
  flags: TrainingFlags,
  options: SessionOptions,
  io: Io,
): Promise<boolean> {
  const {folder, round, cluster, save, command, use} = options;
  const {json, patience, keepBest, tensorboard} = flags;
  if (!data.valid && (patience !== undefined || keepBest)) {
    throw new UsageError(
      `--${keepBest ? 'keep-best' : 'patience'} needs text to validate on: --held-out, or a valid.jsonl`,
    );
  }
  const event = (name: string, fields: object) => io.out(`${JSON.stringify({event: name, ...fields})}\n`);
  if (round.resumes && !json)
    io.out(`Going on with the run in ${show(folder)}, which was stopped on its way to ${round.steps} steps.\n`);
  const line = new StatusLine(io);
  const progress = new ProgressLine(round.steps, undefined, round.resumes ? undefined : 0);
  const board =
    tensorboard === undefined || (cluster && cluster.rank > 0) ? undefined : await tensorBoardLog(tensorboard);
  const tell = (text: string) => {
    line.end();
    io.out(`${text}\n`);
  };
  try {
    const {ended, step, curve, best} = await fitInFolder(trainer, data.train!.training, {
      folder,
      round,
      cluster,
      save,
      saveEvery: flags.saveEvery,
      keepBest,
      reportEvery: flags.stepsPerReport,
      title: 'nats per token, over steps',
      signal: io.signal,
      validation: data.valid && {
        dataset: data.valid.evaluation,
        every: flags.stepsPerEval,
        patience,
        batches: flags.valBatches === -1 ? undefined : flags.valBatches,
      },
      onStep: async (report) => {
        await board?.callbacks.onStep(report);
        if (json) return event('step', report);
        const text = `${progress.text(report)} | ${Math.round(process.memoryUsage().rss / 1e6).toLocaleString('en')} MB`;
        return io.interactive ? line.show(text) : tell(text);
      },
      onValidation: async ({step: at, loss, perplexity}) => {
        await board?.callbacks.onValidation({step: at, loss, perplexity});
        if (json) event('validation', {step: at, loss, perplexity});
        else tell(`step ${at}: validation loss ${loss.toFixed(4)}, perplexity ${perplexity.toFixed(2)}`);
      },
    });
    line.end();
    const stopped = ended === 'aborted';
    if (json) event(stopped ? 'stopped' : 'end', {step, folder, best});
    else {
      io.out(`loss ${sparkline(curve.points)}   (${show(folder)}/loss.svg)\n`);
      if (ended === 'patience') io.out(`Ended after step ${step}: ${patience} validations in a row were no better.\n`);
      if (best && keepBest && !stopped) {
        io.out(
          `Kept are the weights of step ${best.step}, whose validation loss of ${best.loss.toFixed(4)} was the lowest.\n`,
        );
      }
      io.out(
        stopped
          ? `Stopped after step ${step} of ${round.steps}, and saved. To go on: ${goesOnWith(command, flags, cluster)}\n`
          : `It is in ${show(folder)}. To try it: npx tfjs-mamba generate ${use} 'Once'\n`,
      );
    }
    return !stopped;
  } finally {
    await board?.close();
    line.end();
  }
}
