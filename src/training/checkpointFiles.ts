/**
 * The files of a training checkpoint: `training.json`, which says where the run is and what arrays there are, and the arrays of the
 * model and of the optimizer, one after the other, as numbers of 32 bits.
 *
 * Every array has its SHA-256 in `training.json`, and that file has its own at its end, so that no damage goes unseen. Checkpoints of
 * the first release have none and are read without. A page that is not on https or localhost has no SHA-256: it writes none and checks none.
 */
import {describe} from '../ops/check';
import type {BestState} from './best';
import type {Json} from './data';
import type {StoredDraws} from './draws';

/** Files by name. */
export type CheckpointFiles = Record<string, Uint8Array>;

/** Where a run is, besides the weights of its model and optimizer. */
export interface Progress {
  /** Finished steps. */
  step: number;
  /** The position of the data, as its iterator gave it. */
  data: Json;
  /** The lowest validation loss so far, where there was one. */
  best?: BestState;
  /** What dropout drops next, where it has dropped anything. */
  draws?: StoredDraws;
  /** The class of the optimizer, if it has a name; checkpoints from before have none. */
  optimizerKind?: string;
}

/** A weight, or a tensor of the optimizer. */
export interface StoredArray {
  name: string;
  shape: number[];
  dtype: 'float32' | 'int32';
  values: Float32Array | Int32Array;
}

/** All of a checkpoint. */
export interface StoredRun extends Progress {
  model: StoredArray[];
  optimizer: StoredArray[];
  /** What the trainer itself carries, such as states and the mean of the weights. */
  trainer?: StoredArray[];
}

type Entry = Omit<StoredArray, 'values'> & {sha256?: string};

interface Description extends Progress {
  format: string;
  version: number;
  model: Entry[];
  optimizer: Entry[];
  trainer?: Entry[];
  sha256?: string;
}

const FORMAT = 'tfjs-mamba training checkpoint';
const VERSION = 1;
const DESCRIPTION = 'training.json';
const arrayFiles = {model: 'model.bin', optimizer: 'optimizer.bin', trainer: 'trainer.bin'} as const;
const parts = ['model', 'optimizer', 'trainer'] as const;

/** Writes a run. */
export async function encodeRun({
  step,
  data,
  best,
  draws,
  optimizerKind,
  model,
  optimizer,
  trainer = [],
}: StoredRun): Promise<CheckpointFiles> {
  const body = JSON.stringify({
    ...{format: FORMAT, version: VERSION, step, data, best, draws, optimizerKind},
    model: await entries(model),
    optimizer: await entries(optimizer),
    ...(trainer.length > 0 && {trainer: await entries(trainer)}),
  });
  const sha256 = await digest(new TextEncoder().encode(body));
  const text = sha256 === undefined ? body : `${body.slice(0, -1)},"sha256":"${sha256}"}`;
  return {
    [DESCRIPTION]: new TextEncoder().encode(text),
    [arrayFiles.model]: joined(model),
    [arrayFiles.optimizer]: joined(optimizer),
    ...(trainer.length > 0 && {[arrayFiles.trainer]: joined(trainer)}),
  };
}

/**
 * Reads a run, and looks at every byte of it.
 *
 * @throws Error naming the file, and the field or the array that is wrong.
 */
export async function decodeRun(files: CheckpointFiles): Promise<StoredRun> {
  const description = await readDescription(fileBytes(files, DESCRIPTION));
  const {step, data, best, draws, optimizerKind} = description;
  const [model, optimizer] = [
    await readArrays(files, 'model', description.model),
    await readArrays(files, 'optimizer', description.optimizer),
  ];
  const trainer = description.trainer && (await readArrays(files, 'trainer', description.trainer));
  return {
    ...{step, data, model, optimizer},
    ...(best && {best}),
    ...(draws && {draws}),
    ...(optimizerKind && {optimizerKind}),
    ...(trainer && {trainer}),
  };
}

/** The place of a value that is NaN or infinite, or -1. */
export function brokenPlace(values: StoredArray['values']): number {
  for (let i = 0; i < values.length; i++) {
    if (values[i] - values[i] !== 0) return i;
  }
  return -1;
}

/** A field's check, and what it expects. */
type Check = [holds: (value: unknown) => boolean, expected: string];

const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const isBest = (value: unknown) => {
  const {loss, step, misses} = Object(value) as Partial<BestState>;
  return Number.isFinite(loss) && isCount(step) && isCount(misses);
};
const isDraws = (value: unknown) =>
  Object.values(Object(value) as object).every(
    (state: unknown) => Array.isArray(state) && state.length === 2 && state.every(isCount),
  );
const digestCheck: Check = [
  (value) => value === undefined || (typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)),
  'a SHA-256 of 64 digits',
];
const listCheck: Check = [Array.isArray, 'a list of arrays'];

const fields: Record<keyof Description, Check> = {
  format: [(value) => value === FORMAT, `'${FORMAT}'`],
  version: [(value) => value === VERSION, String(VERSION)],
  step: [isCount, 'a whole number of 0 or more'],
  best: [(value) => value === undefined || isBest(value), 'a loss, its step and the validations since'],
  draws: [(value) => value === undefined || isDraws(value), 'two whole numbers for each layer'],
  optimizerKind: [(value) => value === undefined || typeof value === 'string', 'the class of an optimizer'],
  data: [(value) => value !== undefined, 'the position of the data'],
  model: listCheck,
  optimizer: listCheck,
  trainer: [(value) => value === undefined || Array.isArray(value), 'a list of arrays'],
  sha256: digestCheck,
};

