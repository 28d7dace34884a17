/** `bench -- states`: what is measured, in Node as in a page. */
import * as tf from '@tensorflow/tfjs';
import type {MambaConfig, MambaState} from '../src';
import {forkState, loadHistory, loadState, mambaLM, presets, saveState, stateHistory} from '../src';
import {modelWorker} from '../src/entry/worker';
import {median} from './timing';

/** Ids have no part in a state. */
const config: MambaConfig = {...presets['mamba-130m'], vocabSize: 512};
const LENGTHS = [10, 10_000];
const PROMPT = [1, 2, 3, 4, 5, 6, 7, 8];
const few = {maxNewTokens: 2, stopTokens: []};
/** For each figure, and at least so many runs. */
const BUDGET = 1500;
const LEAST = 20;

/** Best and median in ms of saving, loading and forking. */
export type Row = [name: string, ...figures: number[]];

type Bytes = Uint8Array<ArrayBuffer>;

/** A history here or in a worker, and what can be done with it. */
interface Keeping<H> {
  history: H;
  save(history: H, place?: string): Promise<Bytes>;
  load(source: Bytes | Blob | string): Promise<H>;
  fork(history: H): H | Promise<H>;
}

/** Best and median of many runs, in ms; the first three are not counted. What `after` does is outside of the time. */
async function time<T>(work: () => T | Promise<T>, after: (made: T) => unknown = () => {}): Promise<number[]> {
  const times: number[] = [];
  const end = performance.now() + BUDGET;
  while (times.length < LEAST || performance.now() < end) {
    const begin = performance.now();
    const made = await work();
    times.push(performance.now() - begin);
    await after(made);
  }
  const counted = times.slice(3);
  return [Math.min(...counted), median(counted)];
}

/** The same file, but as if so many tokens had been read. */
function lengthened(bytes: Bytes, count: number): Bytes {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as {__metadata__: object};
  const ids = Array.from({length: count}, (_, i) => (i * 7) % config.vocabSize);
  Object.assign(header.__metadata__, {ids: ids.join(), read: String(count - 1)});
  const text = JSON.stringify(header);
  const head = new TextEncoder().encode(text.padEnd(8 * Math.ceil(text.length / 8)));
  const size = new Uint8Array(new BigUint64Array([BigInt(head.length)]).buffer);
  return new Uint8Array([...size, ...head, ...bytes.subarray(8 + length)]);
}

/** Writing and reading of nothing but bytes, in a database that is open already. */
async function bareDatabase(bytes: Bytes): Promise<number[][]> {
  const opening = indexedDB.open('bare', 1);
  opening.onupgradeneeded = () => opening.result.createObjectStore('bytes');
  const until = (target: IDBRequest | IDBTransaction, name: string) =>
    new Promise((resolve, reject) => {
      target.addEventListener(name, resolve);
      target.addEventListener('error', reject);
    });
  await until(opening, 'success');
  const begin = (mode: IDBTransactionMode) => opening.result.transaction('bytes', mode, {durability: 'relaxed'});
  const put = async () => {
    const transaction = begin('readwrite');
    transaction.objectStore('bytes').put(bytes, 'one');
    await until(transaction, 'complete');
  };
  const get = () => until(begin('readonly').objectStore('bytes').get('one'), 'success');
  const figures = [await time(put), await time(get)];
  opening.result.close();
  return figures;
}

/** A row for each length and place. */
async function rows<H extends {dispose(): unknown}>(
  where: string,
  {history, save, load, fork}: Keeping<H>,
  places: string[],
): Promise<Row[]> {
  const dispose = (made: H) => made.dispose();
  const short = await save(history);
  const table: Row[] = [];
  for (const length of LENGTHS) {
    const own = await load(lengthened(short, length));
    const bytes = await save(own);
    const row = (name: string, ...figures: number[][]) =>
      table.push([`${where}${length} tokens, ${name}`, ...figures.flat()]);
    const forked = await time(() => fork(own), dispose);
    row('bytes', await time(() => save(own)), await time(() => load(bytes), dispose), forked);
    const blob = new Blob([bytes]);
    const ofBrowser = "  the browser's own, the same bytes";
    row('a Blob', [NaN, NaN], await time(() => load(blob), dispose));
    row(ofBrowser, [NaN, NaN], await time(() => blob.arrayBuffer()));
    for (const place of places) {
      const isNamed = place.includes('://');
      row(isNamed ? 'IndexedDB' : 'a file', await time(() => save(own, place)), await time(() => load(place), dispose));
      if (isNamed) row(ofBrowser, ...(await bareDatabase(bytes)));
    }
    await own.dispose();
  }
  return table;
}

/** The same numbers, which the backend has yet to hand out: a GPU's are kept here once they have been read. */
function computed(state: MambaState): MambaState {
  return state.map((parts) => {
    return Object.fromEntries(Object.entries(parts).map(([name, tensor]) => [name, tf.mul(tensor, 1)]));
  }) as MambaState;
}

/** Waits until it is there. */
async function settled(state: MambaState): Promise<void> {
  const one = tf.tidy(() => state.at(-1)!.ssm.flatten().slice(0, 1));
  await one.data();
  one.dispose();
}

/** With the model where this runs. */
export async function measureHere(places: string[]): Promise<Row[]> {
  const model = mambaLM(config, {seed: 1});
  const history = stateHistory();
  for await (const token of model.generate(PROMPT, {history, ...few})) void token;
  const state = forkState(history.newest.state!);
  const bytes = await saveState(model, state);
  const fresh = {state: computed(state)};
  const alone: Row = [
    `a state alone, ${(bytes.length / 1e6).toFixed(2)} MB, bytes`,
    ...(await time(
      () => saveState(model, fresh.state),
      () => {
        tf.dispose(fresh.state);
        fresh.state = computed(state);
        return settled(fresh.state);
      },
    )),
    ...(await time(() => loadState(model, bytes), tf.dispose)),
    ...(await time(() => forkState(state), tf.dispose)),
  ];
  const save = (of: typeof history, place?: string) => saveState(model, of, place);
  const load = (source: Bytes | Blob | string) => loadHistory(model, source);
  const table = await rows('', {history, save, load, fork: (of) => of.fork()}, places);
  tf.dispose([state, fresh.state]);
  history.dispose();
  model.dispose();
  return [alone, ...table];
}

/** With the model in a worker. */
export async function measureWorker(backend: string, places: string[]): Promise<Row[]> {
  const models = modelWorker(new Worker('/worker.js', {type: 'module'}));
  await models.backend(backend);
  const model = await models.mambaLM(config, {seed: 1});
  const history = await model.stateHistory();
  for await (const token of model.generate(PROMPT, {history, ...few})) void token;
  const save = (of: typeof history, place?: string) => of.save(place);
  const load = (source: Bytes | Blob | string) => model.loadHistory(source);
  const table = await rows('worker: ', {history, save, load, fork: (of) => of.fork()}, places);
  models.terminate();
  return table;
}
