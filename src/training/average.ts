/**
 * The running mean of the weights over the steps of training (EMA; Polyak & Juditsky 1992), which is often better than the last weights.
 * It starts quickly, as that of TensorFlow's ExponentialMovingAverage with `num_updates`: after t steps a mean keeps at most
 * (1+t)/(10+t) of itself, so that the start of training is soon forgotten.
 */
import * as tf from '@tensorflow/tfjs';
import type {NamedTensor} from './moments';

export class WeightAverage {
  private readonly means = new Map<string, tf.Tensor>();

  constructor(
    private readonly model: tf.LayersModel,
    private readonly decay: number,
  ) {}

  /** Takes in the weights after step t. */
  update(t: number): void {
    const decay = Math.min(this.decay, (1 + t) / (10 + t));
    for (const weight of this.model.trainableWeights) {
      const value = weight.read();
      const mean = this.means.get(weight.originalName);
      const next = tf.tidy(() => (mean ? mean.add(value.sub(mean).mul(1 - decay)) : value.clone()));
      mean?.dispose();
      this.means.set(weight.originalName, tf.keep(next));
    }
  }

  /** Runs something with the means in the place of the weights; before the first step, with the weights. */
  async inPlace<T>(work: () => Promise<T>): Promise<T> {
    const weights = this.model.trainableWeights.filter(({originalName}) => this.means.has(originalName));
    const own = weights.map((weight) => weight.read().clone());
    weights.forEach((weight) => weight.write(this.means.get(weight.originalName)!));
    try {
      return await work();
    } finally {
      weights.forEach((weight, i) => weight.write(own[i]));
      tf.dispose(own);
    }
  }

  /** By the names of the weights; the tensors are the average's own. */
  tensors(): NamedTensor[] {
    return [...this.means].map(([name, tensor]) => ({name, tensor}));
  }

  /** Takes copies of what `tensors` gave. */
  restore(means: readonly NamedTensor[]): void {
    this.dispose();
    for (const {name, tensor} of means) this.means.set(name, tf.keep(tensor.clone()));
  }

  dispose(): void {
    tf.dispose([...this.means.values()]);
    this.means.clear();
  }
}
