/**
 * The choice of a backend, by trying: `tf.setBackend` says false, or nothing, about a GPU that cannot be used, and a driver may compile a
 * kernel and compute something else.
 */
import * as tf from '@tensorflow/tfjs';
import {selectiveScan} from './ops';
import {selectiveScanGradReference, selectiveScanReference} from './ops/selectiveScan/reference';

/** The backends in the order of what to expect of them. */
const candidates = ['webgpu', 'webgl', 'tensorflow', 'wasm', 'cpu'] as const;

/** What {@link autoBackend} found. */
export interface BackendChoice {
  /** The backend now in use. */
  backend: string;
  /** Why it is this one, in a sentence: what it did, and what was wrong with those before it. */
  reason: string;
  /** Every backend that was tried, in order, with what came of it. */
  tried: {backend: string; works: boolean; reason: string}[];
}

/**
 * Starts the first of webgpu, webgl, tensorflow, wasm and cpu that is loaded, starts, and computes one selective scan and its gradient
 * right.
 *
 * @throws Error if none does; the message says what was wrong with each.
 */
export async function autoBackend(): Promise<BackendChoice> {
  const tried: BackendChoice['tried'] = [];
  for (const backend of candidates) {
    const problem = await problemWith(backend);
    tried.push({backend, works: problem === undefined, reason: problem ?? 'one scan and its gradient came out right'});
    if (problem === undefined) {
      const others = tried.slice(0, -1).map(({backend: name, reason}) => `${name}: ${reason}`);
      const before = others.length > 0 ? `; before it, ${others.join('; ')}` : '';
      return {backend, reason: `${backend}: one scan and its gradient came out right${before}`, tried};
    }
  }
  const problems = tried.map(({backend, reason}) => `${backend}: ${reason}`).join('; ');
  throw new Error(`autoBackend: no backend works: ${problems}`);
}

/** Starts a backend and tries it; what is wrong, or undefined. */
async function problemWith(backend: string): Promise<string | undefined> {
  if (!tf.findBackendFactory(backend)) {
    return 'not loaded';
  }
  try {
    if (!(await tf.setBackend(backend)) || tf.getBackend() !== backend) {
      return 'does not start';
    }
    const error = await scanError();
    return error <= TOLERANCE ? undefined : `computes the scan wrong, by ${error.toExponential(1)}`;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Relative to the largest value: a hundred times what a good backend does, and far below what a broken one does. */
const TOLERANCE = 1e-3;

/** Sizes that are no multiples of anything a kernel counts by. */
const [LENGTH, CHANNELS, STATES] = [37, 5, 3];

/** The largest error of a small scan and of its gradient by u. */
async function scanError(): Promise<number> {
  const wave = (shape: number[], speed: number, offset: number) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return {
      shape,
      values: Float64Array.from({length: size}, (_, i) => Math.fround(offset + 0.5 * Math.sin(speed * i))),
    };
  };
  const sequence = [1, LENGTH, CHANNELS];
  const inputs = {
    u: wave(sequence, 1.3, 0.2),
    delta: wave(sequence, 0.7, -0.5),
    A: wave([CHANNELS, STATES], 2.1, -1),
    B: wave([1, LENGTH, 1, STATES], 0.9, 0),
    C: wave([1, LENGTH, 1, STATES], 1.7, 0.1),
  };
  const dy = wave(sequence, 0.4, 0);
  const zero = {shape: [1, CHANNELS, STATES], values: new Float64Array(CHANNELS * STATES)};
  const expected = [
    selectiveScanReference(inputs, true).y.values,
    selectiveScanGradReference(inputs, true, dy, zero).u.values,
  ];
  const results = tf.tidy(() => {
    const tensor = ({shape, values}: {shape: number[]; values: Float64Array}) =>
      tf.tensor(Float32Array.from(values), shape);
    const {u, delta, A, B, C} = inputs;
    const rest = {delta: tensor(delta), A: tensor(A), B: tensor(B), C: tensor(C), deltaSoftplus: true};
    const scan = (x: tf.Tensor) => selectiveScan({u: x, ...rest} as Parameters<typeof selectiveScan>[0]).y;
    const x = tensor(u);
    return [scan(x), tf.grad((value: tf.Tensor) => scan(value).mul(tensor(dy)).sum())(x)];
  });
  const values = await Promise.all(results.map((result) => result.data()));
  tf.dispose(results);
  return Math.max(...expected.map((exact, i) => relativeError(values[i], exact)));
}

function relativeError(actual: ArrayLike<number>, exact: Float64Array): number {
  const scale = exact.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  const errors = Array.from(exact, (x, i) => Math.abs(actual[i] - x) / scale);
  return errors.every((error) => error >= 0) ? Math.max(...errors) : Infinity;
}
