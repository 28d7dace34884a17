/** Decoding: tokens per second, and what a token costs in dispatches. Random weights. */
import * as tf from '@tensorflow/tfjs';
import type {MambaConfig, PresetName} from '../src';
import {mambaLM} from '../src';
import {countDispatches} from './measure';

/** 24 layers, narrow enough for a software GPU. */
const narrow: MambaConfig = {vocabSize: 256, dModel: 128, nLayer: 24};

export async function benchDecode(preset?: string): Promise<void> {
  const config = preset === undefined ? narrow : (preset as PresetName);
  const model = mambaLM(config, {seed: 1});
  const {nLayer, dModel, vocabSize} = model.config;
  console.log(`decode on ${tf.getBackend()}: ${nLayer} layers, width ${dModel}, vocabulary ${vocabSize}`);
  let {logits, state} = model.prefill([[1, 2, 3, 4, 5, 6, 7, 8]]);
  const advance = (id: number) => {
    const next = model.step([id], state);
    tf.dispose([logits, state]);
    ({logits, state} = next);
  };
  advance(1);
  await logits.data();
  const {dispatches} = countDispatches(() => advance(2));
  await logits.data();
  const tokens = 32;
  const start = performance.now();
  for (let i = 0; i < tokens; i++) {
    advance(i);
    await logits.data();
  }
  const seconds = (performance.now() - start) / 1e3;
  const perToken = dispatches === undefined ? '' : `, ${dispatches} dispatches per token`;
  console.log(`${(tokens / seconds).toFixed(1)} tokens/s${perToken}`);
  tf.dispose([logits, state]);
}
