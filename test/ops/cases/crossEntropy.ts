/** The cross entropy, as the specs that hold for every op see it. */
import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import {crossEntropy} from '../../../src/ops/crossEntropy';
import {crossEntropyGradReference, crossEntropyReference} from '../../../src/ops/crossEntropy/reference';
import {integer, normal, reshaped, seededRandom, sizeOf} from '../../support/arrays';
import type {OpUnderTest} from '../opUnderTest';
import {product, seeds} from './draw';

export interface CrossEntropyParams {
  lead: number[];
  classes: number;
  /** undefined is the default, -100. */
  ignoreIndex: number | undefined;
  /** Of the rows, how many carry ignoreIndex. */
  ignored: 'none' | 'some' | 'all';
  seed: number;
}

interface Options {
  labels: number[];
  ignoreIndex?: number;
}

export const crossEntropyCase: OpUnderTest<CrossEntropyParams> = {
  op: 'crossEntropy',
  arbitrary: fc.record({
    lead: fc.array(fc.integer({min: 1, max: 6}), {maxLength: 2}),
    classes: fc.oneof(fc.integer({min: 1, max: 12}), fc.constantFrom(64, 255, 256, 257, 1000)),
    ignoreIndex: fc.constantFrom(undefined, -1, 0),
    ignored: fc.constantFrom('none', 'some', 'some', 'all'),
    seed: seeds,
  }),
  combinations: product<CrossEntropyParams>({
    lead: [[], [4], [2, 3]],
    classes: [1, 2, 5],
    ignoreIndex: [undefined, -7, 0],
    ignored: ['none', 'some', 'all'],
    seed: [12],
  }),
  build: ({lead, classes, ignoreIndex, ignored, seed}) => {
    const random = seededRandom(seed);
    const share = {none: 0, some: 0.4, all: 1}[ignored];
    const labels = Array.from({length: sizeOf(lead)}, () =>
      random() < share ? (ignoreIndex ?? -100) : integer(random, 0, classes - 1),
    );
    // Where logits differ much, p - 1 is a difference of nearly equal numbers; numerics.spec.ts has such rows.
    const logits = normal(random, [...lead, classes], classes > 20 ? 3 : 0.7);
    return {inputs: {logits}, options: {labels, ...(ignoreIndex !== undefined && {ignoreIndex})}};
  },
  run: ({logits}, options) => {
    const {labels, ignoreIndex} = options as unknown as Options;
    const shaped = tf.tensor(labels, logits.shape.slice(0, -1), 'int32');
    return {loss: crossEntropy({logits, labels: shaped, ...(ignoreIndex !== undefined && {ignoreIndex})})};
  },
  reference: ({inputs: {logits}, options}) => {
    const {labels, ignoreIndex = -100} = options as unknown as Options;
    const rows = reshaped(logits, [labels.length, logits.shape[logits.shape.length - 1]]);
    return {loss: {shape: [], values: Float64Array.of(crossEntropyReference(rows, labels, ignoreIndex))}};
  },
  referenceGradient: ({inputs: {logits}, options}, {loss}) => {
    const {labels, ignoreIndex = -100} = options as unknown as Options;
    const rows = reshaped(logits, [labels.length, logits.shape[logits.shape.length - 1]]);
    const gradient = crossEntropyGradReference(rows, labels, ignoreIndex, loss.values[0]);
    return {logits: reshaped(gradient, logits.shape)};
  },
};
