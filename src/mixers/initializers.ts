/**
 * How the weights of a Mamba layer start (Gu & Dao 2023, section 3.6; state-spaces `mamba_simple.py`). The step sizes matter most:
 * dt starts between dtMin and dtMax, so that a channel remembers for about 1/dt steps.
 */
import * as tf from '@tensorflow/tfjs';
import {filled, normalTensor, uniformTensor} from '../draw';

/** Makes the first value of a weight of the given shape. */
export type Start = (shape: readonly number[], seed?: number) => tf.Tensor;

/** A seed for the weight of that name: weights of one model differ, models of one seed are equal. FNV-1a. */
export function seedFor(seed: number | undefined, name: string): number | undefined {
  if (seed === undefined) {
    return undefined;
  }
  let hash = 0x811c9dc5;
  for (const char of `${seed}/${name}`) {
    hash = Math.imul(hash ^ char.charCodeAt(0), 0x01000193);
  }
  return hash >>> 0;
}

/** A start that can be made smaller as it is drawn. */
export type DivisibleStart = (shape: readonly number[], seed?: number, divisor?: number) => tf.Tensor;

/** U(±bound) */
export function uniform(bound: number): DivisibleStart {
  return (shape, seed, divisor = 1) => uniformTensor([...shape], -bound / divisor, bound / divisor, seed);
}

/** N(0, deviation²) */
export function normal(deviation: number): Start {
  return (shape, seed) => normalTensor([...shape], deviation, seed);
}

/** What torch gives a linear map or a convolution: U(±1/√fanIn), its Kaiming uniform with a = √5. */
export function fanIn(inputs: number): DivisibleStart {
  return uniform(1 / Math.sqrt(inputs));
}

export const zeros: Start = (shape) => tf.zeros([...shape]);
export const ones: Start = (shape) => tf.ones([...shape]);

/** ln(1 … N) for every channel, so that A = −(1 … N): S4D-real. */
export const logRange: Start = ([channels, dState]) => {
  const row = Float32Array.from({length: dState}, (_, n) => Math.log(n + 1));
  return filled([channels, dState], (values) => {
    for (let at = 0; at < values.length; at += dState) values.set(row, at);
  });
};

/** The bias whose softplus is exp(U(ln dtMin, ln dtMax)), at least dtInitFloor: dt + ln(−expm1(−dt)). */
export function stepSizeBias({dtMin, dtMax, dtInitFloor}: Record<'dtMin' | 'dtMax' | 'dtInitFloor', number>): Start {
  return (shape, seed) =>
    tf.tidy(() => {
      const drawn = tf.randomUniform([...shape], Math.log(dtMin), Math.log(dtMax), 'float32', seed);
      const dt = drawn.exp().maximum(dtInitFloor);
      return dt.add(dt.neg().expm1().neg().log());
    });
}

/** A tfjs initializer; the layers' configuration says all there is to say of it, so it is never serialized. */
export function asInitializer(
  initialize: (shape: number[]) => tf.Tensor,
): Parameters<typeof tf.layers.dense>[0]['kernelInitializer'] {
  return {
    apply: (shape: number[]) => initialize(shape), // tfjs gives the dtype as well, which is no seed
    getClassName: () => 'MambaInitializer',
    getConfig: () => ({}),
  } as unknown as ReturnType<typeof tf.initializers.zeros>;
}
