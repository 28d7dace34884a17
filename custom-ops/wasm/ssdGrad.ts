/**
 * Mamba-2's scan, backwards: chunk by chunk from the end, from the kept state S at its start and the gradient E of the state at its
 * end. With M the mixing matrix, g the gradient of y before the gate, and decays f from the start and e to the end:
 *
 *     dx = Mᵀg + e·BE    dC = f·gS + dM·B    dB = e·xE + dMᵀ·C    E of the chunk before = whole·E + (f·g)Cᵀ
 *
 * where dM = (g xᵀ)·within. The gradient of log a_t is the sum of all that crosses from before t to t or after: pairs of positions,
 * from the start, to the end, and from start to end. Sums over time and batch are float64.
 */
import {VECTOR, addWide4, load4, narrow, store4, sum4} from './vector';
import {sigmoid, siluSlope, softplus} from './functions';
import {ALL, LOWER, UPPER, multiply, padded, transpose} from './multiply';
import {
  B, C, CHUNK, LINE, chunkBytes, dot, enterGroup, enterHead, enterSkip, fromStart, layOutChunk, loadRows, loadState, mixing,
  products, raw, scale, scaleRows, skip, step, storeRows, storeState, toEnd, within, x,
} from './ssdChunk';

// Where things lie in scratch, set once per call; P' and N' are padded.
let carried: usize; // [H][N'][P']: E
let state: usize; // [N'][P']: S
let other: usize; // a matrix that lies the other way
let g: usize; // [Q][P']
let out: usize; // [Q][P']: y before skip connection and gate
let dx: usize; // [Q][P']
let through: usize; // [Q]: the gradient of log a
let dStep: usize; // [Q]: that of the step size but for what goes through A
let pairs: usize; // [Q][Q]: g xᵀ
let dM: usize; // [Q][Q], of a group
let dRow: usize; // [Q][N']: f·gS
let sumB: usize; // [Q][N'], of a group
let sumC: usize;
let wideA: usize; // float64 [H]
let wideBias: usize;
let wideD: usize; // float64 [H][P']

/** Bytes of scratch that `ssdGrad` takes. */
export function ssdGradBytes(heads: i32, headDim: i32, dState: i32): usize {
  const rowP = <usize>padded(headDim) << 2;
  const rowN = <usize>padded(dState) << 2;
  const matrix = <usize>padded(dState) * rowP;
  const others = max(matrix, <usize>CHUNK * rowP);
  const wide = <usize>heads * (2 * rowP + 2 * 8);
  return chunkBytes(headDim, dState) + <usize>(heads + 1) * matrix + others + <usize>CHUNK * (3 * rowP + 3 * rowN + 2 * LINE) +
    2 * LINE + wide;
}

function layOut(scratch: usize, heads: i32, headDim: i32, dState: i32): void {
  const rowP = <usize>padded(headDim) << 2;
  const rowsN = LINE * <usize>padded(dState);
  const rowsP = <usize>CHUNK * rowP;
  const matrix = <usize>padded(dState) * rowP;
  wideA = layOutChunk(scratch, headDim, dState);
  wideBias = wideA + (<usize>heads << 3);
  wideD = wideBias + (<usize>heads << 3);
  carried = wideD + 2 * <usize>heads * rowP;
  state = carried + <usize>heads * matrix;
  other = state + matrix;
  g = other + max(matrix, rowsP);
  out = g + rowsP;
  dx = out + rowsP;
  through = dx + rowsP;
  dStep = through + LINE;
  pairs = dStep + LINE;
  dM = pairs + <usize>CHUNK * LINE;
  dRow = dM + <usize>CHUNK * LINE;
  sumB = dRow + rowsN;
  sumC = sumB + rowsN;
  memory.fill(wideA, 0, sumC + rowsN - wideA);
}

