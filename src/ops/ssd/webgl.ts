/**
 * Mamba-2's scan on WebGL2: which passes run when (webglPasses.ts, webglGradPasses.ts). The largest intermediate results are those of u's
 * size, the states at the starts of chunks of 64 positions, and backwards the pairs of positions of each chunk and head.
 */
import type * as tf from '@tensorflow/tfjs';
import type {Kernel} from '../../backends/webgl';
import {runPasses} from '../../backends/webgl';
import {columnSums} from '../../backends/webglSums';
import {byName, registerArrayKernel} from '../kernel';
import type {SsdGradInput, SsdInput} from './kernels';
import {ssdInputs} from './kernels';
import type {StepSizeAttrs} from './stepSize';
import * as gradPasses from './webglGradPasses';
import * as passes from './webglPasses';
import {CHUNK} from './webglPasses';

type Operands = Record<'u' | 'delta' | 'A' | 'B' | 'C', tf.TensorInfo> & {[K in SsdGradInput]?: tf.TensorInfo};

const sizeOf = ({shape}: tf.TensorInfo) => shape.reduce((a, b) => a * b, 1);

/** Sizes, as every pass finds those it asks for, and how many texels the tables have. */
function settingsOf({u, B, D}: Operands) {
  const [batch, len, heads, headDim] = u.shape;
  const [, , groups, dState] = B.shape;
  const chunks = Math.ceil(len / CHUNK);
  const quads = Math.ceil(dState / 4);
  const pieces = batch * chunks;
  return {
    ints: {len, chunks, heads, headDim, groups, dState, quads, channelsOfD: D?.shape[1] ?? 1},
    values: pieces * heads * CHUNK,
    states: pieces * heads * headDim * quads,
    batchStates: batch * heads * headDim * quads,
    pairs: (perPiece: number) => (pieces * perPiece * CHUNK * CHUNK) / 4,
  };
}

type Settings = ReturnType<typeof settingsOf>;

/** A tensor of dState columns as texels. */
function toQuads(kernel: Kernel, matrix: tf.TensorInfo, {ints}: Settings): tf.TensorInfo {
  const count = (sizeOf(matrix) / ints.dState) * ints.quads;
  const output = kernel.texels(count);
  kernel.draw(passes.quadPass, {inputs: {matrix}, ints, count, outputs: [output]});
  return output;
}

function fromQuads(kernel: Kernel, matrix4: tf.TensorInfo, shape: number[], {ints}: Settings): tf.TensorInfo {
  const output = kernel.output(shape);
  kernel.draw(passes.unpackPass, {inputs: {matrix4}, ints, count: sizeOf(output), outputs: [output]});
  return output;
}

/** What both directions start from. */
function prepare(kernel: Kernel, {delta, A, B, C, deltaBias}: Operands, settings: Settings, attrs: StepSizeAttrs) {
  const {ints, values, pairs} = settings;
  const {deltaSoftplus, deltaMin, deltaMax} = attrs;
  const step4 = kernel.texels(values);
  kernel.draw(passes.stepPass, {
    inputs: {delta, A, deltaBias},
    ints,
    floats: {deltaMin, deltaMax},
    flags: {SOFTPLUS: deltaSoftplus},
    count: values,
    outputs: [step4],
  });
  const [steps4, edges4] = [kernel.texels(values), kernel.texels(values)];
  kernel.draw(passes.decayPass, {inputs: {step4}, count: values, outputs: [steps4, edges4]});
  const [B4, C4] = [toQuads(kernel, B, settings), toQuads(kernel, C, settings)];
  const count = pairs(ints.groups);
  const CB4 = kernel.texels(count);
  kernel.draw(passes.projectionPairsPass, {inputs: {B4, C4}, ints, count, outputs: [CB4]});
  return {steps4, edges4, B4, C4, CB4};
}

