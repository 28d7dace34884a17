/**
 * States kept for another day: as bytes, as a file, or under a name in the browser. What is restored is the same bit for bit, whatever
 * the backend, and a state of another model is refused.
 */
import * as tf from '@tensorflow/tfjs';
import {bytesFile, type ByteFile} from '../checkpoints/bytes';
import {filePlatform} from '../checkpoints/platform';
import {blocked} from '../fileErrors';
import {openDatabase} from '../indexedDb';
import {describe} from '../ops/check';
import {fingerprintOf} from './fingerprint';
import type {StateHistoryOptions} from './history';
import {forkState, readDepth, StateHistory} from './history';
import {MambaLM, type MambaState} from './model';
import type {StoredState} from './stateFile';
import {decodeState, encodeState, fileOf} from './stateFile';

/** A state that has been kept: its bytes, a file that a user chose, `indexeddb://name` in a browser, or a path in Node. */
export type StateSource = string | Blob | ArrayBuffer | Uint8Array;

/** How names in the browser begin, as in TensorFlow.js. */
const IN_BROWSER = 'indexeddb://';

/**
 * Keeps a state, or a history as far as it has come: the newest state, and all ids.
 *
 * @param model Whose state it is.
 * @param state What `prefill` or `step` gave, or a history; nothing of it is disposed.
 * @param target `indexeddb://name` in a browser; a path in Node, where the file appears when it is whole. Without one there are the bytes.
 * @returns The bytes of a safetensors file.
 * @throws Error naming what is wrong, or saying that there is no room.
 */
export async function saveState(
  model: MambaLM,
  state: MambaState | StateHistory,
  target?: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const write = target === undefined ? undefined : placeOf('saveState', target).write;
  const bytes = encodeState(await stored(model, state));
  await write?.(bytes).catch((error: Error) => {
    throw blocked('saveState', 'target', target!, 'a file', error);
  });
  return bytes;
}

/**
 * Reads a state. That of a history is brought to its end, with every id read.
 *
 * @param model Whose state it is.
 * @throws Error naming the file if it is none, is damaged, or is of another model; then no tensor is left behind.
 */
export async function loadState(model: MambaLM, source: StateSource): Promise<MambaState> {
  const {parts, history} = await read('loadState', model, source);
  const state = toState(model, parts);
  if (!history) return state;
  const {logits, state: whole} = model.prefill([history.ids.slice(history.count)], {state});
  tf.dispose([state, logits]);
  return whole;
}

/**
 * Reads a history, which goes on where it was saved: `generate` gives what it would have given then. Of its states there is the newest;
 * tokens before that are read again where they are needed.
 *
 * @param model Whose history it is.
 * @throws Error naming the file if it is none, is damaged, or is of another model; then no tensor is left behind.
 */
export async function loadHistory(
  model: MambaLM,
  source: StateSource,
  options: StateHistoryOptions = {},
): Promise<StateHistory> {
  const depth = readDepth('loadHistory', options);
  const {parts, history} = await read('loadHistory', model, source);
  if (!history) throw new Error('loadHistory: the file has a state without the ids before it; loadState reads it');
  return new StateHistory(depth).restore(history.ids, {count: history.count, state: toState(model, parts)});
}

/** The names of the states that this browser keeps, as `indexeddb://name`. */
export async function listStates(): Promise<string[]> {
  return (await openDatabase('listStates', 'states').names()).map((name) => IN_BROWSER + name);
}

/** Deletes a state that this browser keeps, if it is there: `indexeddb://name`. */
export async function deleteState(target: string): Promise<void> {
  const name = nameOf('deleteState', target);
  await openDatabase('deleteState', 'states').delete(name);
}

async function stored(model: MambaLM, of: MambaState | StateHistory): Promise<StoredState> {
  if (!(model instanceof MambaLM)) throw new Error('saveState: model must be a MambaLM, such as mambaLM makes');
  const isHistory = !Array.isArray(of) && typeof (of as Partial<StateHistory> | undefined)?.rollBack === 'function';
  if (isHistory) of.checkInUse('saveState');
  const {count, state} = isHistory ? of.newest : {count: 0, state: of as MambaState};
  if (isHistory && state === undefined) throw new Error('saveState: the history is empty; there is no state yet');
  model.checkState('saveState', state!);
  const kept = forkState(state!); // which nobody can dispose while it is read
  const history = isHistory ? {ids: [...of.ids], count} : undefined;
  try {
    const fingerprint = await fingerprintOf(model);
    const parts = kept.flatMap((block, layer) => {
      return Object.entries(block).map(async ([name, tensor]) => {
        const values = (await tensor.data()) as Float32Array;
        return {name: partName(layer, name), shape: tensor.shape, values};
      });
    });
    return {fingerprint, parts: await Promise.all(parts), history};
  } finally {
    tf.dispose(kept);
  }
}

async function read(op: string, model: MambaLM, source: StateSource): Promise<StoredState> {
  if (!(model instanceof MambaLM)) throw new Error(`${op}: model must be a MambaLM, such as mambaLM makes`);
  const file = typeof source === 'string' ? await placeOf(op, source).open() : fileOf(op, source);
  if (!file) throw new Error(`${op}: there is no state at ${source as string}`);
  const shapes = model
    .stateShapes(null)
    .flatMap((block, layer) => block.map(([name, shape]) => [partName(layer, name), shape] as const));
  return decodeState(op, file, await fingerprintOf(model), shapes);
}

function toState(model: MambaLM, parts: StoredState['parts']): MambaState {
  const values = new Map(parts.map((part) => [part.name, part]));
  return model.stateShapes(null).map((block, layer) => {
    const tensors = block.map(([name]) => {
      const part = values.get(partName(layer, name))!;
      return [name, tf.tensor(part.values, part.shape, 'float32')];
    });
    return Object.fromEntries(tensors);
  }) as MambaState;
}

function partName(layer: number, name: string): string {
  return `layers.${layer}.${name}`;
}

/** Where a state is kept. */
interface Place {
  open(): Promise<ByteFile | undefined>;
  write(bytes: Uint8Array<ArrayBuffer>): Promise<void>;
}

function placeOf(op: string, place: unknown): Place {
  if (typeof place !== 'string' || place === '') {
    throw new Error(`${op}: the place must be ${IN_BROWSER}name or a path, but is ${describe(place)}`);
  }
  if (place.startsWith(IN_BROWSER)) {
    const database = openDatabase<Blob | Uint8Array<ArrayBuffer>>(op, 'states');
    const name = nameOf(op, place);
    return {
      open: async () => {
        const kept = await database.get(name);
        return kept && bytesFile(place, kept instanceof Blob ? new Uint8Array(await kept.arrayBuffer()) : kept);
      },
      // A Blob takes Chromium half of the time of bytes, which it packs; some browsers' private windows keep none.
      write: (bytes) => database.put(name, new Blob([bytes])).catch(() => database.put(name, bytes)),
    };
  }
  const platform = filePlatform();
  if (!platform) {
    throw new Error(
      `${op}: ${place} is a path, and files need the entry point tfjs-mamba/node; in a browser ${IN_BROWSER}name keeps a ` +
        'state, and without a place saveState gives the bytes',
    );
  }
  return {open: () => platform.openFile(place), write: (bytes) => platform.writeFile(place, bytes)};
}

function nameOf(op: string, place: string): string {
  const name = String(place).startsWith(IN_BROWSER) ? place.slice(IN_BROWSER.length) : '';
  if (name === '') throw new Error(`${op}: the place must be ${IN_BROWSER} and a name, but is ${String(place)}`);
  return name;
}
