/** What of a model is trained further, and how that is kept. */
import {dirname} from 'node:path';
import type {AdapterInfo, MambaLM} from '../node';
import {UsageError} from './io';
import type {Library} from './library';

export interface TunerFlags {
  fineTuneType: 'lora' | 'dora' | 'full';
  numLayers: number;
  resumeAdapterFile?: string;
  loraRank: number;
  loraAlpha: number;
  loraDropout: number;
  loraTargets?: string[];
  seed: number;
}

export interface Tuning {
  /** Parameters that are trained. */
  trained: number;
  total: number;
  save(folder: string): Promise<void>;
}

/** @param begin The folder, or a file in it, of an adapter to begin with. */
export async function startTuning(lib: Library, model: MambaLM, flags: TunerFlags, begin?: string): Promise<Tuning> {
  if (flags.fineTuneType === 'full') {
    freeze(model, flags.numLayers);
    const trained = model.trainableWeights.reduce((sum, {shape}) => sum + shape.reduce<number>((a, b) => a * b!, 1), 0);
    return {trained, total: model.countParams(), save: (folder) => lib.savePretrained(model, folder)};
  }
  const {trainedParameters, totalParameters} =
    begin === undefined
      ? addAdapter(lib, model, flags)
      : await lib.loadAdapter(model, begin.endsWith('.safetensors') ? dirname(begin) : begin);
  return {trained: trainedParameters, total: totalParameters, save: (folder) => lib.saveAdapter(model, folder)};
}

function addAdapter(lib: Library, model: MambaLM, flags: TunerFlags): AdapterInfo {
  const {
    fineTuneType,
    numLayers,
    loraRank: rank,
    loraAlpha: alpha,
    loraDropout: dropout,
    loraTargets: targets,
    seed,
  } = flags;
  const options = {rank, alpha, dropout, dora: fineTuneType === 'dora', targets, seed};
  const info = lib.addAdapter(model, options);
  if (numLayers === -1) return info;
  const first = firstTrained(model, numLayers);
  const last = info.targets.filter((path) => {
    const [, block] = /\blayers\.(\d+)\./.exec(path) ?? [];
    return block === undefined || Number(block) >= first;
  });
  lib.removeAdapter(model);
  return lib.addAdapter(model, {...options, targets: last});
}

/** Leaves the last blocks to be trained, as mlx_lm does: neither the embedding nor the norm and the head. */
function freeze(model: MambaLM, numLayers: number): void {
  if (numLayers === -1) return;
  const first = firstTrained(model, numLayers);
  const {nLayer} = model.config;
  const trained = new Set(Array.from({length: nLayer - first}, (_, i) => `layers.${first + i}`));
  for (const layer of model.layers) layer.trainable = trained.has(layer.name);
}

function firstTrained({config: {nLayer}}: MambaLM, numLayers: number): number {
  if (numLayers > nLayer) {
    throw new UsageError(
      `--num-layers must be at most the ${nLayer} blocks that the model has, or -1 for all, but is ${numLayers}`,
    );
  }
  return nLayer - numLayers;
}
