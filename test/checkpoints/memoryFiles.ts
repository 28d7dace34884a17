/** Checkpoints in memory, for the specs of this folder. */
import {readdirSync, readFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {blobFile} from '../../src/checkpoints/bytes';
import {readCheckpoint, type Checkpoint, type LoadOptions} from '../../src/checkpoints/load';
import type {CheckpointSource} from '../../src/checkpoints/source';

export const golden = resolve(import.meta.dirname, '../fixtures/golden');

export type Files = Record<string, Uint8Array | string>;

/** The files of a folder, without those of its subfolders. */
export function folderFiles(path: string): Files {
  const files = readdirSync(path, {withFileTypes: true}).filter((entry) => entry.isFile());
  return Object.fromEntries(files.map(({name}) => [name, new Uint8Array(readFileSync(join(path, name)))]));
}

export function memorySource(files: Files, weights?: string): CheckpointSource {
  return {
    name: 'memory',
    weights,
    open: async (name) =>
      Object.hasOwn(files, name) ? blobFile(name, new Blob([files[name] as Uint8Array<ArrayBuffer>])) : undefined,
  };
}

export async function readFiles(files: Files, options?: LoadOptions): Promise<Map<string, Float32Array>> {
  return collect(await readCheckpoint(memorySource(files), options));
}

/** Every weight of a checkpoint, which must come once each. */
export async function collect(checkpoint: Omit<Checkpoint, 'stored'>): Promise<Map<string, Float32Array>> {
  const weights = new Map<string, Float32Array>();
  for await (const {name, shape, values} of checkpoint.weights()) {
    if (weights.has(name)) throw new Error(`${name} came twice`);
    if (shape.reduce((a, b) => a * b, 1) !== values.length) throw new Error(`${name} is not of shape ${shape}`);
    weights.set(name, values);
  }
  return weights;
}

/** Compares bit for bit, so that NaN equals itself and 0 does not equal -0. */
export function expectSameWeights(actual: Map<string, Float32Array>, expected: Map<string, Float32Array>): void {
  expect([...actual.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, values] of expected) {
    expect(bits(actual.get(name)!))
      .withContext(name)
      .toEqual(bits(values));
  }
}

/** The same, in a moment where there is much to compare. */
export function areSameWeights(actual: Map<string, Float32Array>, expected: Map<string, Float32Array>): boolean {
  if (actual.size !== expected.size) return false;
  return [...expected].every(([name, values]) => {
    const found = actual.get(name);
    return (
      found !== undefined && Buffer.compare(Buffer.from(bits(found).buffer), Buffer.from(bits(values).buffer)) === 0
    );
  });
}

export function bits(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}

/** A safetensors file of any header, well formed or not. */
export function safetensors(header: unknown, dataBytes: number | Uint8Array = 0): Uint8Array<ArrayBuffer> {
  const text = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const data = typeof dataBytes === 'number' ? new Uint8Array(dataBytes) : dataBytes;
  const file = new Uint8Array(8 + text.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
  file.set(text, 8);
  file.set(data, 8 + text.length);
  return file;
}

/** The header of a safetensors file and where its data begins: a second reader, as plain as can be. */
export function parseSafetensors(bytes: Uint8Array): {
  header: Record<string, {dtype: string; shape: number[]; data_offsets: [number, number]}>;
  data: DataView;
} {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = Number(view.getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Record<string, never>;
  delete header['__metadata__'];
  return {header, data: new DataView(bytes.buffer, bytes.byteOffset + 8 + length)};
}

/** A Hugging Face configuration of one layer, 4 wide. */
export const tinyConfig = {
  model_type: 'mamba',
  vocab_size: 5,
  hidden_size: 4,
  num_hidden_layers: 1,
  state_size: 2,
  conv_kernel: 3,
  time_step_rank: 1,
  eos_token_id: null,
};

/** The shapes that `tinyConfig` asks for. */
export const tinyShapes: Record<string, number[]> = {
  'backbone.embeddings.weight': [5, 4],
  'backbone.layers.0.norm.weight': [4],
  'backbone.layers.0.mixer.in_proj.weight': [16, 4],
  'backbone.layers.0.mixer.conv1d.weight': [8, 1, 3],
  'backbone.layers.0.mixer.conv1d.bias': [8],
  'backbone.layers.0.mixer.x_proj.weight': [5, 8],
  'backbone.layers.0.mixer.dt_proj.weight': [8, 1],
  'backbone.layers.0.mixer.dt_proj.bias': [8],
  'backbone.layers.0.mixer.A_log': [8, 2],
  'backbone.layers.0.mixer.D': [8],
  'backbone.layers.0.mixer.out_proj.weight': [4, 8],
  'backbone.norm_f.weight': [4],
};

/** A float32 safetensors file with tensors of the given shapes; every value is its running number. */
export function numberedSafetensors(shapes: Record<string, number[]>, dtype = 'F32'): Uint8Array<ArrayBuffer> {
  let end = 0;
  const header = new Map<string, unknown>();
  for (const [name, shape] of Object.entries(shapes)) {
    const begin = end;
    end += 4 * shape.reduce((a, b) => a * b, 1);
    header.set(name, {dtype, shape, data_offsets: [begin, end]});
  }
  const data = new Uint8Array(Float32Array.from({length: end / 4}, (_, i) => i).buffer);
  return safetensors(`{${[...header].map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`, data);
}

export function tinyFiles(changes: Files = {}): Files {
  return {
    'config.json': JSON.stringify(tinyConfig),
    'model.safetensors': numberedSafetensors(tinyShapes),
    ...changes,
  };
}
