/**
 * Hearing while it is spoken: samples come in pieces of any size, and after each the digit is known that the sound so far is most like. Only
 * the states of the blocks, the samples that the next frame shares with the last, and a sum of logits are kept.
 */
import * as tf from '@tensorflow/tfjs';
import {FRAME, HOP, writeFrame} from './frames';
import {digitModel} from './models';

export interface Heard {
  /** Which digit it is most like; undefined before the first frame is whole. */
  digit?: number;
  /** How likely each of the ten is. */
  probabilities: number[];
}

export class Listener {
  private readonly model: tf.Sequential;
  /** Samples of which the frames ahead are made. */
  private kept = new Float32Array(FRAME - HOP);
  private readonly sum = new Float64Array(10);
  private frames = 0;

  /**
   * @param trained A model of {@link digitModel}, of which this has a copy with states.
   * @param options How much is computed at a time.
   * @param options.frames Frames of a call of the model, 2 ms each: more at a time cost less, and are known later.
   */
  constructor(
    trained: tf.LayersModel,
    private readonly options: {frames: number},
  ) {
    this.model = digitModel('mamba', {streaming: {rows: 1, frames: options.frames}});
    this.model.setWeights(trained.getWeights());
  }

  /** Takes further samples; what does not fill a call of the model waits for the next ones. */
  async hear(samples: Float32Array): Promise<Heard> {
    const {frames} = this.options;
    const known = new Float32Array(this.kept.length + samples.length);
    known.set(this.kept);
    known.set(samples, this.kept.length);
    let read = 0;
    for (; known.length - read >= FRAME + (frames - 1) * HOP; read += frames * HOP) {
      const values = new Float32Array(frames * FRAME);
      for (let i = 0; i < frames; i++) writeFrame(known, read + i * HOP, values.subarray(i * FRAME, (i + 1) * FRAME));
      const sum = tf.tidy(() => {
        const logits = this.model.apply(tf.tensor3d(values, [1, frames, FRAME])) as tf.Tensor;
        return logits.sum(1);
      });
      (await sum.data()).forEach((value, digit) => (this.sum[digit] += value));
      sum.dispose();
      this.frames += frames;
    }
    this.kept = known.slice(read);
    return this.heard();
  }

  /** As before the first sample. */
  forget(): void {
    this.model.resetStates();
    this.kept = new Float32Array(FRAME - HOP);
    this.sum.fill(0);
    this.frames = 0;
  }

  dispose(): void {
    this.model.dispose();
  }

  private heard(): Heard {
    const logits = [...this.sum].map((value) => value / Math.max(1, this.frames));
    const highest = Math.max(...logits);
    const weights = logits.map((logit) => Math.exp(logit - highest));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    const digit = this.frames > 0 ? logits.indexOf(highest) : undefined;
    return {digit, probabilities: weights.map((weight) => weight / total)};
  }
}
