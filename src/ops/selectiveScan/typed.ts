/**
 * The selective scan over typed arrays, for `cpu` and `wasm`.
 *
 * Both directions walk chunk by chunk and, inside a chunk, channel by channel, so that one channel's states over a chunk stay in
 * the first-level cache. The backward starts each chunk from the state that the forward kept at its start, and recomputes the
 * chunk's states and decays once; scratch is one channel's chunk, O(chunk·N), and one chunk's dB and dC. Sums are float64.
 *
 * Chunks are counted from where a document begins, so that packed documents are computed as each alone. Two starts of chunks within
 * documents are at least a chunk apart, so the kept state of a start t has slot ⌊t/chunk⌋ to itself; a document's first needs none.
 */
import type {Operand} from '../../backends/typedArrays';
import {registerTypedArrayKernel} from '../../backends/typedArrays';
import type {PresentAttr} from '../kernel';
import {documentsOf} from '../documents';
import {byName} from '../kernel';
import type {ScanAttrs, ScanGradAttrs, ScanGradInput, ScanInput} from './kernels';
import {sigmoid, siluSlope, softplus} from '../scalar';
import {scanInputs} from './kernels';
import {CHUNK, scanGradShape, scanShape} from './shapes';

/** Where a channel finds its row of B or C: at `batch·b + time·t + channel(d)`. */
function rows({shape}: Operand, channels: number) {
  if (shape.length === 2) {
    const dState = shape[1];
    return {batch: 0, time: 0, channel: (d: number) => d * dState};
  }
  const [, length, groups, dState] = shape;
  const perGroup = channels / groups;
  return {
    batch: length * groups * dState,
    time: groups * dState,
    channel: (d: number) => Math.floor(d / perGroup) * dState,
  };
}

type Operands = Record<'u' | 'delta' | 'A' | 'B' | 'C', Operand> & {[K in ScanGradInput]?: Operand};

/** The chunks of batch row `b` in order, and whether a chunk is the first of its document. */
function chunksOf(ids: Operand | undefined, b: number, length: number) {
  return documentsOf(ids, b, length).flatMap(({begin, end}) =>
    Array.from({length: Math.ceil((end - begin) / CHUNK)}, (_, c) => {
      const start = begin + c * CHUNK;
      return {start, end: Math.min(start + CHUNK, end), isFirst: c === 0};
    }),
  );
}

function forward(
  {u, delta, A, B, C, D, z, deltaBias, initialState, sequenceIds}: Operands,
  [out, finalState, states]: Operand[],
  deltaSoftplus: boolean,
): void {
  const [batch, length, channels] = u.shape;
  const dState = A.shape[1];
  const rowsB = rows(B, channels);
  const rowsC = rows(C, channels);
  const uv = u.values;
  const Av = A.values;
  const Bv = B.values;
  const Cv = C.values;
  const h = new Float64Array(channels * dState);
  for (let b = 0; b < batch; b++) {
    const stateSize = channels * dState;
    for (const {start, end, isFirst} of chunksOf(sequenceIds, b, length)) {
      if (start === 0 && initialState) {
        h.set(initialState.values.subarray(b * stateSize, (b + 1) * stateSize));
      } else if (isFirst) {
        h.fill(0);
      }
      if (states && (start === 0 || !isFirst)) {
        states.values.set(h, (b * states.shape[1] + Math.floor(start / CHUNK)) * stateSize);
      }
      for (let d = 0; d < channels; d++) {
        const bias = deltaBias ? deltaBias.values[d] : 0;
        const skip = D ? D.values[d] : 0;
        const state = d * dState;
        const baseB = b * rowsB.batch + rowsB.channel(d);
        const baseC = b * rowsC.batch + rowsC.channel(d);
        for (let t = start; t < end; t++) {
          const at = (b * length + t) * channels + d;
          const biased = delta.values[at] + bias;
          const dt = deltaSoftplus ? softplus(biased) : biased;
          const input = dt * uv[at];
          const atB = baseB + t * rowsB.time;
          const atC = baseC + t * rowsC.time;
          let y = D ? skip * uv[at] : 0;
          for (let n = 0; n < dState; n++) {
            const next = Math.exp(dt * Av[state + n]) * h[state + n] + input * Bv[atB + n];
            h[state + n] = next;
            y += Cv[atC + n] * next;
          }
          if (z) {
            const gate = z.values[at];
            y *= gate * sigmoid(gate);
          }
          out.values[at] = y;
        }
      }
    }
    finalState.values.set(h, b * stateSize);
  }
}