/** Pointers of absent inputs are 0; gradients as the inputs. */
export function ssdGrad(
  u: usize, delta: usize, A: usize, rowsB: usize, rowsC: usize, D: usize, z: usize, deltaBias: usize, states: usize,
  dy: usize, dFinalState: usize,
  du: usize, dDelta: usize, dA: usize, dB: usize, dC: usize, dD: usize, dz: usize, dBias: usize, dInitial: usize,
  scratch: usize, batch: i32, length: i32, heads: i32, headDim: i32, groups: i32, dState: i32, skipWidth: i32,
  useSoftplus: bool, deltaMin: f32, deltaMax: f32,
): void {
  const rowP = <usize>padded(headDim) << 2;
  const matrix = <usize>padded(dState) * rowP;
  const size = <usize>(headDim * dState) << 2;
  const strideB = <usize>(groups * dState) << 2;
  const perGroup = heads / groups;
  const chunks = (length + CHUNK - 1) / CHUNK;
  layOut(scratch, heads, headDim, dState);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      loadState(dFinalState + <usize>(b * heads + h) * size, headDim, dState, carried + <usize>h * matrix);
    }
    for (let c = chunks - 1; c >= 0; c--) {
      const start = c * CHUNK;
      const steps = min(CHUNK, length - start);
      const first = <usize>(b * length + start);
      for (let h = 0; h < heads; h++) {
        const group = first * strideB + (<usize>(h / perGroup * dState) << 2);
        if (h % perGroup === 0) {
          enterGroup(rowsB + group, rowsC + group, strideB, steps, dState);
          memory.fill(dM, 0, <usize>CHUNK * LINE);
          memory.fill(sumB, 0, 2 * LINE * <usize>padded(dState));
        }
        const at = (first * <usize>heads + <usize>h) << 2;
        const from = at * <usize>headDim;
        const bias: f32 = deltaBias ? load<f32>(deltaBias + (<usize>h << 2)) : 0;
        const a = load<f32>(A + (<usize>h << 2));
        const kept = states + (<usize>(b * chunks + c) * <usize>heads + <usize>h) * size;
        loadRows(kept, <usize>headDim << 2, dState, headDim, state);
        const whole = enterHead(u + from, delta + at, a, bias, heads, headDim, steps, useSoftplus, deltaMin, deltaMax);
        if (D) enterSkip(D, h, headDim, skipWidth);
        headBack(
          u + from, z ? z + from : 0, dy + from, du + from, z ? dz + from : 0, h, carried + <usize>h * matrix, whole,
          heads, headDim, steps, dState,
        );
        finishSteps(dDelta + at, h, a, heads, steps, useSoftplus, deltaMin, deltaMax);
        if ((h + 1) % perGroup === 0) {
          const rowN = <usize>padded(dState) << 2;
          multiply(true, LOWER, steps, steps, padded(dState), dM, LINE, 4, B, rowN, sumC, rowN);
          multiply(true, UPPER, steps, steps, padded(dState), dM, 4, LINE, C, rowN, sumB, rowN);
          storeRows(sumB, steps, dState, dB + group, strideB);
          storeRows(sumC, steps, dState, dC + group, strideB);
        }
      }
    }
    for (let h = 0; h < heads && dInitial; h++) {
      storeState(carried + <usize>h * matrix, headDim, dState, dInitial + <usize>(b * heads + h) * size);
    }
  }
  narrow(wideA, dA, heads);
  if (dBias) narrow(wideBias, dBias, heads);
  for (let h: usize = 0; h < <usize>heads && dD; h++) {
    const sums = wideD + 2 * h * rowP;
    if (skipWidth === headDim) {
      narrow(sums, dD + ((h * <usize>headDim) << 2), headDim);
    } else {
      let sum: f64 = 0;
      for (let p: usize = 0; p < <usize>headDim; p++) sum += load<f64>(sums + (p << 3));
      store<f32>(dD + (h << 2), <f32>sum);
    }
  }
}

