/** The linear map and the embedding, as the specs that hold for every op see them. */
import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import {embedding} from '../../../src/ops/embedding';
import type {LinearArgs} from '../../../src/ops/linear';
import {linear} from '../../../src/ops/linear';
import {linearGradReference, linearReference} from '../../../src/ops/linear/reference';
import type {Arrays} from '../../support/arrays';
import {fill, integer, mapValues, normal, reshaped, seededRandom, sizeOf} from '../../support/arrays';
import type {OpUnderTest} from '../opUnderTest';
import {either, product, seeds} from './draw';

export interface LinearParams {
  lead: number[];
  width: number;
  out: number;
  hasBias: boolean;
  transposeKernel: boolean;
  seed: number;
}

/** x as the reference takes it, [R,in]. */
function asRows({x, ...rest}: Arrays) {
  const width = x.shape[x.shape.length - 1];
  return {
    ...(rest as {kernel: Arrays['kernel']; bias?: Arrays['bias']}),
    x: reshaped(x, [x.values.length / width, width]),
  };
}

export const linearCase: OpUnderTest<LinearParams> = {
  op: 'linear',
  arbitrary: fc.record({
    lead: fc.array(fc.integer({min: 1, max: 6}), {maxLength: 3}),
    width: fc.integer({min: 1, max: 40}),
    out: fc.integer({min: 1, max: 40}),
    hasBias: fc.boolean(),
    transposeKernel: fc.boolean(),
    seed: seeds,
  }),
  combinations: product<LinearParams>({
    lead: [[], [1], [3], [2, 3], [2, 1, 2]],
    width: [1, 4],
    out: [1, 3],
    hasBias: either,
    transposeKernel: either,
    seed: [13],
  }),
  build: ({lead, width, out, hasBias, transposeKernel, seed}) => {
    const random = seededRandom(seed);
    const inputs: Arrays = {
      x: normal(random, [...lead, width]),
      kernel: normal(random, transposeKernel ? [out, width] : [width, out]),
      ...(hasBias && {bias: normal(random, [out])}),
    };
    return {inputs, options: {transposeKernel}};
  },
  run: (inputs, options) => ({y: linear({...inputs, ...options} as unknown as LinearArgs)}),
  reference: ({inputs, options}) => {
    const y = linearReference(asRows(inputs), options.transposeKernel as boolean);
    return {y: reshaped(y, [...inputs.x.shape.slice(0, -1), y.shape[1]])};
  },
  referenceGradient: ({inputs, options}, {y}) => {
    const out = y.shape[y.shape.length - 1];
    const rows = reshaped(y, [y.values.length / out, out]);
    const gradients = linearGradReference(asRows(inputs), options.transposeKernel as boolean, rows) as Arrays;
    return mapValues(gradients, (array, name) => reshaped(array, inputs[name].shape));
  },
};

export interface EmbeddingParams {
  idShape: number[];
  rows: number;
  channels: number;
  seed: number;
}

/** Calls back for every element of the result with its place there and in the table. */
function forEachGathered(ids: number[], channels: number, visit: (at: number, inTable: number) => void): void {
  ids.forEach((id, i) => {
    for (let k = 0; k < channels; k++) {
      visit(i * channels + k, id * channels + k);
    }
  });
}

interface EmbeddingOptions {
  ids: number[];
  idShape: number[];
}

export const embeddingCase: OpUnderTest<EmbeddingParams> = {
  op: 'embedding',
  arbitrary: fc.record({
    idShape: fc.array(fc.integer({min: 1, max: 7}), {minLength: 1, maxLength: 2}),
    rows: fc.integer({min: 1, max: 30}),
    channels: fc.integer({min: 1, max: 20}),
    seed: seeds,
  }),
  combinations: product<EmbeddingParams>({
    idShape: [[1], [5], [2, 3]],
    rows: [1, 4],
    channels: [1, 3],
    seed: [14],
  }),
  build: ({idShape, rows, channels, seed}) => {
    const random = seededRandom(seed);
    const ids = Array.from({length: sizeOf(idShape)}, () => integer(random, 0, rows - 1));
    return {inputs: {weight: normal(random, [rows, channels])}, options: {ids, idShape}};
  },
  run: ({weight}, options) => {
    const {ids, idShape} = options as unknown as EmbeddingOptions;
    return {y: embedding({ids: tf.tensor(ids, idShape, 'int32'), weight: weight as tf.Tensor2D})};
  },
  reference: ({inputs: {weight}, options}) => {
    const {ids, idShape} = options as unknown as EmbeddingOptions;
    const y = fill([...idShape, weight.shape[1]], () => 0);
    forEachGathered(ids, weight.shape[1], (at, inTable) => (y.values[at] = weight.values[inTable]));
    return {y};
  },
  referenceGradient: ({inputs: {weight}, options}, {y}) => {
    const {ids} = options as unknown as EmbeddingOptions;
    const gradient = fill(weight.shape, () => 0);
    forEachGathered(ids, weight.shape[1], (at, inTable) => (gradient.values[inTable] += y.values[at]));
    return {weight: gradient};
  },
};