function backward(
  inputs: Operands & Record<'states' | 'dy' | 'dFinalState', Operand>,
  gradients: {[K in ScanInput]?: Operand},
  deltaSoftplus: boolean,
): void {
  const {u, delta, A, B, C, D, z, deltaBias, states, dy, dFinalState, sequenceIds} = inputs;
  const [batch, length, channels] = u.shape;
  const dState = A.shape[1];
  const rowsB = rows(B, channels);
  const rowsC = rows(C, channels);
  const Av = A.values;
  const Bv = B.values;
  const Cv = C.values;
  // One channel's chunk: states (at its start, then after each step), decays, step sizes.
  const h = new Float64Array((CHUNK + 1) * dState);
  const decay = new Float64Array(CHUNK * dState);
  const steps = new Float64Array(CHUNK);
  // exp(δ_{t+1} A) s_{t+1} of every channel; at the end of the sequence the gradient of the final state.
  const carried = new Float64Array(channels * dState);
  const dA = new Float64Array(channels * dState);
  const dD = new Float64Array(channels);
  const dBias = new Float64Array(channels);
  // Constant projections are summed over everything, others over the channels of a chunk.
  const dB = new Float64Array(rowsB.time === 0 ? channels * dState : CHUNK * rowsB.time);
  const dC = new Float64Array(rowsC.time === 0 ? channels * dState : CHUNK * rowsC.time);
  const stateSize = channels * dState;
  const chunks = states.shape[1];
  for (let b = 0; b < batch; b++) {
    carried.set(dFinalState.values.subarray(b * stateSize, (b + 1) * stateSize));
    for (const {start, end, isFirst} of chunksOf(sequenceIds, b, length).reverse()) {
      const count = end - start;
      const kept = (b * chunks + Math.floor(start / CHUNK)) * stateSize;
      const hasState = start === 0 || !isFirst;
      if (rowsB.time !== 0) dB.fill(0);
      if (rowsC.time !== 0) dC.fill(0);
      for (let d = 0; d < channels; d++) {
        const bias = deltaBias ? deltaBias.values[d] : 0;
        const skip = D ? D.values[d] : 0;
        const state = d * dState;
        const channelB = rowsB.channel(d);
        const channelC = rowsC.channel(d);
        const baseB = b * rowsB.batch + start * rowsB.time + channelB;
        const baseC = b * rowsC.batch + start * rowsC.time + channelC;
        const first = (b * length + start) * channels + d;
        for (let n = 0; n < dState; n++) {
          h[n] = hasState ? states.values[kept + state + n] : 0;
        }
        for (let t = 0; t < count; t++) {
          const at = first + t * channels;
          const biased = delta.values[at] + bias;
          const dt = deltaSoftplus ? softplus(biased) : biased;
          const input = dt * u.values[at];
          const atB = baseB + t * rowsB.time;
          steps[t] = dt;
          for (let n = 0, k = t * dState; n < dState; n++, k++) {
            const a = Math.exp(dt * Av[state + n]);
            decay[k] = a;
            h[k + dState] = a * h[k] + input * Bv[atB + n];
          }
        }
        let sumD = 0;
        let sumBias = 0;
        for (let t = count - 1; t >= 0; t--) {
          const at = first + t * channels;
          const ut = u.values[at];
          const dt = steps[t];
          const atB = baseB + t * rowsB.time;
          const atC = baseC + t * rowsC.time;
          let gy = dy.values[at];
          if (z) {
            const gate = z.values[at];
            let y = D ? skip * ut : 0;
            for (let n = 0, k = (t + 1) * dState; n < dState; n++, k++) {
              y += Cv[atC + n] * h[k];
            }
            gradients.z!.values[at] = gy * y * siluSlope(gate);
            gy *= gate * sigmoid(gate);
          }
          const input = dt * ut;
          const atDB = t * rowsB.time + channelB;
          const atDC = t * rowsC.time + channelC;
          let dStep = 0;
          let dInput = 0;
          for (let n = 0, k = t * dState; n < dState; n++, k++) {
            const s = Cv[atC + n] * gy + carried[state + n];
            const decayed = s * decay[k];
            const throughDecay = decayed * h[k];
            dC[atDC + n] += gy * h[k + dState];
            dB[atDB + n] += s * input;
            dA[state + n] += throughDecay * dt;
            dStep += throughDecay * Av[state + n];
            dInput += s * Bv[atB + n];
            carried[state + n] = decayed;
          }
          gradients.u!.values[at] = dt * dInput + (D ? skip * gy : 0);
          sumD += gy * ut;
          let slope = 1;
          if (deltaSoftplus) {
            const biased = delta.values[at] + bias;
            slope = biased > 20 ? 1 : sigmoid(biased);
          }
          const dDelta = (dStep + dInput * ut) * slope;
          gradients.delta!.values[at] = dDelta;
          sumBias += dDelta;
        }
        dD[d] += sumD;
        dBias[d] += sumBias;
      }
      if (rowsB.time !== 0) {
        gradients.B!.values.set(dB.subarray(0, count * rowsB.time), b * rowsB.batch + start * rowsB.time);
      }
      if (rowsC.time !== 0) {
        gradients.C!.values.set(dC.subarray(0, count * rowsC.time), b * rowsC.batch + start * rowsC.time);
      }
      if (start === 0) {
        gradients.initialState?.values.set(carried, b * stateSize);
      } else if (isFirst) {
        carried.fill(0);
      }
    }
  }
  if (rowsB.time === 0) gradients.B!.values.set(dB);
  if (rowsC.time === 0) gradients.C!.values.set(dC);
  gradients.A!.values.set(dA);
  gradients.D?.values.set(dD);
  gradients.deltaBias?.values.set(dBias);
}

registerTypedArrayKernel({
  ...scanShape,
  compute: (inputs, outputs, {present, deltaSoftplus}: ScanAttrs & PresentAttr) =>
    forward(byName(inputs, present) as Operands, outputs, deltaSoftplus),
});

registerTypedArrayKernel({
  ...scanGradShape,
  compute: (inputs, outputs, {present, deltaSoftplus}: ScanGradAttrs & PresentAttr) =>
    backward(
      byName(inputs, present) as Operands & Record<'states' | 'dy' | 'dFinalState', Operand>,
      byName(
        outputs,
        scanInputs.filter((name) => present.includes(name)),
      ),
      deltaSoftplus,
    ),
});
