/**
 * The selective scan on WebGL2. Forwards three passes over time: each chunk by itself, the starts of the chunks, the chunks again from
 * their starts. Backwards the same from behind, with the states of the forward pass's starts. The largest intermediate results are a
 * sixteenth of B·L·D·N.
 */
import type * as tf from '@tensorflow/tfjs';
import type {Kernel, Pass} from '../../../backends/webgl';
import {runPasses} from '../../../backends/webgl';
import {columnSums, texelSums} from '../../../backends/webglSums';
import {byName, registerArrayKernel} from '../../kernel';
import type {ScanGradInput, ScanInput} from '../kernels';
import {scanInputs} from '../kernels';
import * as gradPasses from './gradPasses';
import {BLOCK} from './gradPasses';
import * as passes from './passes';
import {CHUNK} from './passes';

type Operands = Record<'u' | 'delta' | 'A' | 'B' | 'C', tf.TensorInfo> & {[K in ScanGradInput]?: tf.TensorInfo};

/** Sizes, as every pass finds those it asks for, and the compile-time switches. */
function settingsOf({u, A, B, C, sequenceIds}: Operands, deltaSoftplus: boolean) {
  const [batch, len, channels] = u.shape;
  const dState = A.shape[1];
  const quads = Math.ceil(dState / 4);
  const isConstant = ({shape}: tf.TensorInfo) => shape.length === 2;
  const groups = (projection: tf.TensorInfo) => (isConstant(projection) ? 1 : projection.shape[2]);
  const packed = {PACKED: sequenceIds !== undefined};
  return {
    batch,
    ints: {len, channels, dState, quads, chunks: Math.ceil(len / CHUNK), groupsB: groups(B), groupsC: groups(C)},
    packed,
    flags: {CONSTANT_B: isConstant(B), CONSTANT_C: isConstant(C), ...packed},
    softplus: {SOFTPLUS: deltaSoftplus},
    quads: {QUADS: quads},
  };
}

type Settings = ReturnType<typeof settingsOf>;

/** What the loops over time read: as texels the steps, A, B and C; and the ids of packed documents. */
function texelsOf(kernel: Kernel, operands: Operands, {ints, softplus}: Settings) {
  const {u, delta, A, B, C, deltaBias, dy, z, sequenceIds: ids} = operands;
  const count = sizeOf(delta);
  const steps4 = kernel.texels(count);
  const inputs = {u, delta, deltaBias, dy, z: dy && z};
  kernel.draw(passes.stepPass, {inputs, ints, flags: softplus, count, outputs: [steps4]});
  const quads = (matrix: tf.TensorInfo) => {
    const size = (sizeOf(matrix) / ints.dState) * ints.quads;
    const output = kernel.texels(size);
    kernel.draw(passes.quadPass, {inputs: {matrix}, ints, count: size, outputs: [output]});
    return output;
  };
  return {steps4, A4: quads(A), B4: quads(B), C4: quads(C), ids};
}

const sizeOf = ({shape}: tf.TensorInfo) => shape.reduce((a, b) => a * b, 1);

/** Runs a pass that writes the steps of each chunk, sixteen values, into four textures. */
function overSteps(
  kernel: Kernel,
  pass: Pass,
  {batch, ints, flags, quads}: Settings,
  name: string,
  inputs: Inputs,
  more = {},
) {
  const count = batch * ints.chunks * ints.channels;
  const outputs = [0, 1, 2, 3].map(() => kernel.texels(count));
  kernel.draw(pass, {inputs, ints, flags: {...flags, ...quads, ...more}, count, outputs});
  return Object.fromEntries(outputs.map((output, k) => [`${name}${k}_4`, output]));
}

type Inputs = Record<string, tf.TensorInfo | undefined>;

