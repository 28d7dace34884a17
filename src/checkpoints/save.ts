/** Writes a checkpoint, in Hugging Face's layout if that can say it: config.json, and safetensors in one file or in shards with an index. */
import type {ResolvedMambaConfig} from '../config/config';
import type {WeightEntry} from '../config/weightTable';
import {embedding, publishedShape, stateSpacesEmbedding, weightTable} from '../config/weightTable';
import {show} from '../mixers/fields';
import {eosTokenId, floatFields, writtenConfig} from './configWriter';
import {float16Limit, type FloatFormat} from './floats';
import {Q8_0_VALUES, quantizeQ8} from './quantized/q8_0';
import {bytesShape, quantizationConfig, SUFFIX} from './quantized/stored';
import {safetensorsHeader, safetensorsPieces, storedBytes, tensorBytes, type TensorToWrite} from './safetensorsWriter';
import {openTarget, type CheckpointTarget, type SaveHandler} from './target';
import {tokenizerFiles, type TokenizerFiles} from './tokenizerFiles';
import {transpose} from './transpose';

/** How a checkpoint is written. */
export interface SaveOptions {
  /**
   * How weights are stored ('float32', of a model that holds them in 8 bits 'int8'). Rounding is to nearest, ties to even. 'int8' stores
   * matrices as blocks of GGUF's Q8_0, in tensors of bytes named `….weight.q8_0`, and the rest as float32; only this package reads that.
   */
  dtype?: 'float32' | 'float16' | 'bfloat16' | 'int8';
  /** Bytes of weights in a file, as far as single tensors allow (2e9); what does not fit goes into further files. */
  maxShardBytes?: number;
  /** Whose names files and fields have (Hugging Face's, if that layout can say the configuration). */
  layout?: 'huggingface' | 'state-spaces';
  /** Ends the saving; what was at the target stays. */
  signal?: AbortSignal;
}

const formats: Record<string, FloatFormat> = {float32: 'F32', float16: 'F16', bfloat16: 'BF16', int8: 'F32'};

/** Gives a weight by its name (weightTable.ts: `ours`) and in our layout; called once for each, in order. */
type GetWeight = (name: string) => Promise<Float32Array>;
/** Gives the blocks of a matrix that is held as them, in the layout of the file. */
type GetBlocks = (name: string) => Promise<Uint8Array | undefined>;

/**
 * Writes the files. In a folder they appear when all are complete; if anything fails, the folder stays as it was.
 *
 * @param target A folder (Node), or an object that takes whole files.
 * @param tokenizer What stands beside the weights to turn text into ids, if anything.
 */
export async function writeCheckpoint(
  config: ResolvedMambaConfig,
  getWeight: GetWeight,
  target: string | SaveHandler,
  options: SaveOptions = {},
  tokenizer?: TokenizerFiles,
  getBlocks: GetBlocks = async () => undefined,
): Promise<void> {
  const {dtype = 'float32', maxShardBytes = 2e9, signal} = options;
  const format = Object.hasOwn(formats, dtype) ? formats[dtype] : undefined;
  if (format === undefined) {
    throw new Error(`savePretrained: dtype must be ${Object.keys(formats).join(', ')}, but is ${show(dtype)}`);
  }
  if (!(maxShardBytes > 0)) {
    throw new Error(`savePretrained: maxShardBytes must be a positive number, but is ${show(maxShardBytes)}`);
  }
  signal?.throwIfAborted();

  const isPacked = dtype === 'int8';
  const {json, layout} = writtenConfig(config, format, options.layout);
  if (isPacked) json['quantization_config'] = quantizationConfig;
  const tensors = Array.from(weightTable(config), (weight) => {
    const isOriginal = layout === 'state-spaces' && weight.published === embedding;
    const renamed = isOriginal ? {...weight, published: stateSpacesEmbedding} : weight;
    return isPacked && isPackable(renamed)
      ? blocksToWrite(renamed, getWeight, getBlocks, signal)
      : toWrite(renamed, format, getWeight, signal);
  });
  const place = await openTarget(target);
  try {
    const shards = shard(tensors, format, maxShardBytes);
    const names = shardNames(place, shards.length);
    if (shards.length > 1) await writeShards(place, shards, names, format);
    await writeJson(place, 'config.json', json);
    await writeJson(place, 'generation_config.json', {
      bos_token_id: config.bosTokenId ?? null,
      eos_token_id: eosTokenId(config),
      pad_token_id: config.padTokenId ?? null,
    });
    for (const [name, content] of Object.entries(tokenizerFiles(tokenizer))) {
      await writeText(place, name, JSON.stringify(content, null, 2));
    }
    // Last, since these are what makes the others a checkpoint.
    if (shards.length === 1) await writeShards(place, shards, names, format);
    else await writeIndex(place, shards, names, format);
    signal?.throwIfAborted();
    await place.commit();
  } catch (error) {
    await place.discard();
    throw error;
  }
}

