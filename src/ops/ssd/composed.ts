/**
 * Mamba-2's scan made of TensorFlow.js ops, for a backend without a kernel of its own: the chunked matrix form of the paper's section 6.
 *
 * Inside a chunk of Q positions the output is a product with the Q×Q matrix L ∘ CBᵀ, whose L holds the decays from one position to
 * another; what came before a chunk enters by its state. The states at the starts of chunks come from a scan over the chunks. So the
 * largest tensors are [B,L,H,Q] and [B,⌈L/Q⌉,H,P,N]. Everything is linear in x = δu; sequences of channels lie with a position a
 * column, see chunks.ts, which also says how precision is kept. No tensor has more than four axes: TensorFlow.js's WebGL programs for
 * five have their sizes built in, and with shapes as uniforms one made for other sizes may be run.
 */
import * as tf from '@tensorflow/tfjs';
import {offerComposed} from '../kernel';
import {keptWithin, softplus, softplusSlope} from '../composedScalar';
import type {Decays, Layout} from './chunks';
import {
  decaysOf,
  fromColumns,
  fromGroups,
  fromHeads,
  layoutOf,
  lowerTriangle,
  toColumns,
  toGroups,
  toHeads,
} from './chunks';
import type {SsdAttrs, SsdGradAttrs, SsdInputs} from './kernels';
import {runSsd, runSsdGrad} from './kernels';
import type {StepSizeAttrs} from './stepSize';
import {LARGEST} from './stepSize';

const isLimited = ({deltaMin, deltaMax}: StepSizeAttrs) => deltaMin > -LARGEST || deltaMax < LARGEST;

type RawStep = Pick<SsdInputs, 'delta' | 'deltaBias'>;

function biasedDelta({delta, deltaBias}: RawStep): tf.Tensor {
  return deltaBias ? delta.add(deltaBias) : delta;
}

/** δ, in the shape of delta. */
export function stepSizeComposed(inputs: RawStep, attrs: StepSizeAttrs): tf.Tensor {
  const biased = biasedDelta(inputs);
  const step = attrs.deltaSoftplus ? softplus(biased) : biased;
  return isLimited(attrs) ? keptWithin(step, attrs.deltaMin, attrs.deltaMax) : step;
}

/** The gradient of Δ from that of δ, [B,L,H]. */
function throughStepSize(dStep: tf.Tensor, inputs: RawStep, attrs: StepSizeAttrs): tf.Tensor {
  const biased = biasedDelta(inputs);
  const sloped = attrs.deltaSoftplus ? dStep.mul(softplusSlope(biased)) : dStep;
  if (!isLimited(attrs)) {
    return sloped;
  }
  const step = attrs.deltaSoftplus ? softplus(biased) : biased;
  const inside = step.greaterEqual(attrs.deltaMin).logicalAnd(step.lessEqual(attrs.deltaMax));
  return tf.where(inside, sloped, tf.zerosLike(sloped));
}

/** What both directions start from. */
interface Parts {
  layout: Layout;
  /** δ, [K,H,1,Q] */
  step: tf.Tensor;
  decays: Decays;
  /** x = δu, [K,H,P,Q] */
  x: tf.Tensor;
  /** [K,G,Q,N] */
  B: tf.Tensor;
  C: tf.Tensor;
  /** CBᵀ of each group, [K·G,1,Q,Q] */
  CB: tf.Tensor;
}

function partsOf(inputs: SsdInputs, attrs: StepSizeAttrs): Parts {
  const layout = layoutOf(inputs);
  const step = toHeads(stepSizeComposed(inputs, attrs), layout);
  const a = step.mul(inputs.A.expandDims(1));
  const B = toGroups(inputs.B, layout);
  const C = toGroups(inputs.C, layout);
  const CB = tf.matMul(C, B, false, true).reshape([-1, 1, layout.chunk, layout.chunk]);
  const x = toColumns(inputs.u, layout).mul(step.expandDims(2));
  return {layout, step: step.expandDims(2), decays: tf.tidy(() => decaysOf(a)), x, B, C, CB};
}

/** A matrix per head, [K,H,Q,Q], as those of each group, [K·G,H/G,Q,Q]; and back. */
const byGroup = (x: tf.Tensor, {groups, heads, chunk}: Layout) => x.reshape([-1, heads / groups, chunk, chunk]);
const byHead = (x: tf.Tensor, {heads, chunk}: Layout) => x.reshape([-1, heads, chunk, chunk]);

