/** A model's configuration and what follows from it. */
import {readFile} from 'node:fs/promises';
import {totalmem} from 'node:os';
import {join} from 'node:path';
import {readCheckpoint} from '../checkpoints/load';
import {registerFilePlatform} from '../checkpoints/platform';
import {nodeFiles} from '../checkpoints/nodeFiles';
import type {MambaConfig, ResolvedMambaConfig} from '../config/config';
import {resolveConfig} from '../config/config';
import type {PresetName} from '../config/presets';
import {presets} from '../config/presets';
import {countParameters, embedding, weightTable} from '../config/weightTable';
import {wasmBytes} from '../lm/memory';
import {mixerOf} from '../mixers';
import {stateShapes} from '../mixers/states';
import {GROUP} from '../ops/unpackRows/kernels';

export interface ModelDescription {
  config: ResolvedMambaConfig;
  /** The layout of its files; undefined for a size alone. */
  format?: string;
  /** The types in which its files hold the weights, the same. */
  stored?: string[];
  parameters: number;
  /** Bytes. */
  memory: {weights: number; state: number; training: number};
  /** Bytes of the weights with matrices in 8 bits. */
  int8: number;
  runsOn: {backend: string; generates: boolean; trains: boolean; limit?: number}[];
}

export async function describeModel(source: string, revision?: string): Promise<ModelDescription> {
  registerFilePlatform(nodeFiles);
  const isPreset = Object.hasOwn(presets, source);
  const {config, format, stored}: Pick<ModelDescription, 'config' | 'format' | 'stored'> = isPreset
    ? {config: resolveConfig(source as PresetName)}
    : ((await layersModel(source)) ?? (await readCheckpoint(source, {revision})));
  const parameters = countParameters(config);
  const weights = 4 * parameters;
  // Gradients, and the optimizer's two moments.
  const training = 4 * weights;
  const limits: Record<string, number | undefined> = {
    tensorflow: totalmem(),
    wasm: wasmBytes,
    cpu: totalmem(),
    'webgpu or webgl': undefined,
  };
  return {
    config,
    format,
    stored: stored && [...stored].sort((a, b) => bitsOf(a) - bitsOf(b)),
    parameters,
    memory: {weights, state: stateBytes(config), training},
    int8: int8Bytes(config),
    runsOn: Object.entries(limits).map(([backend, limit]) => ({
      backend,
      generates: weights <= (limit ?? Infinity),
      trains: training <= (limit ?? Infinity),
      limit,
    })),
  };
}

/** Of a value in a file: as its type says, such as BF16, F32 or, of blocks, Q8_0. */
export function bitsOf(type: string): number {
  return Number(/\d+/.exec(type)![0]);
}

/** The configuration in a folder that `model.save` or `convert --to layers` wrote. */
async function layersModel(folder: string): Promise<{config: ResolvedMambaConfig; format: string} | undefined> {
  const path = join(folder, 'model.json');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const {modelTopology} = JSON.parse(text) as {modelTopology?: {class_name?: string; config?: {mamba?: object}}};
  const {class_name: name, config: {mamba} = {}} = modelTopology ?? {};
  if (name !== 'MambaLM' || mamba === undefined) {
    throw new Error(`${path} is no language model of this package, but ${JSON.stringify(name)}`);
  }
  // TensorFlow.js writes names as Python has them.
  const own = Object.entries(mamba).map(([key, value]) => [
    key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
    value as unknown,
  ]);
  return {config: resolveConfig(Object.fromEntries(own) as MambaConfig), format: 'tf.LayersModel'};
}

/** With matrices as Q8_0 where their rows are whole groups: a byte for each number and a scale for each group. */
function int8Bytes(config: ResolvedMambaConfig): number {
  let bytes = 0;
  for (const {shape, layout, published} of weightTable(config)) {
    const size = shape.reduce((a, b) => a * b, 1);
    const isMatrix = layout === 'transposed' || published === embedding;
    const along = layout === 'transposed' ? shape[0] : shape[shape.length - 1];
    bytes += isMatrix && along % GROUP === 0 ? size + (4 * size) / GROUP : 4 * size;
  }
  return bytes;
}

/** Of all blocks, for one row. */
function stateBytes(config: ResolvedMambaConfig): number {
  const shapes = stateShapes(mixerOf(config), config, 1);
  const values = shapes.reduce((sum, [, shape]) => sum + shape.reduce<number>((a, b) => a * (b ?? 0), 1), 0);
  return 4 * config.nLayer * values;
}