/** The states before each chunk, [batch, chunk, channel, quad], from what each chunk does by itself. */
function starts(
  kernel: Kernel,
  {batch, ints, packed}: Settings,
  [h4, x4]: tf.TensorInfo[],
  state: tf.TensorInfo | undefined,
  isReversed: boolean,
  keep: boolean,
): tf.TensorInfo {
  const {quads, channels, chunks} = ints;
  const flags = {REVERSED: isReversed, ...packed};
  const count = batch * chunks * channels * quads;
  const result = keep ? kernel.keptTexels(count) : kernel.texels(count);
  if (chunks <= MANY) {
    const sizes = {...ints, groups: 1, perGroup: chunks};
    kernel.draw(passes.startPass, {inputs: {h4, x4, state}, ints: sizes, flags, count, outputs: [result]});
    return result;
  }
  // Many chunks are taken in groups, so that nobody walks past all of them.
  const perGroup = Math.ceil(Math.sqrt(chunks));
  const groups = Math.ceil(chunks / perGroup);
  const sizes = {...ints, groups, perGroup};
  const size = batch * groups * channels * quads;
  const merged = [kernel.texels(size), kernel.texels(size)];
  kernel.draw(passes.groupPass, {inputs: {h4, x4}, ints: sizes, flags, count: size, outputs: merged});
  // The groups are in the order of the scan already.
  const ofGroups = {batch, ints: {...ints, chunks: groups}, packed} as Settings;
  const groupStart4 = starts(kernel, ofGroups, merged, state, false, false);
  kernel.draw(passes.startPass, {inputs: {h4, x4, groupStart4}, ints: sizes, flags, count, outputs: [result]});
  return result;
}

/** Up to so many chunks are walked one by one. */
const MANY = 16;

/** The state behind the last chunk. */
function stateOf(
  kernel: Kernel,
  start4: tf.TensorInfo,
  [h4, x4]: tf.TensorInfo[],
  {batch, ints, packed}: Settings,
  isReversed: boolean,
): tf.TensorInfo {
  const output = kernel.output([batch, ints.channels, ints.dState]);
  const draw = {
    inputs: {start4, h4, x4},
    ints,
    flags: {REVERSED: isReversed, ...packed},
    count: sizeOf(output),
    outputs: [output],
  };
  kernel.draw(passes.statePass, draw);
  return output;
}

function forward(kernel: Kernel, operands: Operands, deltaSoftplus: boolean, keepStates: boolean): tf.TensorInfo[] {
  const {u, D, z, initialState} = operands;
  const settings = settingsOf(operands, deltaSoftplus);
  const {batch, ints, flags} = settings;
  const texels = texelsOf(kernel, operands, settings);
  const count = batch * ints.chunks * ints.channels * ints.quads;
  const summaries = [kernel.texels(count), kernel.texels(count)];
  kernel.draw(passes.summaryPass, {inputs: texels, ints, flags, count, outputs: summaries});
  const start4 = starts(kernel, settings, summaries, initialState, false, keepStates);
  const steps = overSteps(kernel, passes.outputPass, settings, 'y', {...texels, D, start4});
  const y = kernel.output(u.shape);
  kernel.draw(passes.gatePass, {inputs: {...steps, z}, ints, count: sizeOf(u), outputs: [y]});
  const finalState = stateOf(kernel, start4, summaries, settings, false);
  return keepStates ? [y, finalState, start4] : [y, finalState];
}

