/**
 * Mamba-2's scan on WebGPU: which programs run when (webgpuForward.ts, webgpuBackward.ts). Memory besides inputs and outputs: the states
 * at the starts of chunks of 64 positions, a matrix of 64×64 pairs for each chunk and group, and backwards one for each chunk and head,
 * which together are as large as u of heads of 64 channels.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../backends/webgpu';
import {registerWebGPUKernel, sizeOf} from '../../backends/webgpu';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sumRows} from '../webgpuSums';
import type {SsdAttrs, SsdGradAttrs, SsdGradInput, SsdInput} from './kernels';
import {ssdInputs} from './kernels';
import type {StepSizeAttrs} from './stepSize';
import {
  decayGradient,
  gate,
  groupPairs,
  headPairs,
  inputGradient,
  projectionGradient,
  skipAndGate,
  skipGradient,
  stepGradient,
} from './webgpuBackward';
import {carry, chunkStates, outputs, projectionPairs, stepSizes} from './webgpuForward';
import type {SsdLayout} from './webgpuTiles';
import {CHUNK, LANES, sizeValues, ssdLayout} from './webgpuTiles';

type Tensors = Record<'u' | 'delta' | 'A' | 'B' | 'C', TensorInfo> & {[K in SsdInput]?: TensorInfo};

/** The uniforms of a program of tiles and its workgroups, of which there are so many units: chunks and heads, or chunks and groups. */
const tiled = (layout: SsdLayout, units: number, rowTiles: number, columnTiles: number) => ({
  uniforms: {...sizeValues(layout), rowTiles, columnTiles},
  workgroups: units * rowTiles * columnTiles,
});

/** Those of a program with an invocation for each element. */
const elementwise = (size: number) => ({uniforms: {size}, workgroups: Math.ceil(size / LANES)});

/** What both directions start from: step sizes and decays of all positions, and CBᵀ. */
function prepare(gpu: Gpu, {delta, A, B, C, deltaBias}: Tensors, layout: SsdLayout, attrs: StepSizeAttrs) {
  const {pieces, side, heads, groups, tiles} = layout;
  const {deltaSoftplus: softplus, deltaMin, deltaMax} = attrs;
  const values = pieces * heads * CHUNK;
  const [steps, fromStart, toEnd] = [gpu.scratch(4 * values), gpu.scratch(values), gpu.scratch(values)];
  gpu.run(
    stepSizes,
    {softplus, deltaBias: deltaBias !== undefined},
    {
      buffers: {delta, A, ...(deltaBias && {deltaBias}), steps, fromStart, toEnd},
      uniforms: {...sizeValues(layout), deltaMin, deltaMax},
      workgroups: pieces * heads,
    },
  );
  const CB = gpu.scratch(pieces * groups * side * side);
  const ofPairs = tiled(layout, pieces * groups, tiles.positions, tiles.positions);
  gpu.run(projectionPairs, {}, {buffers: {B, C, CB}, ...ofPairs});
  return {steps, fromStart, toEnd, CB};
}

/** Fills `states` with what is carried into each chunk from `start`, and `end` with what comes out of the last one. */
function carryStates(
  gpu: Gpu,
  layout: SsdLayout,
  added: Record<'x' | 'weights' | 'projection', TensorInfo>,
  carried: {fromStart: TensorInfo; states: TensorInfo; start?: TensorInfo; end?: TensorInfo},
  backwards: boolean,
): void {
  const {batch, chunks, heads, headDim, dState, pieces, tiles} = layout;
  const {fromStart, states, start, end} = carried;
  const ofStates = tiled(layout, pieces * heads, tiles.channels, tiles.states);
  gpu.run(chunkStates, {}, {buffers: {...added, states}, ...ofStates});
  const stateSize = headDim * dState;
  const size = batch * heads * stateSize;
  gpu.run(
    carry,
    {backwards, start: start !== undefined, end: end !== undefined},
    {
      buffers: {fromStart, ...(start && {start}), states, ...(end && {end})},
      uniforms: {chunks, heads, stateSize, size},
      workgroups: Math.ceil(size / LANES),
    },
  );
}

