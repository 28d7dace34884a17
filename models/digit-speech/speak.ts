/** Spoken digits out of the model, as sound. */
import type {MambaLM} from '../../src/node';
import type {Recording} from '../digits/recording';
import {decodeSample, END, promptOf} from './tokens';

export interface SpeakOptions {
  temperature: number;
  seed: number;
  /** Samples, at which a row that has not ended is cut. */
  longest: number;
}

/** What the model says to each prompt, all side by side. */
export async function speak(
  model: MambaLM,
  prompts: ReadonlyArray<Pick<Recording, 'digit' | 'speaker'>>,
  {temperature, seed, longest}: SpeakOptions,
): Promise<Recording[]> {
  const said: number[][] = prompts.map(() => []);
  const stream = model.generate(prompts.map(promptOf), {
    maxNewTokens: longest,
    temperature,
    seed,
    stopTokens: [END],
  });
  for await (const {row, id} of stream) {
    // An early model may say what is no sample; it is silence.
    said[row].push(id < 256 ? decodeSample(id) : 0);
  }
  return prompts.map(({digit, speaker}, i) => ({digit, speaker, index: i, samples: Float32Array.from(said[i])}));
}
