/** Classifiers of series as `tf.sequential` has them, that read both ways: Mamba, and tfjs's LSTM and GRU with as many weights. */
import * as tf from '@tensorflow/tfjs';
import {layers} from '../../src';
import type {SetName} from './data';

export const kinds = ['mamba', 'lstm', 'gru'] as const;
export type Kind = (typeof kinds)[number];

interface Sizes {
  channels: number;
  classes: number;
  width: number;
  dropout: number;
  /** For the number of weights to come nearest to Mamba's. */
  units: {lstm: number; gru: number};
}

export const sizes: Record<SetName, Sizes> = {
  vowels: {channels: 12, classes: 9, width: 24, dropout: 0.2, units: {lstm: 22, gru: 26}},
  acsf1: {channels: 1, classes: 10, width: 24, dropout: 0.2, units: {lstm: 22, gru: 26}},
};

/**
 * Series [B,L,channels] → logits [B,classes]. Those of several lengths are followed by zeros, which a mask hides, and what reads them ends
 * with its last states; those of one length end with the mean over all positions.
 */
export function seriesModel(set: SetName, kind: Kind, seed: number): tf.Sequential {
  const {channels, classes, width, dropout} = sizes[set];
  const isMasked = set === 'vowels';
  const start = (i: number) => tf.initializers.glorotUniform({seed: 100 * seed + i});
  const inputs = isMasked ? [tf.layers.masking({inputShape: [null, channels]})] : [];
  const ends = isMasked ? [] : [tf.layers.globalAveragePooling1d({})];
  return tf.sequential({
    layers: [
      ...inputs,
      tf.layers.dense({units: width, inputShape: [null, channels], kernelInitializer: start(1)}),
      bothWays(set, kind, 100 * seed + 2, true),
      bothWays(set, kind, 100 * seed + 4, !isMasked),
      ...ends,
      tf.layers.dropout({rate: dropout, seed}),
      tf.layers.dense({units: classes, kernelInitializer: start(6)}),
    ],
  });
}

function bothWays(set: SetName, kind: Kind, seed: number, returnSequences: boolean): tf.layers.Layer {
  const {units, dropout} = sizes[set];
  const common = {returnSequences, dropout};
  if (kind === 'mamba') {
    const layer = layers.mambaBlock({...common, dState: 8, seed});
    return tf.layers.bidirectional({layer, mergeMode: returnSequences ? 'ave' : 'concat'});
  }
  const recurrent = {
    ...{...common, units: units[kind]},
    kernelInitializer: tf.initializers.glorotUniform({seed}),
    recurrentInitializer: tf.initializers.orthogonal({seed: seed + 1}),
  };
  const layer = kind === 'lstm' ? tf.layers.lstm(recurrent) : tf.layers.gru(recurrent);
  return tf.layers.bidirectional({layer, mergeMode: 'concat'});
}
