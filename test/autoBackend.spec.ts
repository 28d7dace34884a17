/** The choice of a backend by trying. */
import * as tf from '@tensorflow/tfjs';
import {autoBackend} from '../src/autoBackend';

const order = ['webgpu', 'webgl', 'tensorflow', 'wasm', 'cpu'];

describe('autoBackend', () => {
  let before: string;
  beforeEach(() => (before = tf.getBackend()));
  afterEach(async () => {
    await tf.setBackend(before);
  });

  it('takes the first backend that is loaded and computes right, and says why', async () => {
    const tensors = tf.memory().numTensors;
    const {backend, reason, tried} = await autoBackend();
    expect(tf.getBackend()).toBe(backend);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(tried.map((trial) => trial.backend)).toEqual(order.slice(0, tried.length));
    expect(tried.map(({works}) => works)).toEqual([...tried.slice(1).map(() => false), true]);
    expect(order.indexOf(backend)).toBeLessThanOrEqual(order.indexOf(before));
    expect(reason).toMatch(new RegExp(`^${backend}: one scan and its gradient came out right`));
  });

  it('passes over a backend that computes something else', async () => {
    const broken = (await autoBackend()).backend;
    const {kernelFunc, ...kernel} = tf.getKernel('SelectiveScan', broken);
    tf.unregisterKernel('SelectiveScan', broken);
    tf.registerKernel({
      ...kernel,
      kernelFunc: (params) => {
        const [y, ...rest] = kernelFunc(params) as tf.TensorInfo[];
        return [tf.zeros(y.shape), ...rest];
      },
    });
    const warn = spyOn(console, 'warn');
    try {
      if (broken === 'cpu') {
        // There is nothing behind it.
        await expectAsync(autoBackend()).toBeRejectedWithError(
          /^autoBackend: no backend works: .*cpu: computes the scan wrong/,
        );
      } else {
        const {backend, reason} = await autoBackend();
        expect(order.indexOf(backend)).toBeGreaterThan(order.indexOf(broken));
        expect(reason).toContain(`${broken}: computes the scan wrong`);
      }
    } finally {
      tf.unregisterKernel('SelectiveScan', broken);
      tf.registerKernel({...kernel, kernelFunc});
    }
    expect(warn).not.toHaveBeenCalledWith(jasmine.stringContaining('composed'));
  });
});
