/**
 * The arithmetic of a weight with a low-rank correction. A product never makes the corrected weight: x·base + (x·down)·up·scale. Only
 * DoRA needs it, to know how long its columns are; that length is a constant to gradients, as in section 4.3 of arXiv 2402.09353.
 */
import * as tf from '@tensorflow/tfjs';
import {asConstant} from '../backends/engine';
import {embedding as embeddingOp} from '../ops/embedding';
import {linear as linearOp} from '../ops/linear';
import {defineForm} from './forms';
import type {LoraWeight, WeightedArgs} from './weight';
import {denseValue, embedding, linear} from './weight';

/** See `linear` in weight.ts. */
function loraLinear({x, weight, bias, isTable = false}: WeightedArgs & {weight: LoraWeight}): tf.Tensor {
  return tf.tidy(() => {
    const {base, down, up, scale, dropout, seed} = weight;
    const stretch = columnStretch(weight, isTable);
    // A table is multiplied by from its rows' side, so that its columns are those of x.
    const input = stretch && isTable ? x.mul(stretch) : x;
    const seen = dropout > 0 ? tf.dropout(input, dropout, undefined, seed) : input;
    const [first, second] = isTable ? [up, down] : [down, up];
    const low = linearOp({x: seen, kernel: first, transposeKernel: isTable}).mul(scale);
    const correction = linearOp({x: low, kernel: second, transposeKernel: isTable});
    const sum = linear({x: input, weight: base, isTable}).add(correction);
    const y = stretch && !isTable ? sum.mul(stretch) : sum;
    return bias ? y.add(bias) : y;
  });
}

/** See `embedding` in weight.ts. */
function loraEmbedding({ids, weight}: {ids: tf.Tensor; weight: LoraWeight}): tf.Tensor {
  return tf.tidy(() => {
    const {base, down, up, scale} = weight;
    const correction = linearOp({x: embeddingOp({ids, weight: down}).mul(scale), kernel: up});
    const rows = embedding({ids, weight: base}).add(correction);
    const stretch = columnStretch(weight, true);
    return stretch ? rows.mul(stretch) : rows;
  });
}

/** The corrected weight: a table, or a kernel [in, out]. */
export function mergedValue(weight: LoraWeight, isTable: boolean): tf.Tensor {
  return tf.tidy(() => {
    const sum = sumOf(weight, isTable);
    return weight.magnitude ? sum.mul(weight.magnitude.div(columnLengths(sum))) : sum;
  });
}

/** Makes corrected weights known to products and look-ups. */
export function useCorrectedWeights(): void {
  defineForm('lora', {linear: loraLinear, embedding: loraEmbedding, value: mergedValue});
}

/** Lengths of the columns [columns]: what a magnitude starts as. */
export function columnLengths(value: tf.Tensor): tf.Tensor1D {
  return tf.tidy(() => value.square().sum<tf.Tensor1D>(0).sqrt());
}

function sumOf({base, down, up, scale}: LoraWeight, isTable: boolean): tf.Tensor {
  return denseValue(base, isTable).add(down.matMul(up).mul(scale));
}

/** What brings the columns of the sum to their magnitudes, if the weight has them. */
function columnStretch(weight: LoraWeight, isTable: boolean): tf.Tensor | undefined {
  return weight.magnitude?.div(asConstant(() => tf.tidy(() => columnLengths(sumOf(weight, isTable)))));
}