function backward(kernel: Kernel, operands: Operands, deltaSoftplus: boolean): {[K in ScanInput]?: tf.TensorInfo} {
  const {u, delta, A, B, C, D, z, deltaBias, initialState, states: start4, dy, dFinalState} = operands;
  const settings = settingsOf(operands, deltaSoftplus);
  const {batch, ints, flags, softplus} = settings;
  const {len, channels, dState, quads, chunks} = ints;
  const size = batch * len * channels;
  const texels = texelsOf(kernel, operands, settings);
  const gradients: {[K in ScanInput]?: tf.TensorInfo} = {};
  if (z) {
    gradients.z = kernel.output(u.shape);
    const steps = overSteps(kernel, passes.outputPass, settings, 'y', {...texels, D, start4});
    kernel.draw(gradPasses.gateGradPass, {inputs: {z, dy, ...steps}, ints, count: size, outputs: [gradients.z]});
  }

  const count = batch * chunks * channels * quads;
  const summaries = [kernel.texels(count), kernel.texels(count)];
  kernel.draw(gradPasses.adjointPass, {inputs: texels, ints, flags, count, outputs: summaries});
  const carried4 = starts(kernel, settings, summaries, dFinalState, true, false);
  if (initialState) gradients.initialState = stateOf(kernel, carried4, summaries, settings, true);

  const all = {...texels, start4, carried4};
  gradients.u = kernel.output(u.shape);
  gradients.delta = kernel.output(u.shape);
  const skipped = kernel.temporary(u.shape);
  kernel.draw(gradPasses.inputGradPass, {
    inputs: {
      ...{steps4: texels.steps4, delta, D, deltaBias},
      ...overSteps(kernel, gradPasses.stepGradPass, settings, 'input', all, {WHICH: 0}),
      ...overSteps(kernel, gradPasses.stepGradPass, settings, 'decay', all, {WHICH: 1}),
    },
    ints,
    flags: softplus,
    count: size,
    outputs: [gradients.u, gradients.delta, skipped],
  });

  const tables = [kernel.texels(count), kernel.texels(count), kernel.texels(count)];
  kernel.draw(gradPasses.tablePass, {inputs: all, ints, flags, count, outputs: tables});
  const table = (of: number) => {
    const output = kernel.output(A.shape);
    const table4 = texelSums(kernel, tables[of], batch * chunks, channels * quads);
    kernel.draw(gradPasses.unpackTablePass, {inputs: {table4}, ints, count: channels * dState, outputs: [output]});
    return output;
  };
  gradients.A = table(0);
  gradients.B = flags.CONSTANT_B ? table(1) : projection(kernel, settings, all, 0, B);
  gradients.C = flags.CONSTANT_C ? table(2) : projection(kernel, settings, all, 1, C);

  const rows = batch * len;
  if (D) {
    gradients.D = kernel.output(D.shape);
    columnSums(kernel, {a: skipped, rows, columns: channels, output: gradients.D});
  }
  if (deltaBias) {
    gradients.deltaBias = kernel.output(deltaBias.shape);
    columnSums(kernel, {a: gradients.delta, rows, columns: channels, output: gradients.deltaBias});
  }
  return gradients;
}

/** dB (0) or dC (1) of a projection that varies over time: four steps of every chunk at a time. */
function projection(
  kernel: Kernel,
  {batch, ints, flags}: Settings,
  inputs: Inputs,
  which: 0 | 1,
  {shape}: tf.TensorInfo,
): tf.TensorInfo {
  const groups = shape[2];
  const blocks = Math.ceil(ints.channels / groups / BLOCK);
  const count = batch * ints.chunks * groups * ints.quads * blocks;
  const sizes = {...ints, groups, blocks};
  const steps: tf.TensorInfo[] = [];
  for (let part = 0; part < CHUNK; part += 4) {
    const outputs = [0, 1, 2, 3].map(() => kernel.texels(count));
    const draw = {inputs, ints: {...sizes, part}, flags: {...flags, WHICH: which}, count, outputs};
    kernel.draw(gradPasses.projectionPass, draw);
    steps.push(...outputs);
  }
  const output = kernel.output(shape);
  kernel.draw(gradPasses.projectionSumPass, {
    inputs: Object.fromEntries(steps.map((step, t) => [`step${t}_4`, step])),
    ints: sizes,
    count: shape.reduce((a, b) => a * b, 1),
    outputs: [output],
  });
  return output;
}

registerArrayKernel('SelectiveScan', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('selectiveScan', backend, (kernel) => {
    const operands = byName(inputs, attrs.present) as Operands;
    return forward(kernel, operands, attrs.deltaSoftplus as boolean, attrs.keepStates as boolean);
  }),
);

registerArrayKernel('SelectiveScanGrad', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('the gradient of selectiveScan', backend, (kernel) => {
    const operands = byName(inputs, attrs.present) as Operands;
    const gradients = backward(kernel, operands, attrs.deltaSoftplus as boolean);
    return scanInputs.filter((name) => operands[name]).map((name) => gradients[name]!);
  }),
);