/** Columns of heads, [K,H,P,Q], as columns of groups, [K,G,H·P/G,Q]; states likewise. */
const ofGroups = (x: tf.Tensor, {groups, heads, headDim}: Layout) =>
  x.reshape([x.shape[0], groups, (heads / groups) * headDim, x.shape[3]!]);
const ofHeads = (x: tf.Tensor, {heads, headDim}: Layout) => x.reshape([x.shape[0], heads, headDim, x.shape[3]!]);

/** L ∘ CBᵀ of every head but for its rows' and columns' factors, [K,H,Q,Q]. */
function mixing({layout, decays, CB}: Parts): tf.Tensor {
  return byHead(byGroup(decays.within, layout).mul(CB), layout);
}

/** What the states at the starts of chunks, [K,H,P,N], put into the outputs, [K,H,P,Q]. */
function fromStates({layout, decays, C}: Parts, states: tf.Tensor): tf.Tensor {
  return ofHeads(tf.matMul(ofGroups(states, layout), C, false, true), layout).mul(decays.fromStart);
}

/**
 * A scan over the chunks, forwards or backwards: c → whole·c + added. Gives what was carried into each chunk, [K,H,P,N], and what
 * comes out of the last.
 */
function carry(added: tf.Tensor, {layout, decays}: Parts, first: tf.Tensor, backwards: boolean) {
  const {batch, chunks, heads, headDim, dState} = layout;
  const shape = [batch, heads, headDim * dState];
  const sums = tf.unstack(added.reshape([batch, chunks, heads, headDim * dState]), 1);
  const wholes = tf.unstack(decays.whole.reshape([batch, chunks, heads, 1]), 1);
  const into: tf.Tensor[] = [];
  let carried = first.reshape(shape);
  for (let i = 0; i < chunks; i++) {
    const c = backwards ? chunks - 1 - i : i;
    into[c] = carried;
    carried = carried.mul(wholes[c]).add(sums[c]);
  }
  return {
    into: tf.stack(into, 1).reshape([batch * chunks, heads, headDim, dState]),
    last: carried.reshape([batch, heads, headDim, dState]),
  };
}

/** The output before the gate, [B,L,H,P], from the states at the starts of chunks. */
function output({u, D}: SsdInputs, parts: Parts, states: tf.Tensor): tf.Tensor {
  const {layout, decays, x} = parts;
  const inside = tf.matMul(x.mul(decays.column), mixing(parts), false, true).mul(decays.row);
  const y = fromColumns(inside.add(fromStates(parts, states)), layout);
  return D ? y.add(u.mul(D)) : y;
}

/** y, finalState and, if asked for, the states at the starts of chunks, [K,H,P,N]. */
export function ssdComposed(inputs: SsdInputs, attrs: SsdAttrs): tf.Tensor[] {
  const {z, initialState} = inputs;
  const parts = partsOf(inputs, attrs);
  const {layout, decays, x, B} = parts;
  const {batch, heads, headDim, dState} = layout;
  const added = ofHeads(tf.matMul(ofGroups(x.mul(decays.toEnd), layout), B), layout);
  const first = initialState ?? tf.zeros([batch, heads, headDim, dState]);
  const {into: states, last} = carry(added, parts, first, false);
  const y = output(inputs, parts, states);
  const gated = z ? y.mul(z.mul(z.sigmoid())) : y;
  return attrs.keepStates ? [gated, last, states] : [gated, last];
}

/**
 * Sums along the last axis, of what lies before each position, and from it on. They are products, as TensorFlow.js's reversed cumsum is
 * wrong on webgpu for every length but the first that is asked for (findings/tfjs-webgpu-reverse-cumsum.sh).
 */
const sumsBefore = (x: tf.Tensor) => timesMatrix(x, lowerTriangle(x.shape[x.rank - 1], true), true);
const sumsFrom = (x: tf.Tensor) => timesMatrix(x, lowerTriangle(x.shape[x.rank - 1]), false);

function timesMatrix(x: tf.Tensor, matrix: tf.Tensor, transposed: boolean): tf.Tensor {
  return tf.matMul(x.reshape([-1, matrix.shape[0]]), matrix, false, transposed).reshape(x.shape);
}

