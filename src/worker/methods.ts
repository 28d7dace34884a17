/** What a worker can be asked to do: the functions of this package, with numbers in place of the models and histories that stay here. */
import * as tf from '@tensorflow/tfjs';
import {autoBackend, problemComputing} from '../autoBackend';
import {chosenFiles} from '../checkpoints/chosenFiles';
import type {GenerateOptions} from '../lm/generate';
import {stateHistory, type StateHistory, type StateHistoryOptions} from '../lm/history';
import {MambaLM, mambaLM, type MambaLMOptions} from '../lm/model';
import {fromPretrained, savePretrained, type SavePretrainedOptions} from '../lm/pretrained';
import {selection} from '../lm/selection';
import {deleteState, listStates, loadHistory, saveState, type StateSource} from '../lm/states';
import {loadTokenizer, type Tokenizer} from '../lm/tokenizers';
import {restartBackend} from '../recovery';
import {deleteBrowserCheckpoint} from '../training/browserCheckpoints';
import {fit} from './fitting';
import type {Methods} from './host';
import {pageCache} from './pageCache';
import type {ModelConfigOrName, ModelDescription, WorkerBackend, WorkerFitOptions} from './types';

/** A model or a history that the page knows by its number. */
const kept = new Map<number, MambaLM | StateHistory>();
let last = 0;

function keep(object: MambaLM | StateHistory): number {
  kept.set(++last, object);
  return last;
}

function modelOf(handle: number): MambaLM {
  const model = kept.get(handle);
  if (!(model instanceof MambaLM)) throw new Error('modelWorker: the model has been disposed');
  return model;
}

function historyOf(handle: number): StateHistory {
  const history = kept.get(handle);
  if (!history || history instanceof MambaLM) throw new Error('modelWorker: the history has been disposed');
  return history;
}

/** What goes wrong in a model that has been disposed meanwhile goes wrong because of that. */
function unlessDisposed(handle: number, error: unknown): never {
  modelOf(handle);
  throw error;
}

function tokenizerOf(handle: number): Tokenizer {
  const {tokenizer, tokenizerFault} = modelOf(handle);
  if (!tokenizer)
    throw new Error(`modelWorker: the model has no tokenizer${tokenizerFault ? `: ${tokenizerFault.message}` : ''}`);
  return tokenizer;
}

function describe(model: MambaLM): ModelDescription {
  return {handle: keep(model), config: model.config, parameters: model.countParams(), hasTokenizer: !!model.tokenizer};
}

export const methods = {
  async backend(_, name?: string): Promise<WorkerBackend> {
    if (name === undefined) {
      const {backend, reason} = await autoBackend();
      return {backend, reason};
    }
    const started = tf.findBackendFactory(name) !== null && (await tf.setBackend(name));
    // A GPU that was lost comes back only if it is asked for anew.
    if (started && tf.getBackend() === name && (await problemComputing())) await restartBackend();
    if (!started || tf.getBackend() !== name) {
      const hint = name === 'wasm' ? '; its .wasm files have to be found: setWasmPaths, in the worker, says where' : '';
      throw new Error(`modelWorker: the backend ${name} does not start here, or the worker does not import it${hint}`);
    }
    return {backend: name, reason: 'it was asked for'};
  },

  async fromPretrained({signal, emit}, source: string | File[], {cache, ...options}: {cache?: boolean}) {
    const onProgress = (progress: unknown) => emit('progress', progress);
    const from = Array.isArray(source) ? chosenFiles(source) : source;
    const kept = cache === true && (await pageCache((why) => emit('uncached', why)));
    return describe(await fromPretrained(from, {...options, cache: kept, signal, onProgress}));
  },

  async mambaLM(_, config: ModelConfigOrName, {tokenizer, ...options}: MambaLMOptions & {tokenizer?: object}) {
    const loaded = tokenizer && (await loadTokenizer(tokenizer));
    return describe(Object.assign(mambaLM(config, options), loaded && {tokenizer: loaded}));
  },

  async *generate({signal, emit}, handle: number, prompt: string, options: GenerateOptions & {history?: number}) {
    const {history, ...rest} = options;
    const onEnd = (end: unknown) => emit('end', end);
    const own = history === undefined ? {} : {history: historyOf(history)};
    try {
      yield* modelOf(handle).generate(prompt, {...rest, ...own, signal, onEnd});
    } catch (error) {
      unlessDisposed(handle, error);
    }
  },

  fit: ({signal, emit}, handle: number, options: WorkerFitOptions) =>
    fit(modelOf(handle), options, signal, emit).catch((error) => unlessDisposed(handle, error)),

  async savePretrained({signal}, handle: number, options: SavePretrainedOptions) {
    const files: Record<string, Uint8Array<ArrayBuffer>> = {};
    const write = (name: string, bytes: Uint8Array<ArrayBuffer>) => void (files[name] = bytes);
    await savePretrained(modelOf(handle), {write}, {...options, signal});
    return files;
  },

  encode: (_, handle: number, text: string) => tokenizerOf(handle).encode(text),
  decode: (_, handle: number, ids: number[]) => tokenizerOf(handle).decode(ids),

  selection: (_, handle: number, ids: number[], options: {at?: number}) => selection(modelOf(handle), ids, options),

  stateHistory: (_, options: StateHistoryOptions) => keep(stateHistory(options)),
  async loadHistory(_, handle: number, source: StateSource, options: StateHistoryOptions) {
    return keep(await loadHistory(modelOf(handle), source, options));
  },
  ids: (_, history: number) => [...historyOf(history).ids],
  rollBack: (_, history: number, count: number) => historyOf(history).rollBack(count),
  fork: (_, history: number) => keep(historyOf(history).fork()),
  saveState: (_, handle: number, history: number, target?: string) =>
    saveState(modelOf(handle), historyOf(history), target),

  async logprobs(_, handle: number, history: number, ids: number[]) {
    const fork = historyOf(history).fork();
    try {
      const {logits, state} = fork.read(modelOf(handle), ids);
      fork.end();
      const result = tf.tidy(() => tf.logSoftmax(logits));
      tf.dispose([logits, state]);
      return await result.data().finally(() => result.dispose());
    } finally {
      fork.dispose();
    }
  },

  listStates: () => listStates(),
  deleteState: (_, place: string) => deleteState(place),
  deleteCheckpoint: (_, name: string) => deleteBrowserCheckpoint(name),

  dispose(_, handle: number) {
    kept.get(handle)?.dispose();
    kept.delete(handle);
  },
} satisfies Methods;
