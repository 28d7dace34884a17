/**
 * Reads a checkpoint: configuration, then the tables of contents of all weight files, then – once every tensor is known to
 * have its place and every weight its tensor – the tensors, one at a time, in our names and layout.
 */
import type {ResolvedMambaConfig} from '../config/config';
import type {WeightEntry} from '../config/weightTable';
import {embedding, head, publishedShape, stateSpacesEmbedding, weightTable} from '../config/weightTable';
import {pieceBytes, ReadAhead} from './bytes';
import {readConfig, readEosTokenIds, type CheckpointFormat} from './config';
import {openGgufModel} from './ggufModel';
import {readJsonObject} from './json';
import {withoutWrappers, withPublishedNames} from './prefixes';
import {withQuantized} from './quantized/stored';
import {openSource, type CheckpointSource, type SourceOptions} from './source';
import {quantizeQ8} from './quantized/q8_0';
import {byteLength, isReadable, readBytes, readFloats, type StoredTensor} from './tensors';
import {transpose} from './transpose';
import {openWeightFiles, type OnFileBytes, type WeightFiles} from './weightFiles';

/** How far the reading of the weights has come. */
export interface LoadProgress {
  /** Bytes of all weight files, so far and in the end. */
  loadedBytes: number;
  totalBytes: number;
  /** The file that is being read. */
  file: string;
}

/** How a checkpoint is read. */
export interface LoadOptions extends SourceOptions {
  /** Is told how far the reading has come. */
  onProgress?(progress: LoadProgress): void;
}

/** A weight in our layout. */
interface LoadedWeight {
  name: string;
  shape: number[];
  values: Float32Array;
}

/** A weight as blocks of Q8_0, in the layout of files, so that its rows are cut into whole blocks. */
export interface LoadedBlocks {
  name: string;
  blocks: Uint8Array;
}

export interface Checkpoint {
  config: ResolvedMambaConfig;
  format: CheckpointFormat;
  /** The element types of its weights in the files, by their names there. */
  stored: string[];
  /**
   * Every weight of `config`, each exactly once, one in memory at a time, in the order of the files. All names, shapes, types
   * and sizes have been checked by now; what can still fail is the reading itself, so what has been taken of a sequence that
   * ends with an error must be thrown away.
   */
  weights(): AsyncGenerator<LoadedWeight>;
  /** The same, with those weights as blocks for which `isPacked` says so. */
  weights(isPacked: (name: string) => boolean): AsyncGenerator<LoadedWeight | LoadedBlocks>;
}

/** A weight and where it is stored. */
interface Match {
  weight: WeightEntry;
  tensor: StoredTensor;
}

/**
 * Opens a checkpoint and checks it as a whole.
 *
 * @param source A folder or file (Node), a URL, a Hub id, or a `CheckpointSource`.
 * @param accept Is given the configuration before any weight file is opened, and may throw to leave it at that.
 * @throws An error naming the file, and the field or the tensor at fault.
 */
export async function readCheckpoint(
  source: string | URL | CheckpointSource,
  options: LoadOptions = {},
  accept?: (config: ResolvedMambaConfig) => void,
): Promise<Checkpoint> {
  const {signal} = options;
  const folder = await openSource(source, options);
  const progress = new Progress(options.onProgress);
  const add = (file: string, count: number) => progress.add(file, count);
  const {config, format, files} = folder.weights?.endsWith('.gguf')
    ? await openOneFile(folder, folder.weights, add, signal, accept)
    : await openFolder(folder, add, signal, accept);
  const matches = matchWeights(config, files);
  await checkTiedHead(config, files);
  progress.start(files.files.reduce((sum, {size}) => sum + size, 0));
  const weights = async function* (isPacked: (name: string) => boolean = () => false) {
    for (const file of files.files) file.aheadBytes = pieceBytes;
    for (const {weight, tensor} of matches) {
      signal?.throwIfAborted();
      const {ours: name, shape} = weight;
      if (isPacked(name)) yield {name, blocks: await readBlocks(tensor)};
      else yield {name, shape: [...shape], values: await readWeight(weight, tensor)};
    }
    progress.finish();
  };
  const stored = [...new Set(matches.map(({tensor}) => tensor.dtype))];
  return {config, format, stored, weights: weights as Checkpoint['weights']};
}

/** Configuration and table of contents. */
interface Opened {
  config: ResolvedMambaConfig;
  format: CheckpointFormat;
  files: WeightFiles;
}

async function openFolder(
  folder: CheckpointSource,
  add: OnFileBytes,
  signal: AbortSignal | undefined,
  accept: ((config: ResolvedMambaConfig) => void) | undefined,
): Promise<Opened> {
  const {config, format} = await readConfigs(folder);
  accept?.(config);
  const isCopy = (name: string) => config.tieEmbeddings && withoutWrappers(name) === head;
  const opened = await openWeightFiles(folder, signal, add, isCopy);
  return {config, format, files: {...opened, tensors: withPublishedNames(opened.name, withQuantized(opened.tensors))}};
}

/** A file that holds the configuration too. */
async function openOneFile(
  folder: CheckpointSource,
  name: string,
  add: OnFileBytes,
  signal: AbortSignal | undefined,
  accept: ((config: ResolvedMambaConfig) => void) | undefined,
): Promise<Opened> {
  const file = await folder.open(name, (count) => add(name, count));
  if (!file) throw new Error(`${folder.name} is not there`);
  const reader = new ReadAhead(file, signal);
  const {config, tensors} = await openGgufModel(reader);
  accept?.(config);
  return {config, format: 'gguf', files: {name: file.name, tensors, files: [reader]}};
}

