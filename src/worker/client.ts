/**
 * A model in a Web Worker, for a page that stays responsive while it generates and trains. The functions are those of the package, as
 * promises; models and histories stay in the worker, and bytes that come from there are handed over, not copied. Nothing here needs
 * TensorFlow.js, which only the worker loads.
 */
import type {GeneratedText, GeneratedToken, GenerateOptions} from '../lm/generate';
import type {StateHistoryOptions} from '../lm/history';
import type {MambaLMOptions} from '../lm/model';
import type {FromPretrainedOptions, SavePretrainedOptions} from '../lm/pretrained';
import type {Selection} from '../lm/selection';
import type {StateSource} from '../lm/states';
import type {FitResult, StepReport} from '../training/options';
import {fileAt, filesOfModel} from '../checkpoints/chosenFiles';
import {Channel} from './channel';
import {buffersOf} from './messages';
import type {ModelConfigOrName, ModelDescription, WorkerBackend, WorkerFitOptions, WorkerFitResult} from './types';

/** The options of {@link WorkerModel.generate}: those of a model, with a history that is in the worker. */
export type WorkerGenerateOptions = Omit<GenerateOptions, 'state' | 'history'> & {history?: WorkerHistory};

/** The options of {@link ModelWorker.fromPretrained}. */
export type WorkerLoadOptions = Omit<FromPretrainedOptions, 'cache'> & {
  /** Whether downloads are kept in this browser for the next time (false). */
  cache?: boolean;
  /** Is told, once, why a download is not kept. */
  onUncached?(why: string): void;
};

/** A text that a model in a worker has read and written; see `StateHistory`. */
export class WorkerHistory {
  /** @internal */
  constructor(
    private readonly channel: Channel,
    readonly handle: number,
    private readonly model: number,
  ) {}

  /** Every id read or written, oldest first. */
  ids(): Promise<number[]> {
    return this.channel.call('ids', [this.handle]);
  }

  /** Takes the last tokens back, and gives their ids. */
  rollBack(count: number): Promise<number[]> {
    return this.channel.call('rollBack', [this.handle, count]);
  }

  /** The same once more, to be continued in another way. */
  async fork(): Promise<WorkerHistory> {
    return new WorkerHistory(this.channel, await this.channel.call('fork', [this.handle]), this.model);
  }

  /** As `saveState`: the bytes, and `indexeddb://name` if that is the target. */
  save(target?: string): Promise<Uint8Array<ArrayBuffer>> {
    return this.channel.call('saveState', [this.model, this.handle, target]);
  }

  /** Frees the states. */
  dispose(): Promise<void> {
    return this.channel.call('dispose', [this.handle]);
  }
}

/** A language model in a worker; see `MambaLM`. */
export class WorkerModel {
  readonly config: ModelDescription['config'];
  readonly parameters: number;
  /** Whether it takes and gives text. */
  readonly hasTokenizer: boolean;
  private readonly handle: number;
  /** The end of a training that has been aborted, which what comes next waits for. */
  private settling: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(
    private readonly channel: Channel,
    {handle, config, parameters, hasTokenizer}: ModelDescription,
  ) {
    this.handle = handle;
    this.config = config;
    this.parameters = parameters;
    this.hasTokenizer = hasTokenizer;
  }

  /** Continues a text, token by token; aborting or leaving the loop ends the work in the worker too. */
  generate(prompt: string, options?: WorkerGenerateOptions): AsyncGenerator<GeneratedText, void, undefined>;
  /** Continues token ids. */
  generate(
    prompt: readonly number[] | ReadonlyArray<readonly number[]>,
    options?: WorkerGenerateOptions,
  ): AsyncGenerator<GeneratedToken, void, undefined>;
  async *generate(
    prompt: string | readonly unknown[],
    {signal, onEnd, history, ...rest}: WorkerGenerateOptions = {},
  ): AsyncGenerator<GeneratedToken & GeneratedText, void, undefined> {
    if (history && !(history instanceof WorkerHistory)) {
      throw new Error('generate: history must be one in the worker, such as stateHistory of its model gives');
    }
    const options = {...rest, ...(history && {history: history.handle})};
    const events = {end: onEnd};
    await this.settling;
    yield* this.channel.stream<GeneratedToken & GeneratedText>('generate', [this.handle, prompt, options], {
      signal,
      events,
    });
  }

