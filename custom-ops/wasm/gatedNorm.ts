/** The gated root-mean-square norm of Mamba-2: a row is a group of channels. */
import {load4, narrow, store4} from './vector';
import {sigmoid, silu, siluSlope} from './functions';
import {normRow, normRowGrad} from './norm';

/** to = from·silu(z), of a row. */
function gateRow(from: usize, z: usize, to: usize, width: i32): void {
  for (let d = 0; d < width; d += 4) {
    const at = <usize>d << 2;
    store4(to + at, f32x4.mul(load4(from + at, width - d), silu(load4(z + at, width - d))), width - d);
  }
}

/** `rows` of all groups; z may be 0. */
export function gatedRmsNorm(
  x: usize, weight: usize, z: usize, y: usize, rows: i32, groups: i32, width: i32, normBeforeGate: bool, epsilon: f64,
): void {
  const row = <usize>width << 2;
  for (let i = 0; i < rows; i++) {
    const w = weight + <usize>(i % groups) * row;
    if (z && !normBeforeGate) {
      gateRow(x, z, y, width);
      normRow(y, w, y, width, epsilon);
    } else {
      normRow(x, w, y, width, epsilon);
      if (z) gateRow(y, z, y, width);
    }
    x += row;
    y += row;
    if (z) z += row;
  }
}

/** `wide`: a double per channel of all groups; `gated`: a row of floats. */
export function gatedRmsNormGrad(
  x: usize, weight: usize, z: usize, dy: usize, dx: usize, dWeight: usize, dz: usize, wide: usize, gated: usize,
  rows: i32, groups: i32, width: i32, normBeforeGate: bool, epsilon: f64,
): void {
  const row = <usize>width << 2;
  memory.fill(wide, 0, (<usize>groups * row) << 1);
  for (let i = 0; i < rows; i++) {
    const at = <usize>(i % groups) * row;
    const w = weight + at;
    const sums = wide + (at << 1);
    if (z && !normBeforeGate) {
      gateRow(x, z, gated, width);
      normRowGrad(gated, w, dy, 0, dx, sums, width, epsilon);
      throughGate(x, z, dx, dz, width);
    } else if (z) {
      gateRow(dy, z, gated, width);
      const scale = normRowGrad(x, w, gated, 0, dx, sums, width, epsilon);
      gateGradient(x, w, z, dy, dz, <f32>scale, width);
    } else {
      normRowGrad(x, w, dy, 0, dx, sums, width, epsilon);
    }
    x += row;
    dy += row;
    dx += row;
    if (z) {
      z += row;
      dz += row;
    }
  }
  narrow(wide, dWeight, groups * width);
}

/** From the gradient of x·silu(z), in dx, to those of x and z. */
function throughGate(x: usize, z: usize, dx: usize, dz: usize, width: i32): void {
  for (let d = 0; d < width; d += 4) {
    const at = <usize>d << 2;
    const count = width - d;
    const gate = load4(z + at, count);
    const open = sigmoid(gate);
    const dr = load4(dx + at, count);
    store4(dz + at, f32x4.mul(f32x4.mul(dr, load4(x + at, count)), siluSlope(gate, open)), count);
    store4(dx + at, f32x4.mul(dr, f32x4.mul(gate, open)), count);
  }
}

/** The gradient of z where it gates the normed row. */
function gateGradient(x: usize, weight: usize, z: usize, dy: usize, dz: usize, scale: f32, width: i32): void {
  const factor = f32x4.splat(scale);
  for (let d = 0; d < width; d += 4) {
    const at = <usize>d << 2;
    const count = width - d;
    const gate = load4(z + at, count);
    const normal = f32x4.mul(f32x4.mul(load4(x + at, count), factor), load4(weight + at, count));
    store4(dz + at, f32x4.mul(f32x4.mul(load4(dy + at, count), normal), siluSlope(gate, sigmoid(gate))), count);
  }
}
