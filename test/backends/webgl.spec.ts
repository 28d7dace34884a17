/**
 * What only the `webgl` backend has: limits of textures, devices without float32 textures, and contexts that are lost. The specs of the
 * ops, layers and models run on it too.
 */
import * as tf from '@tensorflow/tfjs';
import {layers} from '../../src';
import {convCase} from '../ops/cases/causalConv1d';
import type {ScanParams} from '../ops/cases/selectiveScan';
import {scanCase} from '../ops/cases/selectiveScan';
import {anyOp, compareWithReference} from '../ops/opUnderTest';
import {withFlag} from '../support/flags';
import {expectSurvival, scanOnes} from './gpu';

interface WebGLBackend extends tf.KernelBackend {
  gpgpu: {gl: WebGL2RenderingContext};
}

/** The context of the current backend. */
const context = () => (tf.backend() as WebGLBackend).gpgpu.gl;

describe('textures of no more than 64×64', () => {
  withFlag('WEBGL_MAX_TEXTURE_SIZE', 64);

  const sequence = {batch: 2, length: 75, channels: 8, hasBias: true, hasInitialState: true, seed: 1};
  const scan: ScanParams = {
    ...{...sequence, dState: 5, hasD: true, hasZ: true, deltaSoftplus: true, decay: 'usual'},
    ...{formB: 'sequence', formC: 'grouped', groupsB: 0, groupsC: 1},
  };

  for (const [op, testCase] of [
    [anyOp(scanCase), scanCase.build(scan)],
    [anyOp(convCase), convCase.build({...sequence, width: 4, activation: 'silu'})],
  ] as const) {
    it(`hold longer sequences for ${op.op}, folded`, async () => {
      const allocate = spyOn(context(), 'texStorage2D').and.callThrough();
      expect(await compareWithReference(op, testCase, 1)).toEqual([]);
      const edges = allocate.calls.allArgs().flatMap(([, , , width, height]) => [width, height]);
      expect(edges.length).toBeGreaterThan(0);
      expect(Math.max(...edges)).toBeLessThanOrEqual(64);
    });
  }

  it('do not hold what has more elements, which is said, and nothing is left behind', () => {
    const tensors = tf.memory().numTensors;
    const dataIds = tf.backend().numDataIds();
    expect(() => scanOnes(5003, 7)).toThrowError(
      /^selectiveScan: no texture of this device is large enough: .*\[64x64\]\. Use a smaller batch/,
    );
    expect(tf.memory().numTensors).toBe(tensors);
    expect(tf.backend().numDataIds()).toBe(dataIds);
  });
});

describe('a device with half-float textures only', () => {
  withFlag('WEBGL_RENDER_FLOAT32_ENABLED', false);

  it('is refused, forward and in training', async () => {
    const reason = /this device has only half-float textures to write to, but the kernels need float32; use wasm$/;
    expect(() => scanOnes(3, 2)).toThrowError(reason);
    const model = tf.sequential({layers: [layers.mamba({dState: 2, inputShape: [5, 4]})]});
    model.compile({optimizer: 'sgd', loss: 'meanSquaredError'});
    const x = tf.ones([1, 5, 4]);
    await expectAsync(model.fit(x, x, {verbose: 0})).toBeRejectedWithError(reason);
    model.dispose();
    x.dispose();
  });
});

describe('a WebGL context that is lost', () => {
  const name = 'webgl with a context of its own';
  let before: string;

  beforeEach(async () => {
    before = tf.getBackend();
    const Backend = tf.backend().constructor as new (canvas: OffscreenCanvas) => WebGLBackend;
    tf.registerBackend(name, () => new Backend(new OffscreenCanvas(1, 1)), 0);
    if (tf.getKernelsForBackend(name).length === 0) tf.copyRegisteredKernels(before, name);
    await tf.setBackend(name);
  });

  afterEach(async () => {
    tf.removeBackend(name);
    await tf.setBackend(before);
  });

  /** Loses the context of the current backend; resolves when the page has been told. */
  async function lose(): Promise<WEBGL_lose_context> {
    const gl = context();
    const extension = gl.getExtension('WEBGL_lose_context')!;
    const told = new Promise((resolve) => gl.canvas.addEventListener('webglcontextlost', resolve, {once: true}));
    extension.loseContext();
    await told;
    await new Promise((resolve) => setTimeout(resolve)); // until all listeners have been told
    return extension;
  }

  it('is reported by kernels and by reads, also by one under way, and when the browser has given it back', async () => {
    const [first, second, third] = [scanOnes(20, 3), scanOnes(20, 3), scanOnes(20, 3)];
    const atHand = await first.y.data();
    const gl = context();
    const pending = second.y.data();
    const [extension] = await Promise.all([
      lose(),
      expectAsync(pending).toBeRejectedWithError(/^data: the WebGL context was lost: .*restartBackend\(\)/),
    ]);
    expect(() => scanOnes(20, 3)).toThrowError(/^selectiveScan: the WebGL context was lost: .*restartBackend\(\)/);

    const restored = new Promise((resolve) => gl.canvas.addEventListener('webglcontextrestored', resolve));
    extension.restoreContext();
    await restored;
    expect(gl.isContextLost()).toBeFalse();
    expect(() => scanOnes(20, 3)).toThrowError(/the WebGL context was lost/);
    expect(() => third.y.dataSync()).toThrowError(/^dataSync: the WebGL context was lost/);
    await expectAsync(third.y.data()).toBeRejectedWithError(/the WebGL context was lost/);
    expect(await first.y.data()).toEqual(atHand);
    tf.dispose([first, second, third]);
  });

  it('is survived: on a new one a model predicts what it did, and trains', async () => {
    await expectSurvival(async ({predict}) => {
      await lose();
      await expectAsync(predict()).toBeRejectedWithError(/the WebGL context was lost/);
    }, context);
  });
});