  /**
   * Trains, and tells of it by callbacks; see `trainer`. Aborted, it resolves at once with `ended: 'aborted'` and the last step that was told
   * of, and no callback is called any more. The worker finishes the step at hand, and the checkpoint if there is to be one: `settled` of the
   * result is the promise of that, and all that the model is asked for next waits for it. With a signal that has been aborted before, it rejects.
   */
  async fit(given: WorkerFitOptions): Promise<WorkerFitResult> {
    const {signal, callbacks = {}, ...options} = given ?? {};
    const {onStep, onValidation, onCheckpoint} = callbacks;
    await this.settling;
    let report: StepReport | undefined;
    let isLeft = false;
    const unlessLeft =
      <T>(callback?: (detail: T) => unknown) =>
      (detail: T) =>
        isLeft ? undefined : callback?.(detail);
    const step = (told: StepReport) => onStep?.((report = told));
    const events = {
      step: unlessLeft(step),
      validation: unlessLeft(onValidation),
      checkpoint: unlessLeft(onCheckpoint),
    };
    const settled = this.channel.call<FitResult>('fit', [this.handle, options], {signal, events});
    return new Promise((resolve, reject) => {
      const leave = () => {
        // Before the first step nothing is known that could be told.
        if (!report) return;
        isLeft = true;
        this.settling = settled.catch(() => undefined);
        resolve({step: report.step, ended: 'aborted', report, settled});
      };
      signal?.addEventListener('abort', leave);
      settled.then(resolve, reject).finally(() => signal?.removeEventListener('abort', leave));
    });
  }

  /** The files of the model in the Hugging Face layout, by name. */
  async savePretrained({signal, ...options}: SavePretrainedOptions = {}): Promise<
    Record<string, Uint8Array<ArrayBuffer>>
  > {
    await this.settling;
    return this.channel.call('savePretrained', [this.handle, options], {signal});
  }

  /** The ids of a text. */
  encode(text: string): Promise<number[]> {
    return this.channel.call('encode', [this.handle, text]);
  }

  /** The text of ids. */
  decode(ids: readonly number[]): Promise<string> {
    return this.channel.call('decode', [this.handle, ids]);
  }

  /** What it selects of a text, and what its state keeps; see `selection`. */
  selection(ids: readonly number[], options: {at?: number} = {}): Promise<Selection> {
    return this.channel.call('selection', [this.handle, ids, options]);
  }

  /**
   * The natural log probability of every token to come next, after a history and further ids, which are not added to it.
   *
   * @returns [vocabSize]
   */
  logprobs(history: WorkerHistory, ids: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    return this.channel.call('logprobs', [this.handle, history.handle, ids]);
  }

  /** An empty history. */
  async stateHistory(options: StateHistoryOptions = {}): Promise<WorkerHistory> {
    return new WorkerHistory(this.channel, await this.channel.call('stateHistory', [options]), this.handle);
  }

  /** A history that was saved: `indexeddb://name`, bytes or a file. */
  async loadHistory(source: StateSource, options: StateHistoryOptions = {}): Promise<WorkerHistory> {
    // A copy that is handed over takes half the time of bytes in a message.
    const bytes = source instanceof ArrayBuffer ? new Uint8Array(source) : source;
    const given = bytes instanceof Uint8Array ? new Uint8Array(bytes) : bytes;
    const transfer = buffersOf(given);
    const handle = await this.channel.call<number>('loadHistory', [this.handle, given, options], {transfer});
    return new WorkerHistory(this.channel, handle, this.handle);
  }

  /** Frees the weights. */
  async dispose(): Promise<void> {
    await this.settling;
    return this.channel.call('dispose', [this.handle]);
  }
}

/** What {@link modelWorker} gives. */
export class ModelWorker {
  private readonly channel: Channel;

