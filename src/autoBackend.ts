/**
 * The choice of a backend, by trying: `tf.setBackend` says false, or nothing, about a GPU that cannot be used, a driver may compile a
 * kernel and compute something else, and what is called a GPU may be the processor.
 */
import * as tf from '@tensorflow/tfjs';
import type {MaybeGpuBackend} from './backends/softwareGpu';
import {softwareGpu} from './backends/softwareGpu';
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
  /** Every backend that was looked at, in order, with what came of it; the last one was taken. */
  tried: {backend: string; works: boolean; reason: string}[];
}

const RIGHT = 'one scan and its gradient came out right';

/**
 * Starts the first of webgpu, webgl, tensorflow, wasm and cpu that is loaded, starts, and computes one selective scan and its gradient
 * right. A GPU done in software (SwiftShader, llvmpipe) is slower than wasm, and only taken if nothing but cpu is left. To have it all the
 * same, call `tf.setBackend` instead.
 *
 * @throws Error if none does; the message says what was wrong with each.
 */
export async function autoBackend(): Promise<BackendChoice>;
export async function autoBackend(name?: unknown): Promise<BackendChoice> {
  if (typeof name === 'string') {
    throw new Error(
      `autoBackend: it takes no name, as it is what chooses; await tf.setBackend('${name}') starts that one`,
    );
  }
  const tried: BackendChoice['tried'] = [];
  const left: string[] = [...candidates];
  const putOff = new Set<string>();
  for (let backend = left.shift(); backend !== undefined; backend = left.shift()) {
    const problem = await problemStarting(backend);
    const renderer = problem === undefined ? softwareGpu(tf.backend() as MaybeGpuBackend) : undefined;
    if (renderer !== undefined && !putOff.has(backend)) {
      putOff.add(backend);
      left.splice(left.indexOf('cpu'), 0, backend);
      tried.push({backend, works: false, reason: `put off, as a GPU in software (${renderer})`});
      continue;
    }
    const wrong = problem ?? (await problemComputing());
    tried.push({backend, works: wrong === undefined, reason: wrong ?? RIGHT});
    if (wrong === undefined) {
      const others = tried.slice(0, -1).map(({backend: name, reason}) => `${name}: ${reason}`);
      const before = others.length > 0 ? `; before it, ${others.join('; ')}` : '';
      return {backend, reason: `${backend}: ${RIGHT}${before}`, tried};
    }
  }
  const problems = tried.map(({backend, reason}) => `${backend}: ${reason}`).join('; ');
  throw new Error(`autoBackend: no backend works: ${problems}`);
}

/** Starts a backend; what is wrong, or undefined. */
async function problemStarting(backend: string): Promise<string | undefined> {
  if (!tf.findBackendFactory(backend)) {
    return 'not loaded';
  }
  return orProblem(async () =>
    (await tf.setBackend(backend)) && tf.getBackend() === backend ? undefined : 'does not start',
  );
}

/** Tries the current backend; what is wrong, or undefined. */
export function problemComputing(): Promise<string | undefined> {
  return orProblem(async () => {
    const error = await scanError();
    return error <= TOLERANCE ? undefined : `computes the scan wrong, by ${error.toExponential(1)}`;
  });
}

async function orProblem(look: () => Promise<string | undefined>): Promise<string | undefined> {
  try {
    return await look();
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
