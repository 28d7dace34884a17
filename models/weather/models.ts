/**
 * Forecasts of the temperature of the next 24 hours, anew at every hour, from all the hours before: as `tf.sequential`, with Mamba, an LSTM
 * or a GRU of as many weights in the middle. What comes out is the change against now, in units of 5 °C.
 */
import * as tf from '@tensorflow/tfjs';
import {layers} from '../../src';
import {FEATURES} from './table';

export const kinds = ['mamba', 'lstm', 'gru'] as const;
export type Kind = (typeof kinds)[number];

export const HORIZON = 24;
export const UNIT = 5;

const WIDTH = 32;
const units = {lstm: 32, gru: 38};

export interface ModelOptions {
  seed: number;
  /** For one hour at a time, with the states carried on from one call to the next. */
  streaming?: boolean;
}

/** Features [B,L,FEATURES] → [B,L,HORIZON]. */
export function weatherModel(kind: Kind, {seed, streaming = false}: ModelOptions): tf.Sequential {
  const start = (i: number) => tf.initializers.glorotUniform({seed: 100 * seed + i});
  const shape = streaming ? [1, 1, FEATURES] : [null, null, FEATURES];
  const first = tf.layers.dense({
    units: WIDTH,
    batchInputShape: shape,
    kernelInitializer: start(1),
  });
  const last = tf.layers.dense({units: HORIZON, kernelInitializer: start(2)});
  return tf.sequential({layers: [first, ...between(kind, 100 * seed + 3, streaming), last]});
}

function between(kind: Kind, seed: number, stateful: boolean): tf.layers.Layer[] {
  const dropout = 0.1;
  const places = [0, 1];
  if (kind === 'mamba') {
    const blocks = places.map((i) => layers.mambaBlock({dState: 8, dropout, stateful, seed: seed + i}));
    return [...blocks, layers.rmsNormalization()];
  }
  return places.map((i) => {
    const options = {
      ...{units: units[kind], stateful, dropout, returnSequences: true},
      kernelInitializer: tf.initializers.glorotUniform({seed: seed + 2 * i}),
      recurrentInitializer: tf.initializers.orthogonal({seed: seed + 2 * i + 1}),
    };
    return kind === 'lstm' ? tf.layers.lstm(options) : tf.layers.gru(options);
  });
}