  /** @internal */
  constructor(private readonly worker: Worker) {
    this.channel = new Channel(worker);
  }

  /** Starts a backend, by name, or the best one that computes right (`autoBackend`); says which, and why. */
  backend(name?: string): Promise<WorkerBackend> {
    return this.channel.call('backend', name === undefined ? [] : [name]);
  }

  /**
   * Loads a checkpoint, from a URL, the Hub, or files that somebody chose or dropped; see `fromPretrained`. Where `cache` is true and the
   * browser has no room, or keeps nothing for this page, the model is loaded all the same, and `onUncached` told why it is not kept.
   */
  async fromPretrained(
    source: string | URL | Iterable<File>,
    {signal, onProgress, onUncached, ...options}: WorkerLoadOptions = {},
  ): Promise<WorkerModel> {
    const events = {progress: onProgress, uncached: onUncached};
    return this.open('fromPretrained', [sourceFor(source), options], {signal, events});
  }

  /** A model with fresh weights; `tokenizer` is what `loadTokenizer` takes as parsed content, such as `{type: 'byte'}`. */
  async mambaLM(config: ModelConfigOrName, options: MambaLMOptions & {tokenizer?: object} = {}): Promise<WorkerModel> {
    return this.open('mambaLM', [config, options]);
  }

  /** The names of the states that this browser keeps, as `indexeddb://name`. */
  listStates(): Promise<string[]> {
    return this.channel.call('listStates', []);
  }

  /** Deletes a state that this browser keeps. */
  deleteState(place: string): Promise<void> {
    return this.channel.call('deleteState', [place]);
  }

  /** Deletes what this browser keeps of a training run, so that the next one of that name begins at the beginning. */
  deleteCheckpoint(name: string): Promise<void> {
    return this.channel.call('deleteCheckpoint', [name]);
  }

  /** Ends the worker, with all that is in it. */
  terminate(): void {
    this.worker.terminate();
    this.channel.close('the worker was terminated');
  }

  private async open(...call: Parameters<Channel['call']>): Promise<WorkerModel> {
    return new WorkerModel(this.channel, await this.channel.call(...call));
  }
}

/**
 * Connects to a worker whose file calls `serve` of `tfjs-mamba/worker/serve`:
 *
 * ```js
 * const models = modelWorker(new Worker(new URL('./worker.js', import.meta.url), {type: 'module'}));
 * ```
 */
export function modelWorker(worker: Worker): ModelWorker {
  if (typeof (worker as Partial<Worker> | undefined)?.postMessage !== 'function') {
    throw new Error('modelWorker: worker must be a Worker, whose file calls serve of tfjs-mamba/worker/serve');
  }
  return new ModelWorker(worker);
}

/**
 * A worker made of its own code, for a page that is one file and can host no second: `modelWorker(blobWorker(code))`. The policy of such a page
 * has to allow `worker-src blob:`. In the worker addresses have to be whole, as it has none of its own that others could be relative to.
 *
 * @param code What a bundler makes of the worker's file, as a text: one classic script or module without imports.
 */
export function blobWorker(code: string): Worker {
  if (typeof code !== 'string') throw new Error('blobWorker: code must be the code of a worker, as a text');
  const url = URL.createObjectURL(new Blob([code], {type: 'text/javascript'}));
  return new Worker(url, {type: 'module'});
}

/** A worker does not know the page's address, which a path is relative to. */
function sourceFor(source: string | URL | Iterable<File>): string | File[] {
  if (source instanceof URL) return source.href;
  if (typeof (source as Partial<Iterable<File>> | null | undefined)?.[Symbol.iterator] !== 'function') {
    throw new Error(
      `fromPretrained: source must be a URL, a name on the Hub, or files that somebody chose, but is ${String(source)}`,
    );
  }
  // Files lose the names of their folders on the way.
  if (typeof source !== 'string') {
    return filesOfModel([...source].map(fileAt));
  }
  return /^\.{0,2}\//.test(source) ? new URL(source, document.baseURI).href : source;
}
