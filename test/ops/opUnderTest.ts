/**
 * What the specs need to know of an op to test it without knowing it: how to draw a case, the public op, and its float64
 * reference. The specs that hold for every op (flags, random shapes, gradients, memory, determinism) run over all of them.
 */
import * as tf from '@tensorflow/tfjs';
import type * as fc from 'fast-check';
import type {Arrays} from '../support/arrays';
import {mapValues, normal, readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {assertComputedHere} from '../support/backend';
import {mismatches, relativeError} from '../support/closeness';
import {backendSettings} from '../support/settings';

/** One call of an op. */
export interface OpCase {
  /** The floating inputs, by the names of the op's arguments. */
  inputs: Arrays;
  /** The other arguments: flags, and integers such as labels. */
  options: Record<string, unknown>;
}

export interface OpUnderTest<Params = object> {
  op: string;
  /** Draws the parameters of a case: shapes, flags and a seed for the numbers. */
  arbitrary: fc.Arbitrary<Params>;
  /** Every combination of flags, at small shapes. */
  combinations: Params[];
  /** Makes the numbers. */
  build(params: Params): OpCase;
  /** Calls the public op; the outputs by name. */
  run(inputs: Record<string, tf.Tensor>, options: OpCase['options']): Record<string, tf.Tensor>;
  reference(testCase: OpCase): Arrays;
  /** The gradient of Σ output·projection with respect to every floating input. */
  referenceGradient(testCase: OpCase, projections: Arrays): Arrays;
}

/** An op whose parameters do not matter to the caller. */
export function anyOp<Params>(op: OpUnderTest<Params>): OpUnderTest {
  return op as unknown as OpUnderTest;
}

/** A fixed random projection of the outputs: the loss whose gradients are compared is Σ output·projection. */
export function projectionsOf(outputs: Arrays, seed: number): Arrays {
  const random = seededRandom(seed);
  return mapValues(outputs, ({shape}) => normal(random, shape));
}

/** Σ output·projection. Outputs without elements (a conv state of width 1) stay out: TensorFlow.js cannot add up nothing on webgl and webgpu. */
export function projected(outputs: Record<string, tf.Tensor>, projections: Record<string, tf.Tensor>): tf.Scalar {
  return Object.entries(projections)
    .filter(([, projection]) => projection.size > 0)
    .map(([name, projection]) => outputs[name].mul(projection).sum())
    .reduce((a, b) => a.add(b)) as tf.Scalar;
}

/** Runs a function of named tensors, and the gradient of its projected outputs with respect to each of them. */
export async function evaluate(
  f: (inputs: Record<string, tf.Tensor>) => Record<string, tf.Tensor>,
  inputs: Arrays,
  projections: Arrays,
): Promise<{outputs: Arrays; gradients: Arrays}> {
  const before = tf.memory().numTensors;
  const names = Object.keys(inputs);
  const named = (tensors: tf.Tensor[]) => Object.fromEntries(names.map((name, i) => [name, tensors[i]]));
  const {outputs, gradients} = tf.tidy(() => {
    const tensors = names.map((name) => toTensor(inputs[name]));
    const dys = mapValues(projections, toTensor);
    const gradients = tf.grads((...xs: tf.Tensor[]) => projected(f(named(xs)), dys))(tensors);
    return {outputs: f(named(tensors)), gradients: named(gradients)};
  });
  assertComputedHere(outputs);
  assertComputedHere(gradients);
  const result = {outputs: await readAndDispose(outputs), gradients: await readAndDispose(gradients)};
  const leaked = tf.memory().numTensors - before;
  if (leaked !== 0) {
    throw new Error(`${leaked} tensors were left behind`);
  }
  return result;
}

/** Runs the op on the current backend, forward and backward. */
export function evaluateOp(op: OpUnderTest, {inputs, options}: OpCase, projections: Arrays) {
  return evaluate((tensors) => op.run(tensors, options), inputs, projections);
}

/** Compares the op on the current backend with its reference, forward and backward; what is wrong, in words. */
export async function compareWithReference(op: OpUnderTest, testCase: OpCase, seed: number): Promise<string[]> {
  const {output, gradient} = backendSettings();
  const expected = op.reference(testCase);
  const projections = projectionsOf(expected, seed);
  const {outputs, gradients} = await evaluateOp(op, testCase, projections);
  const gradientMismatches = mismatches(gradients, op.referenceGradient(testCase, projections), gradient);
  return [...mismatches(outputs, expected, output), ...gradientMismatches.map((text) => `gradient of ${text}`)];
}

/**
 * Whether a case says something about the kernel. Sums that nearly cancel, such as the bias gradient of a single channel, change
 * by more than the tolerance when an input changes in its last float32 digit: no float32 arithmetic can get them right.
 */
export function isWellConditioned(op: OpUnderTest, testCase: OpCase, seed: number): boolean {
  const random = seededRandom(seed);
  const nudge = (arrays: Arrays) =>
    mapValues(arrays, ({shape, values}) => ({
      shape,
      values: values.map((x) => x * (1 + (random() < 0.5 ? -1 : 1) * 2 ** -24)),
    }));
  const expected = op.reference(testCase);
  const projections = projectionsOf(expected, seed);
  const nudged = {...testCase, inputs: nudge(testCase.inputs)};
  const {output, gradient} = backendSettings();
  const moves = (before: Arrays, after: Arrays, limit: number) =>
    Object.keys(before).some((name) => relativeError(after[name].values, before[name].values) > limit);
  return !(
    moves(expected, op.reference(nudged), output / 10) ||
    moves(op.referenceGradient(testCase, projections), op.referenceGradient(nudged, nudge(projections)), gradient / 10)
  );
}