/** A weight as it will stand in the file. */
function toWrite(
  weight: WeightEntry,
  format: FloatFormat,
  getWeight: GetWeight,
  signal: AbortSignal | undefined,
): TensorToWrite & {isBytes?: false} {
  const {ours, published, shape, layout} = weight;
  return {
    name: published,
    shape: publishedShape(weight),
    async read() {
      signal?.throwIfAborted();
      const values = await getWeight(ours);
      const count = storedBytes(shape, 'F32') / 4;
      if (!(values instanceof Float32Array) || values.length !== count) {
        throw new Error(`savePretrained: weight ${ours} must be ${count} float32 values, but has ${values.length}`);
      }
      if (format === 'F16' && values.some((value) => Math.abs(value) >= float16Limit && Number.isFinite(value))) {
        throw new Error(`savePretrained: weight ${ours} has values too large for float16; bfloat16 holds them`);
      }
      return layout === 'transposed' ? transpose(values, shape[0], shape[1]) : values;
    },
  };
}

/** A matrix as blocks, as it is or made so. */
function blocksToWrite(
  weight: WeightEntry,
  getWeight: GetWeight,
  getBlocks: GetBlocks,
  signal: AbortSignal | undefined,
): TensorToWrite {
  const {name, shape, read} = toWrite(weight, 'F32', getWeight, signal);
  return {
    name: `${name}${SUFFIX}`,
    shape: bytesShape(shape),
    isBytes: true,
    async read() {
      const held = await getBlocks(weight.ours);
      if (held) return held;
      try {
        return quantizeQ8(await read());
      } catch (error) {
        throw new Error(`savePretrained: weight ${weight.ours} ${(error as Error).message}`, {cause: error});
      }
    },
  };
}

/** Whether it is a matrix whose rows are whole blocks. */
function isPackable(weight: WeightEntry): boolean {
  const isMatrix = weight.layout === 'transposed' || weight.ours === 'embeddings/weight';
  return isMatrix && publishedShape(weight)[1] % Q8_0_VALUES === 0;
}

async function writeShards(
  place: CheckpointTarget,
  shards: TensorToWrite[][],
  names: string[],
  format: FloatFormat,
): Promise<void> {
  for (const [i, members] of shards.entries()) {
    const size = safetensorsHeader(members, format).length + totalBytes(members, format);
    await place.write(names[i], size, safetensorsPieces(members, format));
  }
}

async function writeIndex(
  place: CheckpointTarget,
  shards: TensorToWrite[][],
  names: string[],
  format: FloatFormat,
): Promise<void> {
  await writeJson(place, 'model.safetensors.index.json', {
    metadata: {total_size: totalBytes(shards.flat(), format)},
    weight_map: Object.fromEntries(shards.flatMap((members, i) => members.map(({name}) => [name, names[i]]))),
  });
}

/** Fills shards in order; a tensor that is too large for one has it to itself. */
function shard(tensors: TensorToWrite[], format: FloatFormat, maxBytes: number): TensorToWrite[][] {
  const shards: TensorToWrite[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    const bytes = tensorBytes(tensor, format);
    if (bytes > room) {
      shards.push([]);
      room = maxBytes;
    }
    shards.at(-1)!.push(tensor);
    room -= bytes;
  }
  return shards;
}

/** The names of shards. Where the usual ones are in use, by a checkpoint that must stay whole until the end, with a `v2` in them. */
function shardNames(place: CheckpointTarget, count: number): string[] {
  if (count === 1) return ['model.safetensors'];
  const digits = (n: number) => String(n).padStart(5, '0');
  for (let version = 1; ; version++) {
    const model = version === 1 ? 'model' : `model-v${version}`;
    const names = Array.from({length: count}, (_, i) => `${model}-${digits(i + 1)}-of-${digits(count)}.safetensors`);
    if (!names.some((name) => place.isTaken(name))) return names;
  }
}

function totalBytes(tensors: readonly TensorToWrite[], format: FloatFormat): number {
  return tensors.reduce((sum, tensor) => sum + tensorBytes(tensor, format), 0);
}

async function writeJson(place: CheckpointTarget, name: string, value: unknown): Promise<void> {
  // JavaScript writes a float that is whole without a point.
  const text = JSON.stringify(value, null, 2).replace(/^ *"(.*)": -?\d+(?=,?$)/gm, (field, name: string) =>
    floatFields.includes(name) ? `${field}.0` : field,
  );
  await writeText(place, name, text);
}

async function writeText(place: CheckpointTarget, name: string, text: string): Promise<void> {
  const bytes = new TextEncoder().encode(`${text}\n`);
  await place.write(
    name,
    bytes.length,
    (async function* () {
      yield bytes;
    })(),
  );
}
