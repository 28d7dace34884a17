/**
 * Adapters in PEFT's layout: `adapter_config.json` and `adapter_model.safetensors` with a pair of tensors for each weight, `lora_A` [r, in]
 * and `lora_B` [out, r] (of a table `lora_embedding_A` [r, rows] and `lora_embedding_B` [width, r]), and DoRA's `lora_magnitude_vector`.
 * Both are the transposed of ours. What is read has been checked as a whole before a model is touched.
 */
import {ReadAhead} from '../checkpoints/bytes';
import {readJsonObject} from '../checkpoints/json';
import {openSafetensors} from '../checkpoints/safetensors';
import type {TensorToWrite} from '../checkpoints/safetensorsWriter';
import {safetensorsHeader, safetensorsPieces, storedBytes} from '../checkpoints/safetensorsWriter';
import type {CheckpointSource} from '../checkpoints/source';
import type {CheckpointTarget} from '../checkpoints/target';
import type {StoredTensor} from '../checkpoints/tensors';
import {readFloats} from '../checkpoints/tensors';
import {transpose} from '../checkpoints/transpose';
import {showShape} from '../ops/check';
import type {Part} from './adapter';
import type {AdapterSettings} from './options';
import type {PeftConfig} from './peftConfig';
import {readPeftConfig, writtenPeftConfig} from './peftConfig';
import type {Target} from './targets';
import {tiedHead} from './targets';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';
const PREFIX = 'base_model.model.';

/** What a tensor of a file is to its weight; `base` is a copy of that, which PEFT saves with an embedding or a head. */
type Role = 'down' | 'up' | 'magnitude' | 'base';

const roles: Record<'kernel' | 'table', Record<Role, string>> = {
  kernel: {down: 'lora_A.weight', up: 'lora_B.weight', magnitude: 'lora_magnitude_vector', base: 'base_layer.weight'},
  table: {
    down: 'lora_embedding_A',
    up: 'lora_embedding_B',
    magnitude: 'lora_magnitude_vector',
    base: 'base_layer.weight',
  },
};

/** A correction as stored, in our layout. */
export interface StoredCorrection {
  target: Target;
  rank: number;
  alpha: number;
  /** [rows, rank] */
  down: Float32Array;
  /** [rank, columns] */
  up: Float32Array;
  /** [columns] */
  magnitude?: Float32Array;
  /** The weight beneath, in the file's layout, if the file has it. */
  base?: Float32Array;
}

/**
 * Reads an adapter.
 *
 * @param targets Every matrix of the model that it is for.
 * @throws Error naming the file, and the field or the tensor that does not fit.
 */
export async function readPeft(
  op: string,
  source: CheckpointSource,
  targets: readonly Target[],
): Promise<{settings: AdapterSettings; corrections: StoredCorrection[]}> {
  const configFile = await source.open(CONFIG);
  if (!configFile) throw new Error(`${op}: ${source.name} has no ${CONFIG}`);
  const config = readPeftConfig(configFile.name, await readJsonObject(configFile));
  const file = await source.open(WEIGHTS);
  if (!file) throw new Error(`${op}: ${source.name} has no ${WEIGHTS}`);
  const {tensors} = await openSafetensors(new ReadAhead(file));
  const corrections: StoredCorrection[] = [];
  for (const [target, of] of byTarget(op, tensors, targets)) {
    corrections.push(await readCorrection(file.name, target, of, config));
  }
  if (corrections.length === 0) throw new Error(`${op}: ${file.name} has no tensors`);
  const {rank, alpha, dropout, rslora, dora} = config;
  return {settings: {rank, alpha, dropout, rslora, dora}, corrections};
}

type Found = Partial<Record<Role, StoredTensor>>;

