/** A model's configuration and what follows from it. */
import {totalmem} from 'node:os';
import {readCheckpoint} from '../checkpoints/load';
import {registerFilePlatform} from '../checkpoints/platform';
import {nodeFiles} from '../checkpoints/nodeFiles';
import type {ResolvedMambaConfig} from '../config/config';
import {resolveConfig} from '../config/config';
import type {PresetName} from '../config/presets';
import {presets} from '../config/presets';
import {countParameters} from '../config/weightTable';
import {wasmBytes} from '../lm/memory';
import {mixerOf} from '../mixers';
import {stateShapes} from '../mixers/states';

export interface ModelDescription {
  config: ResolvedMambaConfig;
  /** The layout of its files; undefined for a size alone. */
  format?: string;
  parameters: number;
  /** Bytes. */
  memory: {weights: number; state: number; training: number};
  runsOn: {backend: string; generates: boolean; trains: boolean; limit?: number}[];
}

export async function describeModel(source: string, revision?: string): Promise<ModelDescription> {
  registerFilePlatform(nodeFiles);
  const isPreset = Object.hasOwn(presets, source);
  const {config, format} = isPreset
    ? {config: resolveConfig(source as PresetName), format: undefined}
    : await readCheckpoint(source, {revision});
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
    parameters,
    memory: {weights, state: stateBytes(config), training},
    runsOn: Object.entries(limits).map(([backend, limit]) => ({
      backend,
      generates: weights <= (limit ?? Infinity),
      trains: training <= (limit ?? Infinity),
      limit,
    })),
  };
}

/** Of all blocks, for one row. */
function stateBytes(config: ResolvedMambaConfig): number {
  const shapes = stateShapes(mixerOf(config), config, 1);
  const values = shapes.reduce((sum, [, shape]) => sum + shape.reduce<number>((a, b) => a * (b ?? 0), 1), 0);
  return 4 * config.nLayer * values;
}
