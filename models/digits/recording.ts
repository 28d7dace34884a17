/** A recording of a digit, as its file's name and content say. */
import {readWav} from '../support/wav';

/** Samples per second. */
export const RATE = 8000;
export const speakers = ['george', 'jackson', 'lucas', 'nicolas', 'theo', 'yweweler'] as const;

export interface Recording {
  digit: number;
  /** Its place in {@link speakers}. */
  speaker: number;
  /** Which one of that digit and speaker. */
  index: number;
  samples: Float32Array;
}

/** Whether a recording is of the official test split. */
export const isForTest = ({index}: Recording): boolean => index < 5;

/** A recording of a file that is called `<digit>_<speaker>_<index>.wav`. */
export function parse(name: string, bytes: Uint8Array): Recording {
  const [, digit, speaker, index] = /^(\d)_(\w+)_(\d+)\.wav$/.exec(name) ?? [];
  const known = speakers.indexOf(speaker as (typeof speakers)[number]);
  if (known < 0)
    throw new Error(`${name}: expected <digit>_<speaker>_<index>.wav, of the speakers ${speakers.join(', ')}`);
  const {samples, rate} = readWav(bytes, name);
  if (rate !== RATE) throw new Error(`${name}: expected ${RATE} samples a second, but it has ${rate}`);
  return {digit: Number(digit), speaker: known, index: Number(index), samples};
}