function byTarget(
  op: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  targets: readonly Target[],
): Map<Target, Found> {
  const places = new Map<string, {target: Target; role: Role}>(
    targets.flatMap((target) =>
      Object.entries(roles[target.isTable ? 'table' : 'kernel']).map(
        ([role, name]) => [`${PREFIX}${target.path}.${name}`, {target, role: role as Role}] as const,
      ),
    ),
  );
  const found = new Map<Target, Found>();
  for (const [name, tensor] of tensors) {
    const place = places.get(name);
    if (!place) {
      const hint = name.startsWith(`${PREFIX}lm_head.`) ? `; ${tiedHead(op)}` : '';
      throw new Error(`${tensor.file} has the tensor ${name}, which this model has no place for${hint}`);
    }
    found.set(place.target, {...found.get(place.target), [place.role]: tensor});
  }
  return found;
}

async function readCorrection(
  file: string,
  target: Target,
  {down, up, magnitude, base}: Found,
  {dora, alphaOf}: PeftConfig,
): Promise<StoredCorrection> {
  const {path, shape, isTable} = target;
  const [rows, columns] = shape;
  const names = roles[isTable ? 'table' : 'kernel'];
  if (!down || !up) throw new Error(`${file} lacks the tensor ${PREFIX}${path}.${down ? names.up : names.down}`);
  if (dora !== (magnitude !== undefined)) {
    throw new Error(`${file} ${dora ? 'lacks' : 'has'} ${PREFIX}${path}.${names.magnitude}, but use_dora is ${dora}`);
  }
  const rank = down.shape[0];
  const check = ({file, name, shape}: StoredTensor, expected: readonly number[]) => {
    if (showShape(shape) !== showShape(expected) || rank === 0) {
      throw new Error(`${file}: ${name} must have the shape ${showShape(expected)}, but has ${showShape(shape)}`);
    }
  };
  check(down, [rank, rows]);
  check(up, [columns, rank]);
  if (magnitude) check(magnitude, [columns]);
  if (base) check(base, isTable ? shape : [columns, rows]);
  return {
    target,
    rank,
    alpha: alphaOf(path),
    down: transpose(await readFloats(down), rank, rows),
    up: transpose(await readFloats(up), columns, rank),
    ...(magnitude && {magnitude: await readFloats(magnitude)}),
    ...(base && {base: await readFloats(base)}),
  };
}

/** Writes an adapter, its weights last; the caller commits. */
export async function writePeft(
  place: CheckpointTarget,
  settings: AdapterSettings,
  parts: readonly Part[],
  targets: readonly Target[],
): Promise<void> {
  const tensors = parts.flatMap(tensorsOf);
  const config = writtenPeftConfig(
    settings,
    parts.map(({target: {path}, rank, alpha}) => ({path, rank, alpha})),
    targets.map(({path}) => path),
  );
  const text = new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`);
  await place.write(CONFIG, text.length, pieceOf(text));
  const bytes = tensors.reduce((sum, {shape}) => sum + storedBytes(shape, 'F32'), 0);
  await place.write(WEIGHTS, safetensorsHeader(tensors, 'F32').length + bytes, safetensorsPieces(tensors, 'F32'));
}

function tensorsOf({target: {path, shape, isTable}, rank, variables}: Part): TensorToWrite[] {
  const [rows, columns] = shape;
  const names = roles[isTable ? 'table' : 'kernel'];
  const {down, up, magnitude} = variables;
  const turned = (name: string, weight: typeof down, from: readonly [number, number]): TensorToWrite => ({
    name: `${PREFIX}${path}.${name}`,
    shape: [from[1], from[0]],
    read: async () => transpose((await weight.read().data()) as Float32Array, ...from),
  });
  return [
    turned(names.down, down, [rows, rank]),
    turned(names.up, up, [rank, columns]),
    ...(magnitude
      ? [
          {
            name: `${PREFIX}${path}.${names.magnitude}`,
            shape: [columns],
            read: async () => (await magnitude.read().data()) as Float32Array,
          },
        ]
      : []),
  ];
}

async function* pieceOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
