/**
 * Mamba-2's scan as the mathematics reads, in float64: the truth that every kernel is tested against.
 *
 * The sequential recurrence in plain loops over batch b, head h, time t, channel p and state n; the whole history of the state is
 * kept, so that the backward is a transcription of the formulas too.
 */
import type {Array64} from '../float64';
import {zeros64 as zeros} from '../float64';
import {documentStarts} from '../documents';
import {sigmoid, siluSlope} from '../scalar';
import type {StepSizeAttrs} from './stepSize';
import {stepSize, stepSlope} from './stepSize';

export interface SsdReferenceInputs {
  /** [B,L,H,P] */
  u: Array64;
  /** [B,L,H] */
  delta: Array64;
  /** [H] */
  A: Array64;
  /** [B,L,G,N] */
  B: Array64;
  C: Array64;
  /** [H] or [H,P] */
  D?: Array64;
  z?: Array64;
  deltaBias?: Array64;
  initialState?: Array64;
}

/** Offsets into the flat arrays. */
function offsets({u, B, D}: SsdReferenceInputs) {
  const [, length, heads, headDim] = u.shape;
  const [, , groups, dState] = B.shape;
  const perHead = D && D.shape.length === 1;
  return {
    delta: (b: number, t: number, h: number) => (b * length + t) * heads + h,
    u: (b: number, t: number, h: number, p: number) => ((b * length + t) * heads + h) * headDim + p,
    B: (b: number, t: number, h: number) => ((b * length + t) * groups + Math.floor((h * groups) / heads)) * dState,
    D: (h: number, p: number) => (perHead ? h : h * headDim + p),
    /** Of the history, which has the state before the first position too. */
    state: (b: number, t: number, h: number, p: number) =>
      (((b * (length + 1) + t) * heads + h) * headDim + p) * dState,
  };
}

function scan(inputs: SsdReferenceInputs, attrs: StepSizeAttrs, sequenceIds: Array64 | undefined) {
  const {u, delta, A, B, C, D, z, deltaBias, initialState} = inputs;
  const [batch, length, heads, headDim] = u.shape;
  const dState = B.shape[3];
  const at = offsets(inputs);
  const y = zeros(u.shape); // before the gate
  const out = zeros(u.shape);
  const history = zeros([batch, length + 1, heads, headDim, dState]);
  const biased = (b: number, t: number, h: number) =>
    delta.values[at.delta(b, t, h)] + (deltaBias ? deltaBias.values[h] : 0);
  const starts = documentStarts(sequenceIds, batch, length);
  for (let b = 0; b < batch; b++) {
    if (initialState) {
      const size = heads * headDim * dState;
      history.values.set(initialState.values.subarray(b * size, (b + 1) * size), at.state(b, 0, 0, 0));
    }
    for (let t = 0; t < length; t++) {
      for (let h = 0; h < heads; h++) {
        const dt = stepSize(biased(b, t, h), attrs);
        const decay = Math.exp(dt * A.values[h]);
        for (let p = 0; p < headDim; p++) {
          const i = at.u(b, t, h, p);
          let sum = D ? D.values[at.D(h, p)] * u.values[i] : 0;
          for (let n = 0; n < dState; n++) {
            const input = dt * u.values[i] * B.values[at.B(b, t, h) + n];
            const next = starts[b].has(t) ? input : decay * history.values[at.state(b, t, h, p) + n] + input;
            history.values[at.state(b, t + 1, h, p) + n] = next;
            sum += C.values[at.B(b, t, h) + n] * next;
          }
          y.values[i] = sum;
          out.values[i] = z ? sum * z.values[i] * sigmoid(z.values[i]) : sum;
        }
      }
    }
  }
  return {out, y, history, biased, at, starts};
}

/** y [B,L,H,P] and finalState [B,H,P,N]. */
export function ssdReference(
  inputs: SsdReferenceInputs,
  attrs: StepSizeAttrs,
  sequenceIds?: Array64,
): {y: Array64; finalState: Array64} {
  const {out, history, at} = scan(inputs, attrs, sequenceIds);
  const [batch, length, heads, headDim] = inputs.u.shape;
  const finalState = zeros([batch, heads, headDim, inputs.B.shape[3]]);
  const size = finalState.values.length / batch;
  for (let b = 0; b < batch; b++) {
    const from = at.state(b, length, 0, 0);
    finalState.values.set(history.values.subarray(from, from + size), b * size);
  }
  return {y: out, finalState};
}

/** The gradient of Σ y·dy + Σ finalState·dFinalState with respect to every input that is present. */
export function ssdGradReference(
  inputs: SsdReferenceInputs,
  attrs: StepSizeAttrs,
  dy: Array64,
  dFinalState: Array64,
  sequenceIds?: Array64,
): {[K in keyof SsdReferenceInputs]: Array64} {
  const {u, delta, A, B, C, D, z, deltaBias, initialState} = inputs;
  const {y, history, biased, at, starts} = scan(inputs, attrs, sequenceIds);
  const [batch, length, heads, headDim] = u.shape;
  const dState = B.shape[3];
  const du = zeros(u.shape);
  const dDelta = zeros(delta.shape);
  const dA = zeros(A.shape);
  const dB = zeros(B.shape);
  const dC = zeros(C.shape);
  const dD = zeros(D ? D.shape : []);
  const dz = zeros(u.shape);
  const dBias = zeros(A.shape);
  // exp(δ_{t+1} A) s_{t+1}, where s_t is the gradient of h_t; at the end of the sequence the gradient of the final state.
  const carried = dFinalState.values.slice();
  for (let b = 0; b < batch; b++) {
    for (let t = length - 1; t >= 0; t--) {
      for (let h = 0; h < heads; h++) {
        const dt = stepSize(biased(b, t, h), attrs);
        const decay = Math.exp(dt * A.values[h]);
        const begins = starts[b].has(t);
        let dLogDecay = 0;
        let dStep = 0;
        for (let p = 0; p < headDim; p++) {
          const i = at.u(b, t, h, p);
          let gy = dy.values[i];
          if (z) {
            dz.values[i] = gy * y.values[i] * siluSlope(z.values[i]);
            gy *= z.values[i] * sigmoid(z.values[i]);
          }
          let dInput = 0; // of δ u
          for (let n = 0; n < dState; n++) {
            const k = ((b * heads + h) * headDim + p) * dState + n;
            const row = at.B(b, t, h) + n;
            const s = C.values[row] * gy + carried[k];
            dC.values[row] += gy * history.values[at.state(b, t + 1, h, p) + n];
            dB.values[row] += s * dt * u.values[i];
            if (!begins) dLogDecay += s * decay * history.values[at.state(b, t, h, p) + n];
            dInput += s * B.values[row];
            carried[k] = begins ? 0 : decay * s;
          }
          du.values[i] = dt * dInput + (D ? D.values[at.D(h, p)] * gy : 0);
          dStep += u.values[i] * dInput;
          if (D) {
            dD.values[at.D(h, p)] += gy * u.values[i];
          }
        }
        dA.values[h] += dt * dLogDecay;
        dDelta.values[at.delta(b, t, h)] = (A.values[h] * dLogDecay + dStep) * stepSlope(biased(b, t, h), attrs);
        dBias.values[h] += dDelta.values[at.delta(b, t, h)];
      }
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
    ...(initialState && {initialState: {shape: initialState.shape, values: carried}}),
  };
}
