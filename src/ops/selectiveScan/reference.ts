/**
 * The selective scan as the mathematics reads, in float64: the truth that every kernel is tested against.
 *
 * Plain loops over batch b, time t, channel d and state n, with no thought for speed or memory; the whole history of the state is
 * kept, so that the backward is a transcription of the formulas too.
 */

import type {Array64} from '../float64';
import {documentStarts} from '../documents';
import {zeros64 as zeros} from '../float64';
import {sigmoid, siluSlope, softplus} from '../scalar';

export interface ScanReferenceInputs {
  u: Array64;
  delta: Array64;
  A: Array64;
  /** [B,L,G,N] or [D,N] */
  B: Array64;
  C: Array64;
  D?: Array64;
  z?: Array64;
  deltaBias?: Array64;
  initialState?: Array64;
}

/** Offset of B_t (or C_t) of channel d: grouped by position, or constant. */
function projectionOffset({shape}: Array64, b: number, t: number, d: number, channels: number): number {
  if (shape.length === 2) {
    return d * shape[1];
  }
  const [, length, groups, dState] = shape;
  return ((b * length + t) * groups + Math.floor((d * groups) / channels)) * dState;
}

function scan(
  {u, delta, A, B, C, D, z, deltaBias, initialState}: ScanReferenceInputs,
  deltaSoftplus: boolean,
  sequenceIds: Array64 | undefined,
) {
  const [batch, length, channels] = u.shape;
  const dState = A.shape[1];
  const y = zeros(u.shape); // before the gate
  const out = zeros(u.shape);
  const h = zeros([batch, length + 1, channels, dState]); // h[:,0] is the initial state
  const biased = (b: number, t: number, d: number) =>
    delta.values[(b * length + t) * channels + d] + (deltaBias ? deltaBias.values[d] : 0);
  const step = (b: number, t: number, d: number) => {
    const x = biased(b, t, d);
    return deltaSoftplus ? softplus(x) : x;
  };
  const state = (b: number, t: number, d: number, n: number) => ((b * (length + 1) + t) * channels + d) * dState + n;
  const starts = documentStarts(sequenceIds, batch, length);
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < channels; d++) {
      for (let n = 0; n < dState && initialState; n++) {
        h.values[state(b, 0, d, n)] = initialState.values[(b * channels + d) * dState + n];
      }
      for (let t = 0; t < length; t++) {
        const at = (b * length + t) * channels + d;
        const dt = step(b, t, d);
        let sum = D ? D.values[d] * u.values[at] : 0;
        for (let n = 0; n < dState; n++) {
          const decay = Math.exp(dt * A.values[d * dState + n]);
          const input = dt * u.values[at] * B.values[projectionOffset(B, b, t, d, channels) + n];
          const next = starts[b].has(t) ? input : decay * h.values[state(b, t, d, n)] + input;
          h.values[state(b, t + 1, d, n)] = next;
          sum += C.values[projectionOffset(C, b, t, d, channels) + n] * next;
        }
        y.values[at] = sum;
        out.values[at] = z ? sum * z.values[at] * sigmoid(z.values[at]) : sum;
      }
    }
  }
  return {out, y, h, step, biased, state, starts};
}

/** y [B,L,D] and finalState [B,D,N]. */
export function selectiveScanReference(
  inputs: ScanReferenceInputs,
  deltaSoftplus: boolean,
  sequenceIds?: Array64,
): {y: Array64; finalState: Array64} {
  const {out, h, state} = scan(inputs, deltaSoftplus, sequenceIds);
  const [batch, length, channels] = inputs.u.shape;
  const dState = inputs.A.shape[1];
  const finalState = zeros([batch, channels, dState]);
  for (let b = 0; b < batch; b++) {
    const from = state(b, length, 0, 0);
    finalState.values.set(h.values.subarray(from, from + channels * dState), b * channels * dState);
  }
  return {y: out, finalState};
}

/** The gradient of Σ y·dy + Σ finalState·dFinalState with respect to every input that is present. */
export function selectiveScanGradReference(
  inputs: ScanReferenceInputs,
  deltaSoftplus: boolean,
  dy: Array64,
  dFinalState: Array64,
  sequenceIds?: Array64,
): {[K in keyof ScanReferenceInputs]: Array64} {
  const {u, A, B, C, D, z, deltaBias, initialState} = inputs;
  const {y, h, step, biased, state, starts} = scan(inputs, deltaSoftplus, sequenceIds);
  const [batch, length, channels] = u.shape;
  const dState = A.shape[1];
  const du = zeros(u.shape);
  const dDelta = zeros(u.shape);
  const dA = zeros(A.shape);
  const dB = zeros(B.shape);
  const dC = zeros(C.shape);
  const dD = zeros([channels]);
  const dz = zeros(u.shape);
  const dBias = zeros([channels]);
  const dInitial = zeros([batch, channels, dState]);
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < channels; d++) {
      // carried[n] = exp(δ_{t+1} A) s_{t+1}, at the end of the sequence the gradient of the final state
      const carried = dFinalState.values.slice((b * channels + d) * dState, (b * channels + d + 1) * dState);
      for (let t = length - 1; t >= 0; t--) {
        const at = (b * length + t) * channels + d;
        let gy = dy.values[at];
        if (z) {
          const gate = z.values[at];
          dz.values[at] = gy * y.values[at] * siluSlope(gate);
          gy *= gate * sigmoid(gate);
        }
        const dt = step(b, t, d);
        let dStep = 0;
        let dInput = 0;
        for (let n = 0; n < dState; n++) {
          const a = A.values[d * dState + n];
          const decay = Math.exp(dt * a);
          const atB = projectionOffset(B, b, t, d, channels) + n;
          const atC = projectionOffset(C, b, t, d, channels) + n;
          const previous = starts[b].has(t) ? 0 : h.values[state(b, t, d, n)];
          const s = C.values[atC] * gy + carried[n];
          dC.values[atC] += gy * h.values[state(b, t + 1, d, n)];
          dB.values[atB] += s * dt * u.values[at];
          dA.values[d * dState + n] += s * dt * decay * previous;
          dStep += s * (a * decay * previous + u.values[at] * B.values[atB]);
          dInput += s * B.values[atB];
          carried[n] = starts[b].has(t) ? 0 : decay * s;
        }
        du.values[at] = dt * dInput + (D ? D.values[d] * gy : 0);
        dD.values[d] += gy * u.values[at];
        const x = biased(b, t, d);
        const slope = deltaSoftplus && x <= 20 ? sigmoid(x) : 1;
        dDelta.values[at] = dStep * slope;
        dBias.values[d] += dStep * slope;
      }
      dInitial.values.set(carried, (b * channels + d) * dState);
    }
  }
  return {
    u: du,
    delta: dDelta,
    A: dA,
    B: dB,
    C: dC,
    ...(D && {D: dD}),
    ...(z && {z: dz}),
    ...(deltaBias && {deltaBias: dBias}),
    ...(initialState && {initialState: dInitial}),
  };
}