function forward(gpu: Gpu, tensors: Tensors, {keepStates, ...attrs}: SsdAttrs): TensorInfo[] {
  const {u, B, C, D, z, initialState} = tensors;
  const layout = ssdLayout(u, B);
  const {batch, chunks, heads, headDim, dState, pieces, tiles} = layout;
  const {steps, fromStart, toEnd, CB} = prepare(gpu, tensors, layout, attrs);
  const y = gpu.output(u.shape);
  const finalState = gpu.output([batch, heads, headDim, dState]);
  const shape = [batch, chunks, heads, headDim, dState];
  const states = keepStates ? gpu.output(shape) : gpu.scratch(sizeOf(shape));
  const added = {x: u, weights: toEnd, projection: B};
  carryStates(gpu, layout, added, {fromStart, states, start: initialState, end: finalState}, false);
  const {uniforms, workgroups} = tiled(layout, pieces * heads, tiles.positions, tiles.channels);
  gpu.run(
    outputs,
    {inside: true, through: false, D: D !== undefined, z: z !== undefined},
    {
      buffers: {steps, C, states, CB, u, y, ...(D && {D}), ...(z && {z})},
      uniforms: {...uniforms, ...(D && {perChannel: Number(D.shape[1] > 1)})},
      workgroups,
    },
  );
  return keepStates ? [y, finalState, states] : [y, finalState];
}

type GradTensors = Tensors & Record<'states' | 'dy' | 'dFinalState', TensorInfo>;

function backward(
  gpu: Gpu,
  tensors: GradTensors,
  result: Record<SsdInput, TensorInfo>,
  layout: SsdLayout,
  attrs: SsdGradAttrs,
): void {
  const {u, A, B, C, D, z, deltaBias, initialState, states, dy, dFinalState} = tensors;
  const {batch, length, heads, headDim, dState, groups, pieces, side, tiles} = layout;
  const {steps, fromStart, toEnd, CB} = prepare(gpu, tensors, layout, attrs);
  const size = sizeOf(u.shape);
  const gated = z ? gpu.scratch(size) : dy;
  if (z) gpu.run(gate, {}, {buffers: {dy, z, gated}, ...elementwise(size)});

  const later = gpu.scratch(pieces * heads * headDim * dState);
  const added = {x: gated, weights: fromStart, projection: C};
  const carried = {fromStart, states: later, start: dFinalState, end: initialState && result.initialState};
  carryStates(gpu, layout, added, carried, true);

  const ofRows = tiled(layout, pieces * heads, tiles.positions, tiles.channels);
  const values = pieces * heads * CHUNK;
  const throughStart = gpu.scratch(tiles.channels * values);
  gpu.run(
    outputs,
    {inside: z !== undefined, through: true, D: false, z: false},
    {buffers: {steps, C, states, ...(z && {CB, u, y: result.z}), gated, throughStart}, ...ofRows},
  );
  const through = gpu.scratch(2 * tiles.channels * values);
  const du = result.u;
  gpu.run(inputGradient, {}, {buffers: {steps, CB, B, later, gated, u, du, through}, ...ofRows});

  const S = gpu.scratch(pieces * heads * side * side);
  const ofPairs = tiled(layout, pieces * heads, tiles.positions, tiles.positions);
  gpu.run(headPairs, {}, {buffers: {steps, gated, u, S}, ...ofPairs});
  const crossing = gpu.scratch(values);
  gpu.run(
    decayGradient,
    {},
    {
      buffers: {S, CB, states, later, fromStart, crossing},
      uniforms: sizeValues(layout),
      workgroups: pieces * heads,
    },
  );
  const partsA = gpu.scratch(pieces * heads);
  const partsBias = deltaBias && gpu.scratch(pieces * heads);
  gpu.run(
    stepGradient,
    {deltaBias: deltaBias !== undefined},
    {
      buffers: {
        ...{steps, crossing, throughStart, through, A, dDelta: result.delta, partsA},
        ...(partsBias && {partsBias}),
      },
      uniforms: {...sizeValues(layout), tiles: tiles.channels},
      workgroups: pieces * heads,
    },
  );
  sumRows(gpu, partsA, pieces, heads, result.A);
  if (partsBias) sumRows(gpu, partsBias, pieces, heads, result.deltaBias);

  const dCB = groups === heads ? S : gpu.scratch(pieces * groups * side * side);
  if (dCB !== S) {
    const {uniforms, workgroups} = elementwise(pieces * groups * side * side);
    gpu.run(
      groupPairs,
      {},
      {buffers: {S, dCB}, uniforms: {...uniforms, perGroup: heads / groups, pairs: side * side}, workgroups},
    );
  }
  for (const [of, x, weights, carriedStates, other] of [
    ['B', u, toEnd, later, C],
    ['C', gated, fromStart, states, B],
  ] as const) {
    projectionGradients(gpu, layout, of, {x, weights, states: carriedStates, dCB, other}, result[of]);
  }

  const channels = heads * headDim;
  const width = D ? channels / sizeOf(D.shape) : 1;
  if (D || z) {
    const {uniforms, workgroups} = elementwise(size);
    gpu.run(
      skipAndGate,
      {D: D !== undefined, z: z !== undefined},
      {
        buffers: {...(D && {D, gated, du}), ...(D && z && {u}), ...(z && {dy, z, dz: result.z})},
        uniforms: {...uniforms, ...(D && {channels, width})},
        workgroups,
      },
    );
  }
  if (D) skipGradients(gpu, {gated, u}, {rows: batch * length, columns: channels / width, width}, result.D);
}

