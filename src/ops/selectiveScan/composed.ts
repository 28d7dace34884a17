/**
 * The selective scan made of TensorFlow.js ops, for a backend without a kernel of its own: a loop over time that holds one state
 * [B,D,N] at a time. The backward keeps the state at the start of every chunk of √L steps and recomputes the rest chunk by chunk,
 * so that neither direction ever has anything of size B·L·D·N.
 */
import * as tf from '@tensorflow/tfjs';
import {softplus, softplusSlope} from '../composedScalar';
import {offerComposed} from '../kernel';
import type {ScanAttrs, ScanGradAttrs, ScanInputs} from './kernels';
import {runSelectiveScan, runSelectiveScanGrad} from './kernels';

/** [B,L,...] or constant [D,N] → for step t the projection of every channel, [B,D,N] or [1,D,N]. */
function projectionAt(projection: tf.Tensor, t: number, channels: number): tf.Tensor {
  if (projection.rank === 2) {
    return projection.expandDims(0);
  }
  const [batch, , groups, dState] = projection.shape;
  return projection
    .slice([0, t, 0, 0], [batch, 1, groups, dState])
    .reshape([batch, groups, 1, dState])
    .tile([1, 1, channels / groups, 1])
    .reshape([batch, channels, dState]);
}

/** [B,L,D] → [B,D,1] at step t. */
function at(x: tf.Tensor, t: number): tf.Tensor {
  const [batch, , channels] = x.shape;
  return x.slice([0, t, 0], [batch, 1, channels]).reshape([batch, channels, 1]);
}

/** The step size after bias and softplus, [B,L,D]. */
function stepSize({delta, deltaBias}: ScanInputs, deltaSoftplus: boolean): tf.Tensor {
  const biased = deltaBias ? delta.add(deltaBias) : delta;
  return deltaSoftplus ? softplus(biased) : biased;
}

/** [B,D,N], with zeros in the rows where a document begins at step t. Chosen and not multiplied: what came before may be infinite. */
function unlessStart({sequenceIds}: ScanInputs, t: number, x: tf.Tensor): tf.Tensor {
  if (!sequenceIds || t === 0) {
    return x;
  }
  const [batch] = x.shape;
  const idAt = (position: number) => sequenceIds.slice([0, position], [batch, 1]);
  const starts = idAt(t)
    .notEqual(idAt(t - 1))
    .reshape([batch, 1, 1]);
  return tf.where(starts, tf.zerosLike(x), x);
}

/** exp(δ_t A), and h_t from h_{t-1}, which is zero where a document begins. */
function advance(inputs: ScanInputs, step: tf.Tensor, h: tf.Tensor, t: number) {
  const {u, A, B} = inputs;
  const dt = at(step, t);
  const decay = dt.mul(A).exp();
  const next = decay.mul(unlessStart(inputs, t, h)).add(dt.mul(at(u, t)).mul(projectionAt(B, t, u.shape[2]!)));
  return {decay, next};
}

function firstState({u, A, initialState}: ScanInputs): tf.Tensor {
  return initialState ?? tf.zeros([u.shape[0], u.shape[2]!, A.shape[1]!]);
}

const chunkLength = (length: number) => Math.ceil(Math.sqrt(length));

export function selectiveScanComposed(inputs: ScanInputs, {deltaSoftplus, keepStates}: ScanAttrs): tf.Tensor[] {
  const {u, C, D, z} = inputs;
  const [, length, channels] = u.shape as [number, number, number];
  const step = stepSize(inputs, deltaSoftplus);
  const chunk = chunkLength(length);
  let h = firstState(inputs);
  const states: tf.Tensor[] = [];
  const rows: tf.Tensor[] = [];
  for (let t = 0; t < length; t++) {
    if (keepStates && t % chunk === 0) {
      states.push(h);
    }
    const [next, row] = tf.tidy(() => {
      const {next} = advance(inputs, step, h, t);
      return [next, next.mul(projectionAt(C, t, channels)).sum(-1)];
    });
    if (!states.includes(h) && h !== inputs.initialState) {
      h.dispose();
    }
    h = next;
    rows.push(row);
  }
  let y: tf.Tensor = tf.stack(rows, 1);
  rows.forEach((row) => row.dispose());
  if (D) {
    y = y.add(u.mul(D));
  }
  if (z) {
    y = y.mul(z.mul(z.sigmoid()));
  }
  return keepStates ? [y, h, tf.stack(states, 1)] : [y, h];
}

type GradInputs = ScanInputs & Record<'states' | 'dy' | 'dFinalState', tf.Tensor>;