/** What is carried into each piece, and if asked for out of the last, of what `added` says that pieces add. */
function carryStates(
  kernel: Kernel,
  {ints, states, batchStates}: Settings,
  added: Record<'x' | 'edges4' | 'projection4', tf.TensorInfo>,
  start4: tf.TensorInfo | undefined,
  {isBackwards, withEnd, keep}: Record<'isBackwards' | 'withEnd' | 'keep', boolean>,
): {into4: tf.TensorInfo; end4?: tf.TensorInfo} {
  const flags = {BACKWARDS: isBackwards};
  const added4 = kernel.texels(states);
  kernel.draw(passes.statesPass, {inputs: added, ints, flags, count: states, outputs: [added4]});
  const inputs = {added4, edges4: added.edges4, start4};
  const into4 = keep ? kernel.keptTexels(states) : kernel.texels(states);
  kernel.draw(passes.carryPass, {inputs, ints, flags: {...flags, END: false}, count: states, outputs: [into4]});
  if (!withEnd) return {into4};
  const end4 = kernel.texels(batchStates);
  kernel.draw(passes.carryPass, {inputs, ints, flags: {...flags, END: true}, count: batchStates, outputs: [end4]});
  return {into4, end4};
}

function forward(kernel: Kernel, operands: Operands, attrs: StepSizeAttrs, keepStates: boolean): tf.TensorInfo[] {
  const {u, D, z, initialState} = operands;
  const settings = settingsOf(operands);
  const {ints} = settings;
  const {steps4, edges4, B4, C4, CB4} = prepare(kernel, operands, settings, attrs);
  const start4 = initialState && toQuads(kernel, initialState, settings);
  const added = {x: u, edges4, projection4: B4};
  const how = {isBackwards: false, withEnd: true, keep: keepStates};
  const {into4, end4} = carryStates(kernel, settings, added, start4, how);
  const y = z ? kernel.temporary(u.shape) : kernel.output(u.shape);
  const count = sizeOf(u);
  kernel.draw(passes.outputPass, {
    inputs: {u, steps4, edges4, CB4, C4, states4: into4, D},
    ints,
    count,
    outputs: [y, kernel.temporary(u.shape)],
  });
  const gated = z ? kernel.output(u.shape) : y;
  if (z) kernel.draw(passes.gatePass, {inputs: {x: y, z}, count, outputs: [gated]});
  const {heads, headDim, dState} = ints;
  const finalState = fromQuads(kernel, end4!, [u.shape[0], heads, headDim, dState], settings);
  return keepStates ? [gated, finalState, into4] : [gated, finalState];
}