/** The sum over the heads of a group, a product too: on webgl a sum over this axis is wrong where shapes are uniforms. */
function overHeads(x: tf.Tensor): tf.Tensor {
  const [matrices, heads] = x.shape;
  return tf.matMul(tf.ones([matrices, 1, heads]), x.reshape([matrices, heads, -1]));
}

/**
 * The gradients through the pairs of positions of a chunk, from S_ij = L_ij gy_i·x_j: of CBᵀ, [K,G,Q,Q], and of a, [K,H,1,Q]. A decay
 * a_k lies between all i ≥ k > j; summed so, no term is there that another would cancel.
 */
function throughPairs(gy: tf.Tensor, {layout, decays, x, CB}: Parts): [tf.Tensor, tf.Tensor] {
  return tf.tidy(() => {
    const {groups, chunk} = layout;
    const products = tf.matMul(gy.mul(decays.row), x.mul(decays.column), true, false).mul(decays.within);
    const grouped = byGroup(products, layout);
    const pairs = byHead(grouped.mul(CB), layout);
    const crossing = sumsBefore(pairs).mul(lowerTriangle(chunk)).sum(2, true);
    return [overHeads(grouped).reshape([-1, groups, chunk, chunk]), crossing];
  });
}

type GradInputs = SsdInputs & Record<'states' | 'dy' | 'dFinalState', tf.Tensor>;

export function ssdGradComposed(inputs: GradInputs, attrs: SsdGradAttrs): tf.Tensor[] {
  const {u, A, D, z, deltaBias, initialState, states, dy, dFinalState} = inputs;
  const parts = partsOf(inputs, attrs);
  const {layout, decays, step, x, B, C} = parts;
  const gate = z?.sigmoid();
  const gradientOfY = gate ? dy.mul(z!.mul(gate)) : dy;
  const gy = toColumns(gradientOfY, layout);

  // Through the states: `fromLater` is the gradient of the state at each chunk's end.
  const decayed = ofGroups(gy.mul(decays.fromStart), layout);
  const {into: fromLater, last: dInitial} = carry(tf.matMul(decayed, C), parts, dFinalState, true);
  const later = ofGroups(fromLater, layout);
  const dxOfStates = ofHeads(tf.matMul(later, B, false, true), layout).mul(decays.toEnd);
  const throughStart = gy.mul(fromStates(parts, states)).sum(2, true);
  const throughEnd = x.mul(dxOfStates).sum(2, true);
  const throughWhole = states.mul(fromLater).sum([2, 3], true).mul(decays.whole);

  const [dCB, throughChunk] = throughPairs(gy, parts);
  const dLogDecay = throughChunk.add(sumsFrom(throughStart)).add(sumsBefore(throughEnd)).add(throughWhole);
  const dx = tf.matMul(gy.mul(decays.row), mixing(parts)).mul(decays.column).add(dxOfStates);
  const dB = tf.matMul(dCB, C, true, false).add(tf.matMul(ofGroups(x.mul(decays.toEnd), layout), later, true, false));
  const dC = tf.matMul(dCB, B).add(tf.matMul(decayed, ofGroups(states, layout), true, false));

  const dInput = fromColumns(dx.mul(step), layout);
  const dStep = toColumns(u, layout)
    .mul(dx)
    .sum(2)
    .add(dLogDecay.squeeze([2]).mul(A.expandDims(1)));
  const dDelta = throughStepSize(fromHeads(dStep, layout), inputs, attrs);
  const gradients = [
    D ? dInput.add(gradientOfY.mul(D)) : dInput,
    dDelta,
    dLogDecay.mul(step).sum([0, 2, 3]),
    fromGroups(dB, layout),
    fromGroups(dC, layout),
  ];
  if (D) {
    const perChannel = gradientOfY.mul(u).sum([0, 1]);
    gradients.push(D.shape[1] === 1 ? perChannel.sum(1, true) : perChannel);
  }
  if (gate) {
    const slope = gate.mul(z!.mul(tf.sub(1, gate)).add(1));
    gradients.push(dy.mul(output(inputs, parts, states)).mul(slope));
  }
  if (deltaBias) {
    gradients.push(dDelta.sum([0, 1]));
  }
  if (initialState) {
    gradients.push(dInitial);
  }
  return gradients;
}

offerComposed(runSsd, ssdComposed);
offerComposed(runSsdGrad, ssdGradComposed);