export function selectiveScanGradComposed(inputs: GradInputs, {deltaSoftplus}: ScanGradAttrs): tf.Tensor[] {
  const {u, delta, A, B, C, D, z, deltaBias, initialState, states, dy, dFinalState} = inputs;
  const [batch, length, channels] = u.shape as [number, number, number];
  const dState = A.shape[1]!;
  const step = stepSize(inputs, deltaSoftplus);
  const gate = z && {value: z.sigmoid(), gy: dy.mul(z).mul(z.sigmoid())};
  const gy = gate ? gate.gy : dy;
  const chunk = chunkLength(length);

  // Per step, collected back to front.
  const rows = {
    u: [] as tf.Tensor[],
    delta: [] as tf.Tensor[],
    y: [] as tf.Tensor[],
    B: [] as tf.Tensor[],
    C: [] as tf.Tensor[],
  };
  let sums: Record<'A' | 'B' | 'C' | 'carried', tf.Tensor> = {
    A: tf.zeros(A.shape),
    B: tf.zeros([channels, dState]),
    C: tf.zeros([channels, dState]),
    carried: dFinalState, // exp(δ_{t+1} A) s_{t+1}
  };
  /** [B,D,N] → the gradient of a projection of one step, [B,G,N]. */
  const overChannels = (x: tf.Tensor, groups: number) => x.reshape([batch, groups, channels / groups, dState]).sum(2);

  for (let start = (Math.ceil(length / chunk) - 1) * chunk; start >= 0; start -= chunk) {
    const end = Math.min(start + chunk, length);
    const history: tf.Tensor[] = [states.slice([0, start / chunk, 0, 0], [batch, 1, channels, dState]).squeeze([1])];
    for (let t = start; t < end; t++) {
      history.push(tf.tidy(() => advance(inputs, step, history[t - start], t).next));
    }
    for (let t = end - 1; t >= start; t--) {
      const result = tf.tidy(() => {
        const previous = unlessStart(inputs, t, history[t - start]);
        const current = history[t - start + 1];
        const dt = at(step, t);
        const ut = at(u, t);
        const g = at(gy, t);
        const decay = dt.mul(A).exp();
        const Bt = projectionAt(B, t, channels);
        const Ct = projectionAt(C, t, channels);
        const s = Ct.mul(g).add(sums.carried);
        const decayed = s.mul(decay);
        const throughDecay = decayed.mul(previous);
        const dInput = s.mul(Bt).sum(-1, true);
        const dB = s.mul(dt.mul(ut));
        const dC = current.mul(g);
        return {
          u: dInput.mul(dt).squeeze([2]),
          delta: throughDecay.mul(A).sum(-1, true).add(dInput.mul(ut)).squeeze([2]),
          y: z ? current.mul(Ct).sum(-1) : undefined,
          rowB: B.rank === 2 ? undefined : overChannels(dB, B.shape[2]!),
          rowC: C.rank === 2 ? undefined : overChannels(dC, C.shape[2]!),
          sums: {
            A: sums.A.add(throughDecay.mul(dt).sum(0)),
            B: B.rank === 2 ? sums.B.add(dB.sum(0)) : sums.B.clone(),
            C: C.rank === 2 ? sums.C.add(dC.sum(0)) : sums.C.clone(),
            carried: unlessStart(inputs, t, decayed),
          },
        };
      });
      tf.dispose([sums.A, sums.B, sums.C]);
      if (sums.carried !== dFinalState) {
        sums.carried.dispose();
      }
      sums = result.sums;
      rows.u.push(result.u);
      rows.delta.push(result.delta);
      if (result.y) rows.y.push(result.y);
      if (result.rowB) rows.B.push(result.rowB);
      if (result.rowC) rows.C.push(result.rowC);
    }
    tf.dispose(history);
  }
  const overTime = (list: tf.Tensor[]) => tf.stack(list.reverse(), 1);

  let du = overTime(rows.u);
  if (D) {
    du = du.add(gy.mul(D));
  }
  let dDelta = overTime(rows.delta);
  if (deltaSoftplus) {
    const biased = deltaBias ? delta.add(deltaBias) : delta;
    dDelta = dDelta.mul(softplusSlope(biased));
  }
  const gradients = [
    du,
    dDelta,
    sums.A,
    B.rank === 2 ? sums.B : overTime(rows.B),
    C.rank === 2 ? sums.C : overTime(rows.C),
  ];
  if (D) {
    gradients.push(gy.mul(u).sum([0, 1]));
  }
  if (gate) {
    const y = D ? overTime(rows.y).add(u.mul(D)) : overTime(rows.y);
    const slope = gate.value.mul(z.mul(tf.sub(1, gate.value)).add(1));
    gradients.push(dy.mul(y).mul(slope));
  }
  if (deltaBias) {
    gradients.push(dDelta.sum([0, 1]));
  }
  if (initialState) {
    gradients.push(sums.carried);
  }
  return gradients;
}

offerComposed(runSelectiveScan, selectiveScanComposed);
offerComposed(runSelectiveScanGrad, selectiveScanGradComposed);
