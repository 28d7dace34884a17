/** One token through one block in float64: the references of the ops it is made of, one after the other. */
import {causalConv1dUpdateReference} from '../causalConv1dUpdate/reference';
import type {Array64} from '../float64';
import {linearReference} from '../linear/reference';
import {rmsNormReference} from '../rmsNorm/reference';
import {selectiveStateUpdateReference} from '../selectiveStateUpdate/reference';
import type {BlockInputs} from './kernels';

/** Columns `from … from+count-1` of a matrix. */
function columns({shape: [rows, width], values}: Array64, from: number, count: number): Array64 {
  const cut = Float64Array.from({length: rows * count}, (_, i) => {
    return values[Math.floor(i / count) * width + from + (i % count)];
  });
  return {shape: [rows, count], values: cut};
}

/** The output, and the next states. */
export function mambaStepReference(
  x: Array64,
  block: BlockInputs<Array64>,
  epsilon: number,
  mixerEpsilon?: number,
): {y: Array64; conv: Array64; ssm: Array64} {
  const {conv, ssm, ALog, D} = block;
  const [batch] = x.shape;
  const [dInner, dState] = ALog.shape;
  const rank = block.dtProj.shape[0];
  const normal = rmsNormReference({x, weight: block.normWeight}, epsilon).y;
  const xz = linearReference({x: normal, kernel: block.inProj, bias: block.inProjBias}, false);
  const convolved = causalConv1dUpdateReference(
    {x: columns(xz, 0, dInner), state: conv, weight: block.convWeight, bias: block.convBias},
    'silu',
  );
  const u = convolved.y;
  const projected = linearReference({x: u, kernel: block.xProj}, false);
  const selection = (from: number, count: number): Array64 => {
    const x = columns(projected, from, count);
    if (mixerEpsilon === undefined) return x;
    return rmsNormReference({x, weight: {shape: [count], values: new Float64Array(count).fill(1)}}, mixerEpsilon).y;
  };
  const projection = (from: number): Array64 => {
    return {shape: [batch, 1, dState], values: selection(from, dState).values};
  };
  const next = selectiveStateUpdateReference(
    {
      state: ssm,
      u,
      delta: linearReference({x: selection(0, rank), kernel: block.dtProj}, false),
      A: {shape: ALog.shape, values: ALog.values.map((value) => -Math.exp(value))},
      B: projection(rank),
      C: projection(rank + dState),
      D,
      z: columns(xz, dInner, dInner),
      deltaBias: block.dtBias,
    },
    true,
  );
  const out = linearReference({x: next.y, kernel: block.outProj, bias: block.outProjBias}, false);
  return {
    y: {shape: x.shape, values: x.values.map((value, i) => value + out.values[i])},
    conv: convolved.state,
    ssm: next.state,
  };
}
