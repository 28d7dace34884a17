/**
 * The Mamba mixer in float64, put together from the references of its ops: the truth for the layer, forward and backward.
 *
 * Its inputs are x [B,L,dModel], the states conv [B,dConv-1,dInner] and ssm [B,dInner,dState] if there are any, and the weights by the
 * names that the layer gives them.
 */
import {causalConv1dGradReference, causalConv1dReference} from '../../src/ops/causalConv1d/reference';
import {linearGradReference, linearReference} from '../../src/ops/linear/reference';
import {selectiveScanGradReference, selectiveScanReference} from '../../src/ops/selectiveScan/reference';
import {softplus} from '../../src/ops/scalar';
import type {Array64, Arrays} from './arrays';
import {reshaped, sizeOf} from './arrays';

/** What a mixer gives: y [B,L,dModel], and the states after the sequence. */
export type MixerOutputs = {y: Array64; conv: Array64; ssm: Array64};

/** Cuts the last axis into parts of the given widths; the result has shape [rows, width]. */
function columns({values}: Array64, widths: readonly number[]): Array64[] {
  const total = widths.reduce((a, b) => a + b);
  const rows = values.length / total;
  let start = 0;
  return widths.map((width) => {
    const part = {shape: [rows, width], values: new Float64Array(rows * width)};
    for (let row = 0; row < rows; row++) {
      part.values.set(values.subarray(row * total + start, row * total + start + width), row * width);
    }
    start += width;
    return part;
  });
}

/** The inverse of `columns`. */
function besides(parts: readonly Array64[]): Array64 {
  const rows = sizeOf(parts[0].shape.slice(0, -1));
  const widths = parts.map(({values}) => values.length / rows);
  const total = widths.reduce((a, b) => a + b);
  const joined = {shape: [rows, total], values: new Float64Array(rows * total)};
  let start = 0;
  parts.forEach(({values}, i) => {
    for (let row = 0; row < rows; row++) {
      joined.values.set(values.subarray(row * widths[i], (row + 1) * widths[i]), row * total + start);
    }
    start += widths[i];
  });
  return joined;
}

function flat(array: Array64): Array64 {
  const width = array.shape[array.shape.length - 1];
  return reshaped(array, [array.values.length / width, width]);
}

/** Everything the forward computes, in the form the ops' references take. */
function forward(inputs: Arrays) {
  const {x, ALog, D} = inputs;
  const [batch, length] = x.shape;
  const [dInner, dState] = ALog.shape;
  const dtRank = inputs['dtProj/kernel'].shape[0];
  const sequence = (array: Array64) => reshaped(array, [batch, length, array.values.length / (batch * length)]);
  const toIn = {x: flat(x), kernel: inputs['inProj/kernel'], bias: inputs['inProj/bias']};
  const [xs, z] = columns(linearReference(toIn, false), [dInner, dInner]);
  const toConv = {
    x: sequence(xs),
    weight: inputs['conv/weight'],
    bias: inputs['conv/bias'],
    initialState: inputs.conv,
  };
  const {y: u, finalState: conv} = causalConv1dReference(toConv, 'silu');
  const toSelection = {x: flat(u), kernel: inputs['xProj/kernel']};
  const [dt, B, C] = columns(linearReference(toSelection, false), [dtRank, dState, dState]);
  const toDelta = {x: dt, kernel: inputs['dtProj/kernel']};
  const toScan = {
    u,
    delta: sequence(linearReference(toDelta, false)),
    A: {shape: ALog.shape, values: ALog.values.map((a) => -Math.exp(a))},
    B: reshaped(B, [batch, length, 1, dState]),
    C: reshaped(C, [batch, length, 1, dState]),
    D,
    z: sequence(z),
    deltaBias: inputs['dtProj/bias'],
    initialState: inputs.ssm,
  };
  const {y: scanned, finalState: ssm} = selectiveScanReference(toScan, true);
  const toOut = {x: flat(scanned), kernel: inputs['outProj/kernel'], bias: inputs['outProj/bias']};
  const y = reshaped(linearReference(toOut, false), x.shape);
  return {toIn, toConv, toSelection, toDelta, toScan, toOut, outputs: {y, conv, ssm}};
}

export function mixerReference(inputs: Arrays): MixerOutputs {
  return forward(inputs).outputs;
}

/** The step sizes Δ [B,L,dInner] behind their softplus. */
export function stepSizeReference(inputs: Arrays): Array64 {
  const {delta, deltaBias} = forward(inputs).toScan;
  const {values} = deltaBias;
  return {shape: delta.shape, values: delta.values.map((d, i) => softplus(d + values[i % values.length]))};
}

/** The gradient of Σ output·projection with respect to every input and weight that is present. */
export function mixerGradReference(inputs: Arrays, projections: MixerOutputs): Arrays {
  const {toIn, toConv, toSelection, toDelta, toScan, toOut} = forward(inputs);
  const out = linearGradReference(toOut, false, flat(projections.y));
  const scan = selectiveScanGradReference(toScan, true, reshaped(out.x, toScan.u.shape), projections.ssm);
  const delta = linearGradReference(toDelta, false, flat(scan.delta));
  const selection = linearGradReference(toSelection, false, besides([delta.x, scan.B, scan.C]));
  const du = {shape: toScan.u.shape, values: scan.u.values.map((g, i) => g + selection.x.values[i])};
  const conv = causalConv1dGradReference(toConv, 'silu', du, projections.conv);
  const into = linearGradReference(toIn, false, besides([flat(conv.x), flat(scan.z!)]));
  const gradients: Record<string, Array64 | undefined> = {
    x: reshaped(into.x, inputs.x.shape),
    conv: conv.initialState,
    ssm: scan.initialState,
    'inProj/kernel': into.kernel,
    'inProj/bias': into.bias,
    'conv/weight': conv.weight,
    'conv/bias': conv.bias,
    'xProj/kernel': selection.kernel,
    'dtProj/kernel': delta.kernel,
    'dtProj/bias': scan.deltaBias,
    ALog: {shape: inputs.ALog.shape, values: scan.A.values.map((g, i) => g * toScan.A.values[i])},
    D: scan.D,
    'outProj/kernel': out.kernel,
    'outProj/bias': out.bias,
  };
  return Object.fromEntries(Object.entries(gradients).filter(([name]) => name in inputs)) as Arrays;
}
