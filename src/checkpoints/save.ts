/** Writes a checkpoint, in Hugging Face's layout if that can say it: config.json, and safetensors in one file or in shards with an index. */
import type {ResolvedMambaConfig} from '../config/config';
import type {WeightEntry} from '../config/weightTable';
import {embedding, publishedShape, stateSpacesEmbedding, weightTable} from '../config/weightTable';
import {eosTokenId, floatFields, writtenConfig} from './configWriter';
import {float16Limit, type FloatFormat} from './floats';
import {safetensorsHeader, safetensorsPieces, storedBytes, type TensorToWrite} from './safetensorsWriter';
import {openTarget, type CheckpointTarget, type SaveHandler} from './target';
import {transpose} from './transpose';

/** How a checkpoint is written. */
export interface SaveOptions {
  /** How weights are stored ('float32'). Rounding is to nearest, ties to even. */
  dtype?: 'float32' | 'float16' | 'bfloat16';
  /** Bytes of weights in a file, as far as single tensors allow (2e9); what does not fit goes into further files. */
  maxShardBytes?: number;
  /** Ends the saving; what was at the target stays. */
  signal?: AbortSignal;
}

const formats: Record<string, FloatFormat> = {float32: 'F32', float16: 'F16', bfloat16: 'BF16'};

/**
 * Writes the files. In a folder they appear when all are complete; if anything fails, the folder stays as it was.
 *
 * @param getWeight Gives a weight by its name (names.ts: `ours`) and in our layout; called once for each, in order.
 * @param target A folder (Node), or an object that takes whole files.
 */
export async function writeCheckpoint(
  config: ResolvedMambaConfig,
  getWeight: (name: string) => Promise<Float32Array>,
  target: string | SaveHandler,
  options: SaveOptions = {},
): Promise<void> {
  const {dtype = 'float32', maxShardBytes = 2e9, signal} = options;
  const format = Object.hasOwn(formats, dtype) ? formats[dtype] : undefined;
  if (format === undefined) {
    throw new Error(`savePretrained: dtype must be ${Object.keys(formats).join(', ')}, but is ${String(dtype)}`);
  }
  if (!(maxShardBytes > 0)) {
    throw new Error(`savePretrained: maxShardBytes must be a positive number, but is ${String(maxShardBytes)}`);
  }
  signal?.throwIfAborted();

  const {json, layout} = writtenConfig(config, format);
  const tensors = Array.from(weightTable(config), (weight) => {
    const isOriginal = layout === 'state-spaces' && weight.published === embedding;
    return toWrite(isOriginal ? {...weight, published: stateSpacesEmbedding} : weight, format, getWeight, signal);
  });
  const place = await openTarget(target);
  try {
    await writeWeights(place, tensors, format, maxShardBytes);
    await writeJson(place, 'config.json', json);
    await writeJson(place, 'generation_config.json', {
      bos_token_id: config.bosTokenId ?? null,
      eos_token_id: eosTokenId(config),
      pad_token_id: config.padTokenId ?? null,
    });
    signal?.throwIfAborted();
  } catch (error) {
    await place.discard();
    throw error;
  }
  await place.commit();
}

/** A weight as it will stand in the file. */
function toWrite(
  weight: WeightEntry,
  format: FloatFormat,
  getWeight: (name: string) => Promise<Float32Array>,
  signal: AbortSignal | undefined,
): TensorToWrite {
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

async function writeWeights(
  place: CheckpointTarget,
  tensors: TensorToWrite[],
  format: FloatFormat,
  maxShardBytes: number,
): Promise<void> {
  const shards = shard(tensors, format, maxShardBytes);
  const names = shards.map((_, i) => (shards.length === 1 ? 'model.safetensors' : shardName(i, shards.length)));
  for (const [i, members] of shards.entries()) {
    const size = safetensorsHeader(members, format).length + totalBytes(members, format);
    await place.write(names[i], size, safetensorsPieces(members, format));
  }
  if (shards.length === 1) return;
  await writeJson(place, 'model.safetensors.index.json', {
    metadata: {total_size: totalBytes(tensors, format)},
    weight_map: Object.fromEntries(shards.flatMap((members, i) => members.map(({name}) => [name, names[i]]))),
  });
}

/** Fills shards in order; a tensor that is too large for one has it to itself. */
function shard(tensors: TensorToWrite[], format: FloatFormat, maxBytes: number): TensorToWrite[][] {
  const shards: TensorToWrite[][] = [];
  let room = 0;
  for (const tensor of tensors) {
    const bytes = storedBytes(tensor.shape, format);
    if (bytes > room) {
      shards.push([]);
      room = maxBytes;
    }
    shards.at(-1)!.push(tensor);
    room -= bytes;
  }
  return shards;
}

function shardName(index: number, count: number): string {
  const digits = (n: number) => String(n).padStart(5, '0');
  return `model-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

function totalBytes(tensors: readonly TensorToWrite[], format: FloatFormat): number {
  return tensors.reduce((sum, {shape}) => sum + storedBytes(shape, format), 0);
}

async function writeJson(place: CheckpointTarget, name: string, value: unknown): Promise<void> {
  // JavaScript writes a float that is whole without a point.
  const text = JSON.stringify(value, null, 2).replace(/^ *"(.*)": -?\d+(?=,?$)/gm, (field, name: string) =>
    floatFields.includes(name) ? `${field}.0` : field,
  );
  const bytes = new TextEncoder().encode(`${text}\n`);
  await place.write(
    name,
    bytes.length,
    (async function* () {
      yield bytes;
    })(),
  );
}
