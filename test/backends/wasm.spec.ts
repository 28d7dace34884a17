/**
 * The SIMD modules of the `wasm` backend: that they are used, how exact its functions are, and that everything works without it. The specs
 * of the ops run on it too; these are the ones about the module itself, and start `wasm` themselves.
 */
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import {mamba} from '../../src/backends/wasm/binaries/mamba';
import {registerTypedArrayKernel} from '../../src/backends/typedArrays';
import {offerForm} from '../../src/backends/wasm/forms';
import type {WasmBackend} from '../../src/backends/wasm/heap';
import {simdFor} from '../../src/backends/wasm/simd';
import {causalConv1d, linear, selectiveScan} from '../../src/ops';
import {linearReference} from '../../src/ops/linear/reference';
import {selectiveScanReference} from '../../src/ops/selectiveScan/reference';
import {mapValues, normal, readAndDispose, seededRandom, toTensor, uniform} from '../support/arrays';
import {mismatches} from '../support/closeness';

const {exp, log1p, max, abs} = Math;

/** Runs `f` on a backend and goes back to the one before. */
async function onBackend<T>(name: string, f: () => T | Promise<T>): Promise<T> {
  const before = tf.getBackend();
  expect(await tf.setBackend(name)).toBeTrue();
  try {
    return await f();
  } finally {
    await tf.setBackend(before);
  }
}

/** Float32 numbers in [low, high], some of them close to 0. */
function sweep(low: number, high: number): Float32Array {
  const even = Float32Array.from({length: 20001}, (_, i) => low + ((high - low) * i) / 20000);
  const small = Float32Array.from({length: 200}, (_, i) => (i % 2 ? 1 : -1) * 10 ** (-i / 10));
  return Float32Array.from([...even, ...small]).filter((x) => x >= low && x <= high);
}

/** The largest error relative to the exact value. */
function worst(xs: Float32Array, actual: Float32Array, exact: (x: number) => number): number {
  return xs.reduce((error, x, i) => max(error, abs(actual[i] / exact(x) - 1)), 0);
}

/** y of one step of a scan with one state, for a channel per value of x. */
function oneStep(
  x: Float32Array,
  inputs: Record<'u' | 'delta' | 'A' | 'B' | 'initialState', Float32Array | number>,
  softplus: boolean,
) {
  const column = (value: Float32Array | number, shape: number[]) =>
    typeof value === 'number' ? tf.fill(shape, value) : tf.tensor(value, shape);
  const n = x.length;
  return onBackend('wasm', () =>
    tf.tidy(() =>
      selectiveScan({
        u: column(inputs.u, [1, 1, n]) as tf.Tensor3D,
        delta: column(inputs.delta, [1, 1, n]) as tf.Tensor3D,
        A: column(inputs.A, [n, 1]) as tf.Tensor2D,
        B: tf.fill([1, 1, 1], inputs.B as number),
        C: tf.ones([1, 1, 1]),
        initialState: column(inputs.initialState, [1, n, 1]) as tf.Tensor3D,
        deltaSoftplus: softplus,
      }).y.dataSync<'float32'>(),
    ),
  );
}