function backward(kernel: Kernel, operands: Operands, attrs: StepSizeAttrs): {[K in SsdInput]?: tf.TensorInfo} {
  const {u, delta, A, B, C, D, z, deltaBias, initialState, states: states4, dFinalState} = operands;
  const dy = operands.dy!;
  const settings = settingsOf(operands);
  const {ints, values, pairs} = settings;
  const {heads, headDim} = ints;
  const count = sizeOf(u);
  const {steps4, edges4, B4, C4, CB4} = prepare(kernel, operands, settings, attrs);
  const gradients: {[K in SsdInput]?: tf.TensorInfo} = {};
  const gated = z ? kernel.temporary(u.shape) : dy;
  if (z) kernel.draw(passes.gatePass, {inputs: {x: dy, z}, count, outputs: [gated]});

  const added = {x: gated, edges4, projection4: C4};
  const how = {isBackwards: true, withEnd: initialState !== undefined, keep: false};
  const {into4: later4, end4} = carryStates(kernel, settings, added, toQuads(kernel, dFinalState!, settings), how);
  if (end4) gradients.initialState = fromQuads(kernel, end4, initialState!.shape, settings);

  const [y, fromStart] = [kernel.temporary(u.shape), kernel.temporary(u.shape)];
  kernel.draw(passes.outputPass, {
    inputs: {u, steps4, edges4, CB4, C4, states4, D},
    ints,
    count,
    outputs: [y, fromStart],
  });
  if (z) {
    gradients.z = kernel.output(z.shape);
    kernel.draw(gradPasses.gateGradPass, {inputs: {z, dy, y}, count, outputs: [gradients.z]});
  }
  gradients.u = kernel.output(u.shape);
  const [fromBehind, throughInput, skipped] = [0, 1, 2].map(() => kernel.temporary(u.shape));
  kernel.draw(gradPasses.inputPass, {
    inputs: {u, gated, steps4, edges4, CB4, B4, later4, D},
    ints,
    count,
    outputs: [gradients.u, fromBehind, throughInput, skipped],
  });

  const S4 = kernel.texels(pairs(heads));
  kernel.draw(gradPasses.headPairsPass, {inputs: {u, gated, steps4}, ints, count: pairs(heads), outputs: [S4]});
  const through4 = kernel.texels(values);
  const sums = {gated, fromStart, fromBehind, throughInput};
  kernel.draw(gradPasses.throughPass, {inputs: sums, ints, count: values, outputs: [through4]});
  const crossing4 = kernel.texels(pairs(heads));
  kernel.draw(gradPasses.crossingPass, {inputs: {S4, CB4}, ints, count: pairs(heads), outputs: [crossing4]});
  const channels = (values / CHUNK) * headDim;
  const whole = kernel.temporary([channels]);
  kernel.draw(gradPasses.wholePass, {inputs: {states4, later4}, ints, count: channels, outputs: [whole]});
  gradients.delta = kernel.output(delta.shape);
  const shares = kernel.temporary(delta.shape);
  kernel.draw(gradPasses.stepGradPass, {
    inputs: {A, steps4, edges4, through4, crossing4, whole},
    ints,
    count: sizeOf(delta),
    outputs: [gradients.delta, shares],
  });

  const dCB4 = kernel.texels(pairs(ints.groups));
  kernel.draw(gradPasses.groupPairsPass, {inputs: {S4}, ints, count: pairs(ints.groups), outputs: [dCB4]});
  const ofB = {x: u, edges4, states4: later4, dCB4, other4: C4};
  const ofC = {x: gated, edges4, states4, dCB4, other4: B4};
  [ofB, ofC].forEach((inputs, WHICH) => {
    const size = (sizeOf(B) / ints.dState) * ints.quads;
    const projection4 = kernel.texels(size);
    const flags = {WHICH};
    kernel.draw(gradPasses.projectionPass, {inputs, ints, flags, count: size, outputs: [projection4]});
    gradients[WHICH === 0 ? 'B' : 'C'] = fromQuads(kernel, projection4, C.shape, settings);
  });

  const rows = count / heads / headDim;
  gradients.A = kernel.output(A.shape);
  columnSums(kernel, {a: shares, rows, columns: heads, output: gradients.A});
  if (deltaBias) {
    gradients.deltaBias = kernel.output(A.shape);
    columnSums(kernel, {a: gradients.delta, rows, columns: heads, output: gradients.deltaBias});
  }
  if (D) gradients.D = skipGradient(kernel, skipped, D.shape, rows, settings);
  return gradients;
}

function skipGradient(kernel: Kernel, a: tf.TensorInfo, shape: number[], rows: number, {ints}: Settings) {
  const {heads, headDim} = ints;
  const output = kernel.output(shape);
  const isPerChannel = sizeOf(output) === heads * headDim;
  const perChannel = isPerChannel ? output : kernel.temporary([heads * headDim]);
  columnSums(kernel, {a, rows, columns: heads * headDim, output: perChannel});
  if (!isPerChannel) {
    const inputs = {channels: perChannel};
    kernel.draw(gradPasses.perHeadPass, {inputs, ints, count: heads, outputs: [output]});
  }
  return output;
}

registerArrayKernel('SSD', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('ssd', backend, (kernel) => {
    const operands = byName(inputs, attrs.present) as Operands;
    return forward(kernel, operands, attrs as unknown as StepSizeAttrs, attrs.keepStates as boolean);
  }),
);

registerArrayKernel('SSDGrad', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('the gradient of ssd', backend, (kernel) => {
    const operands = byName(inputs, attrs.present) as Operands;
    const gradients = backward(kernel, operands, attrs as unknown as StepSizeAttrs);
    return ssdInputs.filter((name) => operands[name]).map((name) => gradients[name]!);
  }),
);
