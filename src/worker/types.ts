/** What goes between a page and the model in its worker. */
import type {MambaConfig, ResolvedMambaConfig} from '../config/config';
import type {PresetName} from '../config/presets';
import type {AdamWOptions} from '../training/adamW';
import type {Evaluation, FitResult, StepReport} from '../training/options';
import type {WarmupCosineOptions} from '../training/schedules';

/** The sizes of a fresh model, or the name of a preset. */
export type ModelConfigOrName = MambaConfig | PresetName;

/** The backend of a worker, and why it is that one. */
export interface WorkerBackend {
  backend: string;
  reason: string;
}

/** What a page knows of a model. */
export interface ModelDescription {
  handle: number;
  config: ResolvedMambaConfig;
  parameters: number;
  hasTokenizer: boolean;
}

/** What a model in a worker is trained on, and how. */
export interface WorkerFitOptions {
  /** A text, which the model's tokenizer makes ids of, or token ids. */
  data: string | ArrayLike<number>;
  /** Rows in a batch, and tokens in a row; crops are at random places, by `seed`. */
  batchSize: number;
  length: number;
  seed?: number;
  /** AdamW's options; a warm-up with a cosine as its numbers. */
  optimizer: Omit<AdamWOptions, 'learningRate' | 'schedule'> & {learningRate: number | WarmupCosineOptions};
  /** Where training ends, counted from its beginning. */
  steps: number;
  /** Tells of every so many steps (1). */
  reportEvery?: number;
  /** The loss over another text, every so many steps, over the first `batches` of it if given. */
  validation?: {data: string | ArrayLike<number>; every: number; batches?: number};
  /** The name under which this browser keeps the run: it goes on from there, and is kept every so many steps and at the end. */
  checkpoint?: {name: string; every?: number};
  /** Ends training; the worker finishes the step at hand, and a checkpoint if there is to be one. */
  signal?: AbortSignal;
  callbacks?: {
    /** After each step that is told of. */
    onStep?(report: StepReport): unknown;
    /** After each validation. */
    onValidation?(result: Evaluation & {step: number}): unknown;
    /** After each checkpoint. */
    onCheckpoint?(at: {step: number}): unknown;
  };
}

/** What a training in a worker ended with. */
export type WorkerFitResult = FitResult & {
  /** Of one that was aborted: its true end, with the step that was at hand, and its checkpoint if there is to be one. */
  settled?: Promise<FitResult>;
};