const entryFields: Record<keyof Entry, Check> = {
  name: [(value) => typeof value === 'string' && value !== '', 'a name'],
  shape: [(value) => Array.isArray(value) && value.every(isCount), 'a list of whole numbers'],
  dtype: [(value) => value === 'float32' || value === 'int32', 'float32 or int32'],
  sha256: digestCheck,
};

async function readDescription(bytes: Uint8Array): Promise<Description> {
  const text = new TextDecoder().decode(bytes);
  const description = parse(text);
  if (description?.format !== FORMAT) {
    throw new Error(`trainer: ${DESCRIPTION} of the checkpoint is not of a ${FORMAT}`);
  }
  if (description.version !== VERSION) {
    throw new Error(
      `trainer: the checkpoint has version ${String(description.version)}, but this release reads ${VERSION}`,
    );
  }
  checkFields('', description, fields);
  for (const part of parts) {
    const names = new Set<string>();
    description[part]?.forEach((entry, i) => {
      checkFields(`${part}[${i}]`, entry, entryFields);
      if (names.has(entry.name)) wrong(`${part}[${i}].name must be there once, but ${entry.name} is there twice`);
      names.add(entry.name);
    });
  }
  if (description.sha256 !== undefined) {
    const [, body, stated] = /^(.*),"sha256":"([0-9a-f]{64})"\}$/s.exec(text) ?? [];
    const actual = body === undefined ? 'none' : await digest(new TextEncoder().encode(`${body}}`));
    if (actual !== undefined && actual !== stated) wrong('its SHA-256 is not the one it states: it is damaged');
  }
  return description;
}

function parse(text: string): Description | undefined {
  try {
    return (JSON.parse(text) as Description | null) ?? undefined;
  } catch {
    return undefined;
  }
}

/** @param path What holds the fields, in the words of the file. */
function checkFields(path: string, value: unknown, checks: Record<string, Check>): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    wrong(`${path} must be an object, but is ${describe(value)}`);
  }
  const place = (name: string) => (path === '' ? name : `${path}.${name}`);
  for (const name of Object.keys(value)) {
    if (!Object.hasOwn(checks, name)) wrong(`${place(name)} is not known`);
  }
  for (const [name, [holds, expected]] of Object.entries(checks)) {
    const given = (value as Record<string, unknown>)[name];
    if (!holds(given)) wrong(`${place(name)} must be ${expected}, but is ${describe(given)}`);
  }
}

function wrong(what: string): never {
  throw new Error(`trainer: ${DESCRIPTION} of the checkpoint: ${what}`);
}

async function readArrays(
  files: CheckpointFiles,
  part: keyof typeof arrayFiles,
  list: Entry[],
): Promise<StoredArray[]> {
  const file = arrayFiles[part];
  const bytes = fileBytes(files, file);
  const sizes = list.map(({shape}) => 4 * shape.reduce((product, size) => product * size, 1));
  const expected = sizes.reduce((sum, size) => sum + size, 0);
  if (bytes.byteLength !== expected) {
    throw new Error(`trainer: ${file} of the checkpoint must have ${expected} bytes, but has ${bytes.byteLength}`);
  }
  const arrays: StoredArray[] = [];
  let at = 0;
  for (const [i, {name, shape, dtype, sha256}] of list.entries()) {
    const own = bytes.slice(at, (at += sizes[i])); // a copy, which begins where numbers may
    const actual = sha256 === undefined ? undefined : await digest(own);
    if (actual !== undefined && actual !== sha256) {
      throw new Error(
        `trainer: ${file} of the checkpoint: ${name} is damaged; its SHA-256 is not the one in ${DESCRIPTION}`,
      );
    }
    const values = new (dtype === 'int32' ? Int32Array : Float32Array)(own.buffer);
    const broken = brokenPlace(values);
    if (broken >= 0) {
      throw new Error(`trainer: ${file} of the checkpoint: ${name} has ${values[broken]} at ${broken}`);
    }
    arrays.push({name, shape, dtype, values});
  }
  return arrays;
}

function fileBytes(files: CheckpointFiles, name: string): Uint8Array {
  const bytes = Object.hasOwn(files, name) ? files[name] : undefined;
  if (bytes === undefined) {
    throw new Error(`trainer: the checkpoint has no ${name}`);
  }
  if (!(bytes instanceof Uint8Array)) {
    throw new Error(`trainer: ${name} of the checkpoint must be a Uint8Array, but is ${describe(bytes)}`);
  }
  return bytes;
}

async function entries(arrays: readonly StoredArray[]): Promise<Entry[]> {
  const list: Entry[] = [];
  for (const {name, shape, dtype, values} of arrays) {
    list.push({name, shape, dtype, sha256: await digest(bytesOf(values))});
  }
  return list;
}

function joined(arrays: readonly StoredArray[]): Uint8Array {
  const bytes = new Uint8Array(arrays.reduce((sum, {values}) => sum + values.byteLength, 0));
  let at = 0;
  for (const {values} of arrays) {
    bytes.set(bytesOf(values), at);
    at += values.byteLength;
  }
  return bytes;
}

function bytesOf({buffer, byteOffset, byteLength}: StoredArray['values']): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Undefined where a page has none. */
async function digest(bytes: Uint8Array): Promise<string | undefined> {
  const {subtle} = (globalThis.crypto ?? {}) as Partial<Crypto>;
  if (subtle === undefined) return undefined;
  const hash = new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