/** One chunk of one head; `end` is E, which becomes that of the chunk before. Pointers are at the chunk's first row. */
function headBack(
  u: usize, z: usize, dy: usize, du: usize, dz: usize, h: i32, end: usize, whole: f32,
  heads: i32, headDim: i32, steps: i32, dState: i32,
): void {
  const width = padded(headDim);
  const rowP = <usize>width << 2;
  const widthN = padded(dState);
  const rowN = <usize>widthN << 2;
  const stride = <usize>(heads * headDim) << 2;
  if (z) {
    multiply(false, ALL, steps, dState, width, C, rowN, 4, state, rowP, out, rowP);
    scaleRows(out, steps, width, fromStart);
    multiply(true, LOWER, steps, steps, width, mixing, LINE, 4, x, rowP, out, rowP);
  }
  enterGradient(u, z, dy, dz, stride, headDim, steps);

  const fromEnd = whole * dot(state, end, widthN * width);
  for (let t: usize = 0; t < <usize>steps << 2; t += 4) store<f32>(through + t, fromEnd);
  transpose(CHUNK, width, x, rowP, other, LINE);
  multiply(false, ALL, steps, headDim, padded(steps), g, rowP, 4, other, LINE, pairs, LINE);
  addPairs(steps);

  multiply(false, ALL, steps, dState, width, B, rowN, 4, end, rowP, dx, rowP);
  scaleRows(dx, steps, width, toEnd);
  let earlier: f32 = 0;
  for (let t: usize = 1; t < <usize>steps; t++) {
    earlier += dot(x + (t - 1) * rowP, dx + (t - 1) * rowP, width);
    store<f32>(through + (t << 2), load<f32>(through + (t << 2)) + earlier);
  }
  multiply(true, UPPER, steps, steps, width, mixing, 4, LINE, g, rowP, dx, rowP);
  finishChannels(u, du, wideD + 2 * <usize>h * rowP, stride, headDim, steps);

  scaleRows(g, steps, width, fromStart);
  scaleRows(x, steps, width, toEnd);
  transpose(widthN, width, state, rowP, other, rowN);
  multiply(false, ALL, steps, headDim, widthN, g, rowP, 4, other, rowN, dRow, rowN);
  let later: f32 = 0;
  for (let t = steps - 1; t >= 0; t--) {
    later += dot(dRow + <usize>t * rowN, C + <usize>t * rowN, widthN);
    store<f32>(through + (<usize>t << 2), load<f32>(through + (<usize>t << 2)) + later);
  }
  for (let at: usize = 0; at < <usize>steps * rowN; at += VECTOR) {
    v128.store(sumC + at, f32x4.add(v128.load(sumC + at), v128.load(dRow + at)));
  }
  transpose(widthN, width, end, rowP, other, rowN);
  multiply(true, ALL, steps, headDim, widthN, x, rowP, 4, other, rowN, sumB, rowN);
  scale(end, widthN * width, whole);
  multiply(true, ALL, dState, steps, width, C, 4, rowN, g, rowP, end, rowP);
}

/** g, and the gradient of the gate. */
function enterGradient(u: usize, z: usize, dy: usize, dz: usize, stride: usize, headDim: i32, steps: i32): void {
  const row = <usize>padded(headDim) << 2;
  for (let t: usize = 0, at: usize = 0; t < <usize>steps; t++, at += stride) {
    for (let p = 0; p < headDim; p += 4) {
      const c = <usize>p << 2;
      const count = headDim - p;
      let gradient = load4(dy + at + c, count);
      if (z) {
        const gate = load4(z + at + c, count);
        const open = sigmoid(gate);
        const y = f32x4.add(v128.load(out + t * row + c), f32x4.mul(v128.load(skip + c), load4(u + at + c, count)));
        store4(dz + at + c, f32x4.mul(f32x4.mul(gradient, y), siluSlope(gate, open)), count);
        gradient = f32x4.mul(gradient, f32x4.mul(gate, open));
      }
      v128.store(g + t * row + c, gradient);
    }
  }
}

