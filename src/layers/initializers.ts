/**
 * How the weights of a Mamba layer start (Gu & Dao 2023, section 3.6; state-spaces `mamba_simple.py`). The step sizes matter most:
 * dt starts between dtMin and dtMax, so that a channel remembers for about 1/dt steps.
 */
import * as tf from '@tensorflow/tfjs';

/** Makes the first value of a weight of the given shape. */
export type Initialize = (shape: number[]) => tf.Tensor;

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

/** U(±bound) */
export function uniform(bound: number, seed?: number): Initialize {
  return (shape) => tf.randomUniform(shape, -bound, bound, 'float32', seed);
}

/** What torch gives a linear map or a convolution: U(±1/√fanIn), its Kaiming uniform with a = √5. */
export function fanIn(inputs: number, seed?: number): Initialize {
  return uniform(1 / Math.sqrt(inputs), seed);
}

export const zeros: Initialize = (shape) => tf.zeros(shape);
export const ones: Initialize = (shape) => tf.ones(shape);

/** ln(1 … N) for every channel, so that A = −(1 … N): S4D-real. */
export const logRange: Initialize = ([channels, dState]) =>
  tf.tidy(() =>
    tf
      .range(1, dState + 1)
      .log()
      .expandDims(0)
      .tile([channels, 1]),
  );

/** The bias whose softplus is exp(U(ln dtMin, ln dtMax)), at least dtInitFloor: dt + ln(−expm1(−dt)). */
export function stepSizeBias(
  {dtMin, dtMax, dtInitFloor}: {dtMin: number; dtMax: number; dtInitFloor: number},
  seed?: number,
): Initialize {
  return (shape) =>
    tf.tidy(() => {
      const dt = tf.randomUniform(shape, Math.log(dtMin), Math.log(dtMax), 'float32', seed).exp().maximum(dtInitFloor);
      return dt.add(dt.neg().expm1().neg().log());
    });
}

/** A tfjs initializer; the layers' configuration says all there is to say of it, so it is never serialized. */
export function asInitializer(initialize: Initialize): Parameters<typeof tf.layers.dense>[0]['kernelInitializer'] {
  return {
    apply: initialize,
    getClassName: () => 'MambaInitializer',
    getConfig: () => ({}),
  } as unknown as ReturnType<typeof tf.initializers.zeros>;
}