/** Workgroups that keep a large GPU busy. */
const MANY = 1024;

function projectionGradients(
  gpu: Gpu,
  layout: SsdLayout,
  of: 'B' | 'C',
  inputs: Record<'x' | 'weights' | 'states' | 'dCB' | 'other', TensorInfo>,
  result: TensorInfo,
): void {
  const {heads, groups, pieces, tiles} = layout;
  const {uniforms, workgroups} = tiled(layout, pieces * groups, tiles.positions, tiles.states);
  const perPart = Math.ceil(heads / groups / Math.ceil(MANY / workgroups));
  const parts = Math.ceil(heads / groups / perPart);
  const size = sizeOf(result.shape);
  const ofParts = parts === 1 ? result : gpu.scratch(parts * size);
  gpu.run(
    projectionGradient,
    {of},
    {
      buffers: {...inputs, result: ofParts},
      uniforms: {...uniforms, perPart, partTiles: workgroups},
      workgroups: parts * workgroups,
    },
  );
  if (parts > 1) sumRows(gpu, ofParts, parts, size, result);
}

/** Terms that one invocation adds up at most, unless a single position has more. */
const TERMS = 128;

function skipGradients(
  gpu: Gpu,
  factors: Record<'gated' | 'u', TensorInfo>,
  {rows, columns, width}: Record<'rows' | 'columns' | 'width', number>,
  dD: TensorInfo,
): void {
  const block = Math.max(1, Math.floor(TERMS / width));
  const blockCount = Math.ceil(rows / block);
  const size = blockCount * columns;
  const blocks = gpu.scratch(size);
  gpu.run(
    skipGradient,
    {},
    {
      buffers: {...factors, blocks},
      uniforms: {rows, columns, width, block, size},
      workgroups: Math.ceil(size / LANES),
    },
  );
  sumRows(gpu, blocks, blockCount, columns, dD);
}

registerWebGPUKernel('SSD', (gpu, inputs, {present, ...attrs}: SsdAttrs & PresentAttr) =>
  forward(gpu, byName(inputs, present) as Tensors, attrs),
);

registerWebGPUKernel('SSDGrad', (gpu, inputs, {present, ...attrs}: SsdGradAttrs & PresentAttr) => {
  const tensors = byName(inputs, present) as Record<SsdGradInput, TensorInfo>;
  const gradients = Object.fromEntries(
    ssdInputs.filter((name) => tensors[name]).map((name) => [name, gpu.output(tensors[name].shape)]),
  ) as Record<SsdInput, TensorInfo>;
  backward(gpu, tensors, gradients, ssdLayout(tensors.u, tensors.B), attrs);
  return Object.values(gradients);
});