/**
 * Adds dM of the head to that of the group, and to the gradient of each log a_t what pairs j < t ≤ i put into it: the sum of the rows
 * from t on, as far as t.
 */
function addPairs(steps: i32): void {
  memory.fill(other, 0, LINE); // the sum of the rows
  for (let t = steps - 1; t >= 0; t--) {
    const row = <usize>t * LINE;
    for (let at: usize = 0; at <= <usize>t << 2; at += VECTOR) {
      const w = v128.load(within + row + at);
      const raised = f32x4.mul(w, v128.load(pairs + row + at));
      const d = v128.andnot(raised, f32x4.eq(w, f32x4.splat(0)));
      v128.store(dM + row + at, f32x4.add(v128.load(dM + row + at), d));
      v128.store(other + at, f32x4.add(v128.load(other + at), f32x4.mul(d, v128.load(products + row + at))));
    }
    let sum = f32x4.splat(0);
    for (let j = 0; j < t; j += 4) {
      sum = f32x4.add(sum, load4(other + (<usize>j << 2), t - j));
    }
    store<f32>(through + (<usize>t << 2), load<f32>(through + (<usize>t << 2)) + sum4(sum));
  }
}

/** du, and the gradient of the step size but for what goes through A; dD of the chunk is added to `wide`. */
function finishChannels(u: usize, du: usize, wide: usize, stride: usize, headDim: i32, steps: i32): void {
  const row = <usize>padded(headDim) << 2;
  memory.fill(dStep, 0, LINE);
  for (let p = 0; p < headDim; p += 4) {
    const c = <usize>p << 2;
    const count = headDim - p;
    let sum = f32x4.splat(0);
    for (let t: usize = 0, at = c; t < <usize>steps; t++, at += stride) {
      const gy = v128.load(g + t * row + c);
      const input = v128.load(dx + t * row + c);
      const ut = load4(u + at, count);
      const factor = v128.load_splat<f32>(step + (t << 2));
      store4(du + at, f32x4.add(f32x4.mul(input, factor), f32x4.mul(v128.load(skip + c), gy)), count);
      sum = f32x4.add(sum, f32x4.mul(gy, ut));
      store<f32>(dStep + (t << 2), load<f32>(dStep + (t << 2)) + sum4(f32x4.mul(input, ut)));
    }
    addWide4(wide + 2 * c, sum);
  }
}

/** From the gradients of the step size and of log a to dDelta; what the chunk adds to dA and to the gradient of the bias. */
function finishSteps(
  dDelta: usize, h: i32, a: f32, heads: i32, steps: i32, useSoftplus: bool, deltaMin: f32, deltaMax: f32,
): void {
  for (let t: usize = 0; t < <usize>steps << 2; t += VECTOR) {
    const biased = v128.load(raw + t);
    let d = f32x4.add(v128.load(dStep + t), f32x4.mul(v128.load(through + t), f32x4.splat(a)));
    if (useSoftplus) d = f32x4.mul(d, sigmoid(biased));
    const soft = useSoftplus ? softplus(biased) : biased;
    const outside = v128.or(f32x4.lt(soft, f32x4.splat(deltaMin)), f32x4.gt(soft, f32x4.splat(deltaMax)));
    v128.store(dStep + t, v128.andnot(d, outside));
  }
  let sumA: f64 = 0;
  let sumBias: f64 = 0;
  for (let t: usize = 0; t < <usize>steps << 2; t += 4, dDelta += <usize>heads << 2) {
    const d = load<f32>(dStep + t);
    store<f32>(dDelta, d);
    sumBias += <f64>d;
    sumA += <f64>load<f32>(step + t) * <f64>load<f32>(through + t);
  }
  const at = <usize>h << 3;
  store<f64>(wideA + at, load<f64>(wideA + at) + sumA);
  store<f64>(wideBias + at, load<f64>(wideBias + at) + sumBias);
}
