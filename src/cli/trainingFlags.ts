/** The flags of the commands that train, called as those of mlx_lm.lora where it has them. */
import type {Command} from 'commander';
import {Option} from 'commander';
import type {RunFlags} from './flags';
import {
  above0,
  fraction,
  nonNegative,
  natural,
  option,
  positive,
  positiveOrAll,
  withBackend,
  withOutput,
} from './flags';

/** Their values. */
export interface TrainingFlags extends RunFlags {
  data?: string;
  iters: number;
  batchSize: number;
  maxSeqLength: number;
  learningRate: number;
  weightDecay: number;
  gradAccumulationSteps: number;
  heldOut: number;
  valBatches: number;
  stepsPerReport: number;
  stepsPerEval: number;
  saveEvery: number;
  seed: number;
  force?: boolean;
  resume?: boolean;
  maskPrompt?: boolean;
  pack?: boolean;
  stateful?: boolean;
  patience?: number;
  keepBest?: boolean;
  emaDecay?: number;
  tensorboard?: string;
  gradCheckpoint?: boolean;
  cluster?: boolean;
  sequenceParallel?: boolean;
  shardOptimizer?: boolean;
  lrSchedule: 'cosine' | 'linear' | 'constant';
}

/** What differs between training from scratch and further. */
export type TrainingDefaults = Pick<
  TrainingFlags,
  'iters' | 'batchSize' | 'maxSeqLength' | 'weightDecay' | 'saveEvery' | 'stepsPerEval'
> & {learningRate?: number};

/** What help says beside. */
export interface TrainingNotes {
  /** What the data is unless given. */
  data?: string;
  /** What the learning rate is, where it depends on other flags. */
  learningRate?: string;
}

const data =
  'a text file, a folder of texts, JSON lines, a folder with train.jsonl and valid.jsonl, or - for standard input';

/** Adds them, in groups. */
export function withTraining(command: Command, defaults: TrainingDefaults, notes: TrainingNotes = {}): Command {
  const add = (flags: string, description: string, read: (text: string) => number, byDefault: number) =>
    command.addOption(option(flags, description, read).default(byDefault));
  command.optionsGroup('Data:').option('--data <source>', data + (notes.data ?? ''));
  add('--max-seq-length <n>', 'tokens in a row; what is longer is cut', positive, defaults.maxSeqLength);
  command
    .option('--mask-prompt', 'of JSON lines, learn the completion alone, or the last message')
    .option('--pack', 'of JSON lines, put several examples into a row, exactly apart: no time is lost on padding')
    .option('--stateful', 'of a text, let each row go on where it ended in the step before, with the state it had');
  add('--held-out <share>', 'of the data, for validation, where it has no valid.jsonl', fraction, 0.1);
  command.optionsGroup('Training:');
  add('--iters <n>', 'steps', positive, defaults.iters);
  add('--batch-size <n>', 'rows in a batch', positive, defaults.batchSize);
  add('--grad-accumulation-steps <n>', 'batches in a step, as one large batch', positive, 1);
  const rate = 'at its peak: it warms up over a twentieth of the steps and then does as --lr-schedule says';
  command.addOption(option('--learning-rate <x>', rate, above0, notes.learningRate).default(defaults.learningRate));
  command
    .addOption(
      new Option('--lr-schedule <form>', 'how it falls').choices(['cosine', 'linear', 'constant']).default('cosine'),
    )
    .option('--grad-checkpoint', 'run each block once more for its gradient: far less memory, a third more time');
  command.addOption(option('--ema-decay <x>', 'keep a mean of the weights, of which each step leaves this share', fraction, 'none')); // prettier-ignore
  command.addOption(option('--patience <n>', 'end after so many validations in a row that are no better', positive, 'never')); // prettier-ignore
  add('--weight-decay <x>', "AdamW's", nonNegative, defaults.weightDecay);
  add('--seed <n>', 'of the order of the data, and of what else is drawn', natural, 0);
  command.optionsGroup('Seeing and keeping:');
  add('--steps-per-report <n>', 'steps between two reports', positive, 10);
  add('--steps-per-eval <n>', 'steps between two validations', positive, defaults.stepsPerEval);
  add('--val-batches <n>', 'batches of a validation; -1 for all', positiveOrAll, 25);
  add('--save-every <n>', 'steps between two checkpoints', positive, defaults.saveEvery);
  command
    .option('--keep-best', 'keep in the end the weights of the lowest validation loss, not the last')
    .option('--tensorboard <folder>', 'write what TensorBoard shows')
    .option('--resume', 'train a finished run for a further round (one that was stopped goes on by itself)')
    .option('--force', 'start anew, over the run that is in the folder');
  command
    .optionsGroup('Several processes:')
    .option('--cluster', 'train together with the processes that TF_CONFIG names, such as "tfjs-mamba launch" starts')
    .option('--sequence-parallel', 'with --cluster: each takes a stretch of every row, in place of rows')
    .option('--shard-optimizer', "with --cluster: each keeps its part of the optimizer's moments");
  command.optionsGroup('Other:');
  withOutput(withBackend(command), 'a line of JSON for each report, validation and checkpoint');
  return command;
}
