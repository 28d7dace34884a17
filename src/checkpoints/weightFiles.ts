/**
 * Finds the weight files of a checkpoint and opens them as one set of tensors: safetensors before PyTorch's pickles, one
 * file before shards with an index. Opening reads tables of contents only.
 */
import {ReadAhead, type ByteFile, type OnBytes} from './bytes';
import {isObject, readJsonObject} from './json';
import {shown} from './quote';
import {openSafetensors} from './safetensors';
import type {CheckpointSource} from './source';
import {checkNames, type StoredTensor} from './tensors';
import {openTorchArchive} from './torchArchive';

/** Looked for in this order. */
const candidates = [
  'model.safetensors',
  'model.safetensors.index.json',
  'pytorch_model.bin',
  'pytorch_model.bin.index.json',
];

export interface WeightFiles {
  /** What errors call them: the one file, or the index of several. */
  name: string;
  tensors: Map<string, StoredTensor>;
  /** The opened files in the order of the index, so that tensors can be read file by file. */
  files: ReadAhead[];
}

/** Is told of bytes as they come, and of which file. */
export type OnFileBytes = (file: string, count: number) => void;

/**
 * @param isCopy Whether a tensor of this name only repeats another, so that an index and its shards need not agree on it.
 * @throws An error naming the file, the tensor or the shard that is at fault.
 */
export async function openWeightFiles(
  source: CheckpointSource,
  signal?: AbortSignal,
  onBytes?: OnFileBytes,
  isCopy: (name: string) => boolean = () => false,
): Promise<WeightFiles> {
  const names = source.weights === undefined ? candidates : [source.weights];
  const open = (name: string) => source.open(name, name.endsWith('.json') ? undefined : count(name, onBytes));
  for (const name of names) {
    signal?.throwIfAborted();
    const file = await open(name);
    if (!file) continue;
    if (name.endsWith('.json')) return openShards(source, file, open, signal, isCopy);
    const reader = new ReadAhead(file, signal);
    return {name: file.name, tensors: await openTensors(name, reader, signal), files: [reader]};
  }
  throw new Error(`${source.name} has no weights; looked for ${names.join(', ')}${doubt(source)}`);
}

async function openShards(
  source: CheckpointSource,
  index: ByteFile,
  open: (name: string) => Promise<ByteFile | undefined>,
  signal: AbortSignal | undefined,
  isCopy: (name: string) => boolean,
): Promise<WeightFiles> {
  const {weight_map: weightMap} = await readJsonObject(index);
  if (!isObject(weightMap)) throw new Error(`${index.name} lacks a weight_map`);
  const shardOf = new Map(Object.entries(weightMap));
  try {
    checkNames([...shardOf.keys()]);
  } catch (error) {
    throw new Error(`${index.name}: ${(error as Error).message}`, {cause: error});
  }
  const tensors = new Map<string, StoredTensor>();
  const files: ReadAhead[] = [];
  for (const shard of new Set(shardOf.values())) {
    if (typeof shard !== 'string' || !/^[\w-][\w.-]*\.(safetensors|bin)$/.test(shard)) {
      throw new Error(`${index.name} names the file ${shown(shard)}, which is no weight file beside it`);
    }
    const file = await open(shard);
    if (!file) throw new Error(`${index.name} names the shard ${shard}, which is missing${doubt(source)}`);
    const reader = new ReadAhead(file, signal);
    files.push(reader);
    for (const [name, tensor] of await openTensors(shard, reader, signal)) {
      if (shardOf.get(name) !== shard && !isCopy(name)) {
        const stated = shardOf.has(name) ? `is in ${String(shardOf.get(name))}` : 'is in no shard';
        throw new Error(`${file.name} has tensor ${name}, which according to ${index.name} ${stated}`);
      }
      tensors.set(name, tensor);
    }
  }
  for (const [name, shard] of shardOf) {
    if (!tensors.has(name) && !isCopy(name))
      throw new Error(`${index.name} has tensor ${name} in ${String(shard)}, which lacks it`);
  }
  return {name: index.name, tensors, files};
}

async function openTensors(
  name: string,
  file: ByteFile,
  signal: AbortSignal | undefined,
): Promise<Map<string, StoredTensor>> {
  return name.endsWith('.bin') ? openTorchArchive(file, signal) : (await openSafetensors(file)).tensors;
}

function count(name: string, onBytes: OnFileBytes | undefined): OnBytes | undefined {
  return onBytes && ((bytes) => onBytes(name, bytes));
}

function doubt({doubt}: CheckpointSource): string {
  return doubt === undefined ? '' : `; ${doubt}`;
}
