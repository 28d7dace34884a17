/**
 * Mamba-2's scan over typed arrays, for `cpu` and `wasm`.
 *
 * Without vector instructions the recurrence itself takes no more operations than the products of the chunked matrix form, as a head
 * has one exp a position. So a head walks along the sequence, four channels at a time, whose states lie in the first-level cache and
 * which share what they read of B and C. States are kept at the starts of chunks only; the backward recomputes those of four channels
 * of a chunk. Sums are float64.
 */
import type {Operand} from '../../backends/typedArrays';
import {registerTypedArrayKernel} from '../../backends/typedArrays';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sigmoid, siluSlope} from '../scalar';
import type {SsdAttrs, SsdGradInput, SsdInput} from './kernels';
import {ssdInputs} from './kernels';
import type {StepSizeAttrs} from './stepSize';
import {stepSize, stepSlope} from './stepSize';
import type {BackwardScratch, Scratch} from './typedWalk';
import {LANES, scratch, walk, walkBack} from './typedWalk';
import {CHUNK, sizesOf, ssdGradShape, ssdShape} from './shapes';

type Operands = Record<'u' | 'delta' | 'A' | 'B' | 'C', Operand> & {[K in SsdGradInput]?: Operand};

/** Fills in step sizes, decays and inputs of the positions from `start` on. */
function enter(
  {u, delta, A, deltaBias}: Operands,
  attrs: StepSizeAttrs,
  {lanes, step, decay, x}: Scratch,
  [b, h, start, count]: [number, number, number, number],
): void {
  const [, length, heads, headDim] = u.shape;
  const bias = deltaBias ? deltaBias.values[h] : 0;
  for (let t = 0; t < count; t++) {
    const at = (b * length + start + t) * heads + h;
    step[t] = stepSize(delta.values[at] + bias, attrs);
    decay[t] = Math.exp(step[t] * A.values[h]);
    for (let p = 0; p < headDim; p++) {
      x[t * lanes + p] = step[t] * u.values[at * headDim + p];
    }
  }
}

/** The skip connection of a channel. */
const skipOf = (D: Operand | undefined, h: number, p: number) =>
  D ? D.values[h * D.shape[1] + (D.shape[1] === 1 ? 0 : p)] : 0;

function forward(inputs: Operands, [out, finalState, kept]: Operand[], attrs: StepSizeAttrs): void {
  const {u, B, C, D, z, initialState} = inputs;
  const {batch, length, heads, headDim, groups, dState, chunks} = sizesOf(inputs);
  const space = scratch(headDim);
  const {lanes, y} = space;
  const size = headDim * dState;
  const states = new Float64Array(lanes * dState);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const head = (b * heads + h) * size;
      if (initialState) {
        states.set(initialState.values.subarray(head, head + size));
      } else {
        states.fill(0);
      }
      for (let c = 0; c < chunks; c++) {
        const start = c * CHUNK;
        const count = Math.min(CHUNK, length - start);
        kept?.values.set(states.subarray(0, size), ((b * chunks + c) * heads + h) * size);
        enter(inputs, attrs, space, [b, h, start, count]);
        const group = Math.floor((h * groups) / heads);
        const at = ((b * length + start) * groups + group) * dState;
        const rows = {B: B.values, C: C.values, at, stride: groups * dState, dState};
        for (let lane = 0; lane < lanes; lane += LANES) {
          walk(space, rows, lane, count, states, lane * dState, 0);
        }
        for (let t = 0; t < count; t++) {
          const first = ((b * length + start + t) * heads + h) * headDim;
          for (let p = 0; p < headDim; p++) {
            const sum = y[t * lanes + p] + skipOf(D, h, p) * u.values[first + p];
            const gate = z ? z.values[first + p] : 0;
            out.values[first + p] = z ? sum * gate * sigmoid(gate) : sum;
          }
        }
      }
      finalState.values.set(states.subarray(0, size), head);
    }
  }
}

