/**
 * Sound as tokens: the digit, the speaker, every sample in 8 bits of μ-law (ITU-T G.711's curve with μ = 255, 256 equal steps of it), and
 * an end.
 */
import * as tf from '@tensorflow/tfjs';
import type {BatchDataset, Json, TokenBatch} from '../../src/node';
import type {RandomState} from '../../src/random';
import {Random} from '../../src/random';
import type {Recording} from '../digits/recording';
import {speakers} from '../digits/recording';
import {UNASKED} from '../support/episodes';

const STEPS = 256;
const MU = 255;

/** The samples come first, so that a token below 256 is one. */
export const digitToken = (digit: number): number => STEPS + digit;
export const speakerToken = (speaker: number): number => STEPS + 10 + speaker;
export const END = STEPS + 10 + speakers.length;
/** In the place of a digit: none is asked for. Where no sample stands, the end can say that too. */
export const ANY = END;
export const vocabSize = END + 1;

/** @param sample From -1 to 1. */
export function encodeSample(sample: number): number {
  const loud = Math.log1p(MU * Math.min(1, Math.abs(sample))) / Math.log1p(MU);
  return Math.round(((Math.sign(sample) * loud + 1) / 2) * (STEPS - 1));
}

export function decodeSample(token: number): number {
  const curve = (2 * token) / (STEPS - 1) - 1;
  return (Math.sign(curve) * Math.expm1(Math.abs(curve) * Math.log1p(MU))) / MU;
}

/** What a recording's tokens begin with. */
export const promptOf = ({digit, speaker}: Pick<Recording, 'digit' | 'speaker'>): number[] => [
  digitToken(digit),
  speakerToken(speaker),
];

/** The samples' largest becomes this, since speakers stood at all distances from the microphone. */
const PEAK = 0.7;

/** All tokens of a recording, of which the samples are played at another speed and as another sign. */
export function tokensOf(recording: Recording, speed = 1, sign = 1): Int32Array {
  const {samples} = recording;
  const gain = (sign * PEAK) / samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 1e-4);
  const length = Math.floor((samples.length - 1) / speed);
  const tokens = new Int32Array(length + 3);
  tokens.set(promptOf(recording));
  for (let i = 0; i < length; i++) {
    const before = Math.floor(i * speed);
    const between = i * speed - before;
    tokens[2 + i] = encodeSample(gain * (samples[before] + between * (samples[before + 1] - samples[before])));
  }
  tokens[length + 2] = END;
  return tokens;
}

/** A batch of recordings, each from its beginning, as long as the longest but no longer than `longest` tokens, by the 256. */
export function speechBatch(rows: readonly Int32Array[], longest: number): TokenBatch {
  const needed = 256 * Math.ceil((Math.max(...rows.map((row) => row.length)) - 1) / 256);
  const length = Math.min(longest, needed);
  const [ids, labels] = [new Int32Array(rows.length * length), new Int32Array(rows.length * length).fill(UNASKED)];
  rows.forEach((row, i) => {
    ids.set(row.subarray(0, length), i * length);
    // Who speaks is not asked.
    labels.set(row.subarray(2, length + 1), i * length + 1);
  });
  const shape: [number, number] = [rows.length, length];
  return {xs: tf.tensor2d(ids, shape, 'int32'), ys: tf.tensor2d(labels, shape, 'int32')};
}

/** One in so many recordings is learned as one of {@link ANY} digit, so that a speaker can weigh what the digit changes. */
const UNTOLD = 8;

/** Endless batches of recordings of about one length at speeds that differ a little. */
export function speechBatches(
  recordings: readonly Recording[],
  {batchSize, seed, longest}: {batchSize: number; seed: number; longest: number},
): BatchDataset<TokenBatch> {
  const byLength = [...recordings].sort((a, b) => a.samples.length - b.samples.length);
  const groups = Math.floor(byLength.length / batchSize);
  return {
    iterator: async (state) => {
      const random = new Random((state as RandomState | undefined) ?? seed);
      return {
        next: async () => {
          const first = Math.floor((random.below(groups) * byLength.length) / groups);
          const rows = byLength.slice(first, first + batchSize).map((recording) => {
            const [speed, sign] = [0.92 + 0.16 * (random.uint32() / 2 ** 32), random.below(2) === 0 ? 1 : -1];
            const tokens = tokensOf(recording, speed, sign);
            if (random.below(UNTOLD) === 0) tokens[0] = ANY;
            return tokens;
          });
          return {done: false, value: speechBatch(rows, longest)};
        },
        state: (): Json => random.state,
      };
    },
  };
}
