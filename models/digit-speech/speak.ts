/**
 * Spoken digits out of the model, as sound. Which digit it is changes little of what each sample is likely to be, and a model that knows
 * sound well may hardly heed it; so what the digit changes is weighed more (classifier-free guidance, Ho & Salimans 2021): beside each row
 * runs one of the same samples that is told no digit.
 */
import * as tf from '@tensorflow/tfjs';
import type {MambaLM} from '../../src/node';
import {sampleToken} from '../../src/lm/sampling';
import {Random} from '../../src/random';
import type {Recording} from '../digits/recording';
import {ANY, decodeSample, END, promptOf} from './tokens';

export interface SpeakOptions {
  temperature: number;
  /** How often what the digit changes is counted: with 1 the model speaks as it has learned to. */
  guidance: number;
  seed: number;
  /** Samples, at which a row that has not ended is cut. */
  longest: number;
}

/** What the model says to each prompt, all side by side. */
export async function speak(
  model: MambaLM,
  prompts: ReadonlyArray<Pick<Recording, 'digit' | 'speaker'>>,
  {temperature, guidance, seed, longest}: SpeakOptions,
): Promise<Recording[]> {
  const random = new Random(seed);
  const choose = (row: Float32Array) => sampleToken(row, {temperature}, new Set(), () => random.uint32() / 2 ** 32);
  const said: number[][] = prompts.map(() => []);
  const ended = prompts.map(() => false);
  const told = prompts.map(promptOf);
  let {logits, state} = model.prefill([...told, ...told.map(([, ...rest]) => [ANY, ...rest])]);
  for (let i = 0; i < longest && ended.includes(false); i++) {
    const guided = tf.tidy(() => {
      const [digit, none] = tf.split(logits, 2);
      return digit.sub(none).mul(guidance).add(none);
    });
    const scores = await guided.data<'float32'>();
    const width = logits.shape[1];
    const ids = prompts.map((_, row) => choose(scores.subarray(row * width, (row + 1) * width)));
    ids.forEach((id, row) => {
      ended[row] ||= id === END;
      // An early model may say what is no sample; it is silence.
      if (!ended[row]) said[row].push(id < 256 ? decodeSample(id) : 0);
    });
    const next = model.step([...ids, ...ids], state);
    tf.dispose([guided, logits, state]);
    ({logits, state} = next);
  }
  tf.dispose([logits, state]);
  return prompts.map(({digit, speaker}, i) => ({digit, speaker, index: i, samples: Float32Array.from(said[i])}));
}