function backward(
  inputs: Operands & Record<'states' | 'dy' | 'dFinalState', Operand>,
  gradients: {[K in SsdInput]?: Operand},
  attrs: StepSizeAttrs,
): void {
  const {u, delta, A, B, C, D, z, deltaBias, states, dy, dFinalState} = inputs;
  const {batch, length, heads, headDim, groups, dState, chunks} = sizesOf(inputs);
  const space = scratch(headDim);
  const {lanes, step, y} = space;
  const size = headDim * dState;
  const back: BackwardScratch = {
    dLogDecay: new Float64Array(CHUNK),
    gy: new Float64Array(CHUNK * lanes),
    dx: new Float64Array(CHUNK * lanes),
    dB: new Float64Array(CHUNK * groups * dState),
    dC: new Float64Array(CHUNK * groups * dState),
  };
  const history = new Float64Array((CHUNK + 1) * LANES * dState);
  const carried = new Float64Array(heads * lanes * dState); // the gradient of the states at the end of a chunk
  const dA = new Float64Array(heads);
  const dBias = new Float64Array(heads);
  const dD = new Float64Array(D ? D.values.length : 0);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      const head = (b * heads + h) * size;
      carried.set(dFinalState.values.subarray(head, head + size), h * lanes * dState);
    }
    for (let c = chunks - 1; c >= 0; c--) {
      const start = c * CHUNK;
      const count = Math.min(CHUNK, length - start);
      back.dB.fill(0);
      back.dC.fill(0);
      for (let h = 0; h < heads; h++) {
        const group = Math.floor((h * groups) / heads) * dState;
        const at = (b * length + start) * groups * dState + group;
        const rows = {B: B.values, C: C.values, at, stride: groups * dState, dState};
        const firstOf = (t: number) => ((b * length + start + t) * heads + h) * headDim;
        enter(inputs, attrs, space, [b, h, start, count]);
        for (let t = 0; t < count; t++) {
          for (let p = 0, i = firstOf(t); p < headDim; p++, i++) {
            const gate = z ? z.values[i] : 0;
            back.gy[t * lanes + p] = z ? dy.values[i] * gate * sigmoid(gate) : dy.values[i];
          }
        }
        back.dLogDecay.fill(0);
        for (let lane = 0; lane < lanes; lane += LANES) {
          const kept = ((b * chunks + c) * heads + h) * size;
          const end = Math.min(lane + LANES, headDim) * dState;
          history.fill(0, 0, LANES * dState);
          history.set(states.values.subarray(kept + lane * dState, kept + end));
          walk(space, rows, lane, count, history, 0, LANES * dState);
          walkBack(space, back, rows, [lane, count, group], history, carried, (h * lanes + lane) * dState);
        }
        for (let t = 0; t < count; t++) {
          let dStep = back.dLogDecay[t] * A.values[h];
          for (let p = 0, i = firstOf(t), k = t * lanes; p < headDim; p++, i++, k++) {
            const skip = skipOf(D, h, p);
            const ut = u.values[i];
            dStep += back.dx[k] * ut;
            gradients.u!.values[i] = step[t] * back.dx[k] + skip * back.gy[k];
            if (z) {
              gradients.z!.values[i] = dy.values[i] * (y[k] + skip * ut) * siluSlope(z.values[i]);
            }
            if (D) {
              dD[h * D.shape[1] + (D.shape[1] === 1 ? 0 : p)] += back.gy[k] * ut;
            }
          }
          const i = (b * length + start + t) * heads + h;
          const biased = delta.values[i] + (deltaBias ? deltaBias.values[h] : 0);
          const dDelta = dStep * stepSlope(biased, attrs);
          gradients.delta!.values[i] = dDelta;
          dBias[h] += dDelta;
          dA[h] += step[t] * back.dLogDecay[t];
        }
      }
      const first = (b * length + start) * groups * dState;
      gradients.B!.values.set(back.dB.subarray(0, count * groups * dState), first);
      gradients.C!.values.set(back.dC.subarray(0, count * groups * dState), first);
    }
    for (let h = 0; h < heads; h++) {
      const from = h * lanes * dState;
      gradients.initialState?.values.set(carried.subarray(from, from + size), (b * heads + h) * size);
    }
  }
  gradients.A!.values.set(dA);
  gradients.D?.values.set(dD);
  gradients.deltaBias?.values.set(dBias);
}

registerTypedArrayKernel({
  ...ssdShape,
  compute: (inputs, outputs, attrs: SsdAttrs & PresentAttr) =>
    forward(byName(inputs, attrs.present) as Operands, outputs, attrs),
});

registerTypedArrayKernel({
  ...ssdGradShape,
  compute: (inputs, outputs, attrs: StepSizeAttrs & PresentAttr) =>
    backward(
      byName(inputs, attrs.present) as Operands & Record<'states' | 'dy' | 'dFinalState', Operand>,
      byName(
        outputs,
        ssdInputs.filter((name) => attrs.present.includes(name)),
      ),
      attrs,
    ),
});
