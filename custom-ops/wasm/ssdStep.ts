/** One step of Mamba-2's scan, over a state [B,H,P,N] in memory order: a vector holds four states of one channel. */
import {lanes4, load4, store4, sum4} from './vector';
import {silu, softplus} from './functions';
import {decayOf} from './ssdChunk';

/** B and C are [B,G,N]; pointers of absent inputs are 0. D has `skipWidth` values a head, 1 or headDim. */
export function ssdStep(
  state: usize, u: usize, delta: usize, A: usize, B: usize, C: usize, D: usize, z: usize, deltaBias: usize,
  y: usize, next: usize,
  batch: i32, heads: i32, headDim: i32, groups: i32, dState: i32, skipWidth: i32,
  useSoftplus: bool, deltaMin: f32, deltaMax: f32,
): void {
  const row = <usize>dState << 2;
  const perGroup = heads / groups;
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      let dt = v128.load_splat<f32>(delta);
      if (deltaBias) dt = f32x4.add(dt, v128.load_splat<f32>(deltaBias + (<usize>h << 2)));
      if (useSoftplus) dt = softplus(dt);
      dt = f32x4.pmin(f32x4.pmax(dt, f32x4.splat(deltaMin)), f32x4.splat(deltaMax));
      const decay = decayOf(f32x4.mul(dt, v128.load_splat<f32>(A + (<usize>h << 2))));
      const group = <usize>(b * groups + h / perGroup) * row;
      for (let p = 0; p < headDim; p++) {
        const ut = v128.load_splat<f32>(u);
        let sum = advance(state, B + group, C + group, next, decay, f32x4.mul(dt, ut), dState);
        if (D) sum += load<f32>(D + (<usize>(h * skipWidth + (skipWidth === 1 ? 0 : p)) << 2)) * load<f32>(u);
        store<f32>(y, z ? sum * f32x4.extract_lane(silu(v128.load_splat<f32>(z)), 0) : sum);
        u += 4;
        y += 4;
        if (z) z += 4;
        state += row;
        next += row;
      }
      delta += 4;
    }
  }
}

/** Advances the states of one channel and returns Σ C·h. */
function advance(state: usize, B: usize, C: usize, next: usize, decay: v128, input: v128, dState: i32): f32 {
  let sum = f32x4.splat(0);
  for (let n = 0; n < dState; n += 4) {
    const count = dState - n;
    const at = <usize>n << 2;
    let h = f32x4.add(f32x4.mul(decay, load4(state + at, count)), f32x4.mul(input, load4(B + at, count)));
    if (count < 4) h = v128.and(h, lanes4(count)); // beyond the last state ∞·0 may be
    store4(next + at, h, count);
    sum = f32x4.add(sum, f32x4.mul(load4(C + at, count), h));
  }
  return sum4(sum);
}