describe('the SIMD modules of wasm', () => {
  // Before a spec pretends that something is missing: TensorFlow.js looks only once.
  beforeAll(() => onBackend('wasm', () => {}));

  it('works on the memory of TensorFlow.js', async () => {
    const {wasm} = await onBackend('wasm', () => tf.backend() as unknown as WasmBackend);
    expect(simdFor(wasm, mamba)).toBeDefined();
    // In a page that is isolated from other origins, as those of the specs are, threads share it.
    const isShared = !((wasm.wasmMemory ?? wasm.asm.memory)!.buffer instanceof ArrayBuffer);
    expect(isShared).toBe(typeof crossOriginIsolated !== 'undefined' && crossOriginIsolated);
  });

  it('has a decay that is exact to its last digits', async () => {
    const x = sweep(-85, 85);
    const y = await oneStep(x, {u: 0, delta: 1, A: x, B: 0, initialState: 1}, false);
    // The exponent is a float32 product: what it rounds away grows with it.
    const relative = x.map((value, i) => abs(y[i] / exp(value) - 1) / (2e-7 + 1.3e-7 * abs(value)));
    expect(max(...relative)).toBeLessThan(1);
  });

  it('has a softplus that is exact to 4e-7 of its value, however small', async () => {
    const x = sweep(-80, 200);
    const y = await oneStep(x, {u: 1, delta: x, A: 0, B: 1, initialState: 0}, true);
    expect(worst(x, y, (value) => max(value, 0) + log1p(exp(-abs(value))))).toBeLessThan(4e-7);
  });

  it('has a sigmoid that is exact to 4e-7 of its value', async () => {
    const x = sweep(-80, 200).filter((value) => value !== 0);
    const y = await onBackend('wasm', () =>
      tf.tidy(() => {
        const args = {x: tf.tensor3d(x, [1, 1, x.length]), weight: tf.ones<tf.Rank.R2>([x.length, 1])};
        return causalConv1d({...args, activation: 'silu'}).y.dataSync<'float32'>();
      }),
    );
    expect(worst(x, y, (value) => value / (1 + exp(-value)))).toBeLessThan(4e-7);
  });

  it('multiplies matrices of any size and turn', async () => {
    const random = seededRandom(7);
    const sizes = [1, 2, 3, 4, 5, 7, 8, 9, 31, 257, 300];
    const wrong: string[] = [];
    // A decoded token's widest: more terms than are added up at once, and more columns.
    const wide = [
      [2, 513, 4101, 0],
      [1, 4101, 9, 1],
    ];
    for (let i = 0; i < 60 + wide.length; i++) {
      const drawn = [0, 1, 2].map(() => sizes[Math.floor(random() * sizes.length)]);
      const [rows, width, out, turned] = wide[i - 60] ?? drawn;
      const transposeKernel = turned === undefined ? random() < 0.5 : turned === 1;
      const inputs = {
        x: normal(random, [rows, width]),
        kernel: normal(random, transposeKernel ? [out, width] : [width, out]),
        ...(random() < 0.5 && {bias: normal(random, [out])}),
      };
      const y = await onBackend('wasm', () => {
        const tensors = mapValues(inputs, toTensor) as {x: tf.Tensor; kernel: tf.Tensor};
        const result = linear({...tensors, transposeKernel});
        tf.dispose(tensors);
        return readAndDispose({y: result});
      });
      const expected = linearReference(inputs, transposeKernel);
      wrong.push(...mismatches(y, {y: expected}, 2e-6).map((text) => `${rows}×${width}×${out}: ${text}`));
    }
    expect(wrong).toEqual([]);
  });

  it('says what to import where there is no SIMD and a page has no kernel that runs without', async () => {
    const name = 'ThisSpecsOwn';
    const run = () => onBackend('wasm', () => tf.engine().runKernel(name, {x: tf.zeros([2])}));
    offerForm(name, 'simd', () => undefined);
    await expectAsync(run()).toBeRejectedWithError(/^ThisSpecsOwn: .*no SIMD here; import 'tfjs-mamba\/backends\/cpu'/);
    registerTypedArrayKernel({
      kernelName: name,
      outputs: ([{shape}]) => [{shape: [...shape]}],
      compute: (_inputs, [y]) => void y.values.fill(3),
    });
    const [y] = (await run()) as unknown as tf.Tensor[];
    expect([...(await y.data())]).toEqual([3, 3]);
    tf.unregisterKernel(name, 'wasm');
    tf.unregisterKernel(name, 'cpu');
  });

  it('is done without where there is no SIMD, which is said once', async () => {
    const name = 'wasm without SIMD';
    tf.registerBackend(name, tf.findBackendFactory('wasm'));
    tf.copyRegisteredKernels('wasm', name);
    spyOn(WebAssembly, 'validate').and.returnValue(false);
    const warn = spyOn(console, 'warn');
    const random = seededRandom(3);
    const inputs = {
      u: normal(random, [2, 70, 5]),
      delta: uniform(random, [2, 70, 5], 0.01, 0.5),
      A: uniform(random, [5, 3], -2, -0.1),
      B: normal(random, [2, 70, 1, 3]),
      C: normal(random, [2, 70, 1, 3]),
    };
    const product = {x: normal(random, [9, 11]), kernel: normal(random, [6, 11])};
    try {
      const {y, finalState, xw} = await onBackend(name, () => {
        const tensors = mapValues(inputs, toTensor) as never;
        const factors = mapValues(product, toTensor) as {x: tf.Tensor; kernel: tf.Tensor};
        return readAndDispose({...selectiveScan(tensors), xw: linear({...factors, transposeKernel: true})});
      });
      const expected = {...selectiveScanReference(inputs, false), xw: linearReference(product, true)};
      expect(
        mismatches({y, finalState, xw}, {y: expected.y, finalState: expected.finalState, xw: expected.xw}, 1e-5),
      ).toEqual([]);
      expect(warn.calls.allArgs().flat().join('\n')).toMatch(/^tfjs-mamba: no SIMD kernels on wasm.*no SIMD here$/);
    } finally {
      tf.removeBackend(name);
    }
  });
});
