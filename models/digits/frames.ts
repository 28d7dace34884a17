/**
 * Recordings as what the models read: frames of raw samples, one every two milliseconds; and what training does to a recording so that
 * none is heard twice alike.
 */
import * as tf from '@tensorflow/tfjs';
import type {BatchDataset, Json} from '../../src/node';
import {drawNormal} from '../../src/draw';
import type {RandomState} from '../../src/random';
import {Random} from '../../src/random';
import type {Recording} from './recording';

/** Samples from one frame to the next, and in a frame: each holds the 48 before it too. */
export const HOP = 16;
export const FRAME = 64;
/** Recordings are quiet, and this brings them about where weights start. */
const GAIN = 4;

/** How many frames so many samples give. */
export const framesOf = (samples: number): number => Math.ceil(samples / HOP);

/** Writes the frames of samples to `target`, one behind the other; before the first sample and behind the last is silence. */
export function writeFrames(samples: Float32Array, target: Float32Array): void {
  for (let frame = 0; frame < framesOf(samples.length); frame++) {
    writeFrame(samples, (frame + 1) * HOP - FRAME, target.subarray(frame * FRAME, (frame + 1) * FRAME));
  }
}

/** Writes the frame that begins at a sample, which may lie before the first. */
export function writeFrame(samples: Float32Array, first: number, target: Float32Array): void {
  for (let i = Math.max(0, -first); i < FRAME && first + i < samples.length; i++) target[i] = GAIN * samples[first + i];
}

/** Frames [B,T,FRAME] of recordings that are followed by silence, and for each [B,2] its digit and which share of the frames is its own. */
export interface DigitBatch {
  xs: tf.Tensor3D;
  ys: tf.Tensor2D;
}

/** A batch; T is a multiple of 32, so that there are few shapes. */
export function batchOf(recordings: ReadonlyArray<Pick<Recording, 'digit' | 'samples'>>): DigitBatch {
  const counts = recordings.map(({samples}) => framesOf(samples.length));
  const length = 32 * Math.ceil(Math.max(...counts) / 32);
  const frames = new Float32Array(recordings.length * length * FRAME);
  const labels = new Float32Array(2 * recordings.length);
  recordings.forEach(({digit, samples}, row) => {
    writeFrames(samples, frames.subarray(row * length * FRAME, (row + 1) * length * FRAME));
    labels.set([digit, counts[row] / length], 2 * row);
  });
  return {
    xs: tf.tensor3d(frames, [recordings.length, length, FRAME]),
    ys: tf.tensor2d(labels, [recordings.length, 2]),
  };
}

/** A number from 0 to below 1. */
const unit = (random: Random): number => random.uint32() / 2 ** 32;
const between = (random: Random, low: number, high: number): number => low + (high - low) * unit(random);

/** Of a recording: another speed and pitch, loudness, sign and place, less of its ends, noise, and a gap. */
export function augment(recording: Recording, random: Random, longest: number): Pick<Recording, 'digit' | 'samples'> {
  const {digit, samples: source} = recording;
  const speed = between(random, 0.88, 1.14);
  const start = Math.floor(between(random, 0, 0.04) * source.length);
  const end = source.length - Math.floor(between(random, 0, 0.04) * source.length);
  const lead = Math.floor(between(random, 0, 320));
  const length = Math.min(longest, lead + Math.floor((end - start - 1) / speed));
  const gain = Math.exp(between(random, -0.8, 0.8)) * (unit(random) < 0.5 ? -1 : 1);
  const noise = unit(random) < 0.5 ? Math.exp(between(random, -8, -5)) : 0;
  const samples = noise > 0 ? drawNormal(length, noise, random.uint32()) : new Float32Array(length);
  for (let i = lead; i < length; i++) {
    const at = start + (i - lead) * speed;
    const before = Math.floor(at);
    samples[i] += gain * (source[before] + (at - before) * (source[before + 1] - source[before]));
  }
  if (unit(random) < 0.3) {
    const gap = Math.floor(between(random, 0, 0.12) * length);
    const from = Math.floor(between(random, 0, length - gap));
    samples.fill(0, from, from + gap);
  }
  return {digit, samples};
}

/** Endless batches of augmented recordings, of about one length each, which saves padding. */
export function digitBatches(
  recordings: readonly Recording[],
  {batchSize, seed, longest}: {batchSize: number; seed: number; longest: number},
): BatchDataset<DigitBatch> {
  const byLength = [...recordings].sort((a, b) => a.samples.length - b.samples.length);
  const count = byLength.length;
  return {
    iterator: async (state) => {
      const random = new Random((state as RandomState | undefined) ?? seed);
      return {
        next: async () => {
          // Neighbours in length, of which a half is taken; mirrored at the ends, where all are taken as often.
          const middle = random.below(count);
          const pick = () => {
            const place = middle + random.below(2 * batchSize) - batchSize;
            const inside = place < 0 ? -1 - place : place < count ? place : 2 * count - 1 - place;
            return byLength[Math.min(Math.max(inside, 0), count - 1)];
          };
          const rows = Array.from({length: batchSize}, () => augment(pick(), random, longest));
          return {done: false, value: batchOf(rows)};
        },
        state: (): Json => random.state,
      };
    },
  };
}