async function readConfigs(folder: CheckpointSource): Promise<ReturnType<typeof readConfig>> {
  const file = await folder.open('config.json');
  if (!file)
    throw new Error(`${folder.name} has no config.json${folder.doubt === undefined ? '' : `; ${folder.doubt}`}`);
  const {config, format} = readConfig(file.name, await readJsonObject(file));
  const generation = await folder.open('generation_config.json');
  if (!generation) return {config, format};
  const eosTokenIds = readEosTokenIds(generation.name, await readJsonObject(generation), config.vocabSize);
  return {config: {...config, eosTokenIds: eosTokenIds ?? config.eosTokenIds}, format};
}

/** Gives every weight its tensor, in the order in which they are best read. */
function matchWeights(config: ResolvedMambaConfig, {name: file, tensors, files}: WeightFiles): Match[] {
  const unused = new Map(tensors);
  renameEmbedding(file, unused);
  if (config.tieEmbeddings) unused.delete(head); // checkTiedHead sees to it
  const matches: Match[] = [];
  for (const weight of weightTable(config)) {
    const tensor = unused.get(weight.published);
    if (!tensor) throw new Error(`${file} lacks the tensor ${weight.published}`);
    unused.delete(weight.published);
    const shape = publishedShape(weight);
    if (!sameShape(tensor.shape, shape)) {
      throw new Error(
        `${tensor.file}: ${tensor.name} must have the shape [${shape}] according to the configuration, ` +
          `but has [${tensor.shape}]`,
      );
    }
    if (!isReadable(tensor.dtype)) {
      throw new Error(`${tensor.file}: ${tensor.name} must be F32, F16 or BF16, but is ${tensor.dtype}`);
    }
    matches.push({weight, tensor});
  }
  const [extra] = unused.values();
  if (extra) {
    throw new Error(`${extra.file} has the tensor ${extra.name}, which a model of this configuration has no place for`);
  }
  const fileOrder = new Map(files.map(({name}, i) => [name, i]));
  const order = ({file, position}: StoredTensor) => [fileOrder.get(file)!, position] as const;
  return matches.sort(({tensor: a}, {tensor: b}) => {
    const [fileA, positionA] = order(a);
    const [fileB, positionB] = order(b);
    return fileA - fileB || positionA - positionB;
  });
}

/** The original files call the embedding by a name of their own; both at once would be two sources for one weight. */
function renameEmbedding(file: string, tensors: Map<string, StoredTensor>): void {
  const tensor = tensors.get(stateSpacesEmbedding);
  if (!tensor) return;
  if (tensors.has(embedding)) throw new Error(`${file} has both ${stateSpacesEmbedding} and ${embedding}`);
  tensors.delete(stateSpacesEmbedding);
  tensors.set(embedding, tensor);
}

/** A tied head may be stored all the same, as a copy of the embedding; anything else would be a weight that gets lost. */
async function checkTiedHead(config: ResolvedMambaConfig, {tensors}: WeightFiles): Promise<void> {
  const copy = tensors.get(head);
  if (!config.tieEmbeddings || !copy) return;
  const original = (tensors.get(embedding) ?? tensors.get(stateSpacesEmbedding))!;
  if (copy.isSameAs?.(original)) return;
  if (copy.dtype === original.dtype && sameShape(copy.shape, original.shape) && (await sameBytes(copy, original)))
    return;
  throw new Error(`${copy.file}: ${head} differs from ${original.name}, but config.json ties them`);
}

async function sameBytes(a: StoredTensor, b: StoredTensor): Promise<boolean> {
  if (byteLength(a) !== byteLength(b)) return false;
  const bytes = await readBytes(a);
  let at = 0;
  for await (const piece of b.pieces()) {
    for (let i = 0; i < piece.length; i++) if (piece[i] !== bytes[at + i]) return false;
    at += piece.length;
  }
  return true;
}

async function readWeight({layout, shape}: WeightEntry, tensor: StoredTensor): Promise<Float32Array> {
  const values = await readFloats(tensor);
  return layout === 'transposed' ? transpose(values, shape[1], shape[0]) : values;
}

/** As they are stored, if they are stored so. */
async function readBlocks(tensor: StoredTensor): Promise<Uint8Array> {
  if (tensor.dtype === 'Q8_0') return readBytes(tensor);
  const values = await readFloats(tensor);
  try {
    return quantizeQ8(values);
  } catch (error) {
    throw new Error(`${tensor.file}: ${tensor.name} ${(error as Error).message}`, {cause: error});
  }
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** Adds up bytes as they arrive, and tells of them once the total is known. */
class Progress {
  private loaded = 0;
  private total?: number;
  private file = '';

  constructor(private readonly report: LoadOptions['onProgress']) {}

  add(file: string, count: number): void {
    this.loaded += count;
    this.file = file;
    this.tell();
  }

  start(total: number): void {
    this.total = total;
    this.tell();
  }

  /** Bytes that nobody needed, such as those between the entries of an archive, count as read. */
  finish(): void {
    this.loaded = this.total!;
    this.tell();
  }

  private tell(): void {
    if (this.total === undefined) return;
    // Headers may have been read twice.
    this.report?.({loadedBytes: Math.min(this.loaded, this.total), totalBytes: this.total, file: this.file});
  }
}
