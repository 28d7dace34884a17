/** One step of the selective scan, over a state [B,D,N] in memory order: here a vector holds four states of one channel. */
import {VECTOR, allFinite, lanes4, load4, store4, sum4} from './vector';
import {exp2m1Part, hold2, powerOf, scaled, scaledAnyhow, shift, silu} from './functions';
import {LOG2E, perChannel, stepSizes} from './scanCommon';

/** B and C are [B,G,N]; pointers of absent inputs are 0. `scratch`: three vectors. */
export function selectiveStateUpdate(
  state: usize, u: usize, delta: usize, A: usize, B: usize, C: usize, D: usize, z: usize, deltaBias: usize,
  y: usize, next: usize, scratch: usize,
  batch: i32, channels: i32, dState: i32, groupsB: i32, groupsC: i32, useSoftplus: bool,
): void {
  // Again where something is not finite, see scan.ts.
  for (let anyhow = 0; anyhow < 2; anyhow++) {
    update(
      state, u, delta, A, B, C, D, z, deltaBias, y, next, scratch,
      batch, channels, dState, groupsB, groupsC, useSoftplus, anyhow !== 0,
    );
    if (allFinite(next, batch * channels * dState) && allFinite(y, batch * channels)) return;
  }
}

function update(
  state: usize, u: usize, delta: usize, A: usize, B: usize, C: usize, D: usize, z: usize, deltaBias: usize,
  y: usize, next: usize, scratch: usize,
  batch: i32, channels: i32, dState: i32, groupsB: i32, groupsC: i32, useSoftplus: bool, anyhow: bool,
): void {
  const perGroupB = channels / groupsB;
  const perGroupC = channels / groupsC;
  const row = <usize>dState << 2;
  for (let b = 0; b < batch; b++) {
    for (let d = 0; d < channels; d += 4) {
      const count = min(4, channels - d);
      const at = <usize>(b * channels + d) << 2;
      const ut = load4(u + at, count);
      const dt = stepSizes(delta + at, perChannel(deltaBias, d, count), count, useSoftplus);
      v128.store(scratch, dt);
      v128.store(scratch + VECTOR, f32x4.mul(dt, ut));
      for (let i: usize = 0; i < <usize>count; i++) {
        const channel = <usize>d + i;
        const table = <usize>(b * channels) * row + channel * row;
        const sum = step(
          state + table, A + channel * row,
          B + <usize>(b * groupsB + <i32>channel / perGroupB) * row, C + <usize>(b * groupsC + <i32>channel / perGroupC) * row,
          next + table, v128.load_splat<f32>(scratch + (i << 2)), v128.load_splat<f32>(scratch + VECTOR + (i << 2)), dState, anyhow,
        );
        store<f32>(scratch + 2 * VECTOR + (i << 2), sum);
      }
      let sum = v128.load(scratch + 2 * VECTOR);
      if (D) sum = f32x4.add(sum, f32x4.mul(perChannel(D, d, count), ut));
      store4(y + at, z ? f32x4.mul(sum, silu(load4(z + at, count))) : sum, count);
    }
  }
}

/** Advances the states of one channel and returns Σ C·h. */
function step(
  state: usize, A: usize, B: usize, C: usize, next: usize, dt: v128, input: v128, dState: i32, anyhow: bool,
): f32 {
  let sum = f32x4.splat(0);
  for (let n = 0; n < dState; n += 4) {
    const count = min(4, dState - n);
    const at = <usize>n << 2;
    const x = f32x4.mul(dt, f32x4.mul(load4(A + at, count), f32x4.splat(LOG2E)));
    const before = load4(state + at, count);
    const held = hold2(x);
    const shifted = shift(held);
    const decayed = anyhow ? scaledAnyhow(before, x) : scaled(before, exp2m1Part(held, shifted), powerOf(shifted));
    let h = f32x4.add(decayed, f32x4.mul(input, load4(B + at, count)));
    store4(next + at, h, count);
    if (anyhow) h = v128.and(h, lanes4(count)); // beyond the last state ∞·0 may be
    sum = f32x4.add(sum, f32x4.mul(load4(C + at, count), h));
  }
  return sum4(sum);
}
