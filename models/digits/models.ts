/**
 * What learns to hear digits: the same two dense layers over frames of raw samples, the same one to ten logits for every frame, and between
 * them Mamba or what it is compared with, of about as many weights. A recording is what the mean of its frames' logits says; all but
 * the convolution are causal, so that they hear as the sound comes in.
 */
import * as tf from '@tensorflow/tfjs';
import {layers} from '../../src';
import {FRAME} from './frames';

export const kinds = ['mamba', 'lstm', 'gru', 'conv'] as const;
export type Kind = (typeof kinds)[number];

const DIGITS = 10;
const WIDTH = 64;
const sizes = {frontEnd: 128, blocks: 4, dState: 16, dropout: 0.1};

/** Units of the layers between, for the number of weights to come nearest to Mamba's. */
const units = {lstm: 94, gru: 110, conv: 99};
const LAYERS = {lstm: 2, gru: 2, conv: 3};

export interface ModelOptions {
  /** Rows and frames of every call, for a model that carries its states on from one call to the next. */
  streaming?: {rows: number; frames: number};
  seed?: number;
}

/** Frames [B,T,FRAME] → logits [B,T',10]; the convolution has one T' for eight T. */
export function digitModel(kind: Kind, {streaming, seed}: ModelOptions = {}): tf.Sequential {
  const shape = streaming ? [streaming.rows, streaming.frames, FRAME] : [null, null, FRAME];
  const stateful = streaming !== undefined;
  const start = (i: number) => tf.initializers.glorotUniform({seed: seed === undefined ? undefined : 100 * seed + i});
  const frontEnd = [
    tf.layers.dense({
      units: sizes.frontEnd,
      activation: 'relu',
      kernelInitializer: start(1),
      batchInputShape: shape,
    }),
    tf.layers.dense({units: WIDTH, kernelInitializer: start(2)}),
  ];
  const head = [tf.layers.dense({units: DIGITS, kernelInitializer: start(3)})];
  return tf.sequential({layers: [...frontEnd, ...between(kind, stateful, seed, start), ...head]});
}

function between(
  kind: Kind,
  stateful: boolean,
  seed: number | undefined,
  start: (i: number) => ReturnType<typeof tf.initializers.glorotUniform>,
): tf.layers.Layer[] {
  const {blocks, dState, dropout} = sizes;
  if (kind === 'mamba') {
    const block = (_: unknown, i: number) =>
      layers.mambaBlock({dState, dropout, stateful, seed: seed === undefined ? undefined : 100 * seed + i});
    return [...Array.from({length: blocks}, block), layers.rmsNormalization()];
  }
  return Array.from({length: LAYERS[kind]}).flatMap((_, i): tf.layers.Layer[] => {
    const size = {units: units[kind], kernelInitializer: start(10 + i)};
    if (kind === 'conv') {
      const {units: filters, kernelInitializer} = size;
      return [
        tf.layers.conv1d({filters, kernelInitializer, kernelSize: 5, padding: 'same', activation: 'relu'}),
        tf.layers.maxPooling1d({poolSize: 2, strides: 2}),
        ...(dropout > 0 ? [tf.layers.dropout({rate: dropout})] : []),
      ];
    }
    const recurrent = {...size, dropout, stateful, returnSequences: true, recurrentInitializer: start(20 + i)};
    return [kind === 'lstm' ? tf.layers.lstm(recurrent) : tf.layers.gru(recurrent)];
  });
}

/** The mean of logits [B,T',10] over a row's own frames, which are such a share [B] of all: [B,10]. */
export function heard(logits: tf.Tensor3D, share: tf.Tensor1D): tf.Tensor2D {
  return tf.tidy(() => {
    const outputs = logits.shape[1];
    // An output counts if the first of its frames does; the share is rounded to float32.
    const own = share.mul(outputs).sub(0.01).ceil().expandDims(1);
    const real = tf.range(0, outputs).expandDims(0).less(own).toFloat();
    return logits.mul(real.expandDims(-1)).sum(1).div<tf.Tensor2D>(own);
  });
}
