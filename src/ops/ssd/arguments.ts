/** The argument checks that Mamba-2's scan and its single step share. */
import type * as tf from '@tensorflow/tfjs';
import {checkBoolean, checkShape, showShape} from '../check';
import type {StepSizeAttrs} from './stepSize';
import {LARGEST} from './stepSize';

/** The options of the step size, as a caller gives them. */
export interface StepSizeOptions {
  deltaSoftplus?: boolean;
  deltaLimit?: readonly [min: number, max: number];
}

/** Checks the options of the step size; the kernels' attributes. */
export function checkStepSize(op: string, {deltaSoftplus = false, deltaLimit}: StepSizeOptions): StepSizeAttrs {
  checkBoolean(op, 'deltaSoftplus', deltaSoftplus);
  if (deltaLimit === undefined || deltaLimit === null) {
    return {deltaSoftplus, deltaMin: -LARGEST, deltaMax: LARGEST};
  }
  const isPair = Array.isArray(deltaLimit) && deltaLimit.length === 2;
  const [min, max] = isPair ? deltaLimit : [NaN, NaN];
  if (typeof min !== 'number' || typeof max !== 'number' || !(min <= max)) {
    const given = Array.isArray(deltaLimit) ? showShape(deltaLimit) : String(deltaLimit);
    throw new Error(`${op}: deltaLimit must be two numbers [min, max], min ≤ max, but is ${given}`);
  }
  const within = (x: number) => Math.min(Math.max(Math.fround(x), -LARGEST), LARGEST);
  return {deltaSoftplus, deltaMin: within(min), deltaMax: within(max)};
}

/** Checks B or C: [...lead, N] or [...lead, G, N], where the groups divide the heads. */
export function checkProjection(
  op: string,
  name: string,
  projection: tf.Tensor,
  lead: readonly number[],
  heads: number,
  dState: number,
): void {
  const {shape, rank} = projection;
  if (rank === lead.length + 1) {
    checkShape(op, name, projection, [...lead, dState], 'a row of dState values per position');
    return;
  }
  if (rank !== lead.length + 2) {
    const forms = [
      [...lead, dState],
      [...lead, 'groups', dState],
    ]
      .map(showShape)
      .join(' or ');
    throw new Error(`${op}: ${name} must have shape ${forms}, but has ${showShape(shape)}`);
  }
  const groups = shape[lead.length];
  checkShape(op, name, projection, [...lead, groups, dState], 'shape [..., groups, dState]');
  if (groups === 0 || heads % groups !== 0) {
    throw new Error(`${op}: ${name} must have a number of groups that divides the ${heads} heads, but has ${groups}`);
  }
}

/** Checks a skip connection: a value per head or per channel. */
export function checkSkip(op: string, D: tf.Tensor | undefined, heads: number, headDim: number): void {
  if (D?.rank === 2) {
    checkShape(op, 'D', D, [heads, headDim], 'a value per channel');
  } else {
    checkShape(op, 'D', D, [heads], 'a value per head');
  }
}

/** B, C and D in the one form that kernels take: [...lead, G, N] and [H,1] or [H,P]. */
export function inKernelForm({B, C, D}: {B: tf.Tensor; C: tf.Tensor; D: tf.Tensor | undefined}, leading: number) {
  const withGroups = (x: tf.Tensor) => (x.rank === leading + 1 ? x.expandDims(-2) : x);
  return {B: withGroups(B), C: withGroups(C), D: D?.rank === 1 ? D.expandDims(1) : D};
}
