/**
 * `bench -- streaming`: what it takes to hear digits while they are spoken, by the classifier of models/digits, for each tenth of a second of
 * sound; and how that depends on how much is computed at a time.
 */
import * as tf from '@tensorflow/tfjs';
import {HOP} from '../models/digits/frames';
import {Listener} from '../models/digits/listen';
import {digitModel} from '../models/digits/models';
import {RATE} from '../models/digits/recording';
import {drawNormal} from '../src/draw';
import {printTable} from './timing';

const SECONDS = 5;

/** The time does not depend on what the weights are. */
export async function benchStreaming(): Promise<void> {
  const model = digitModel('mamba', {seed: 1});
  console.log(
    `digits, ${model.countParams().toLocaleString('en')} parameters, on ${tf.getBackend()}: ${SECONDS} s of sound as it comes in`,
  );
  const rows = [
    ['computed at a time', 'ms per 0.1 s of sound, median', 'slowest', 'of real time', 'processor time, of real time'],
  ];
  for (const frames of [1, 5, 50]) {
    const listener = new Listener(model, {frames});
    const tenth = RATE / 10;
    const sound = drawNormal(SECONDS * RATE, 0.1, 1);
    await listener.hear(sound.subarray(0, tenth));
    const times: number[] = [];
    const before = process.cpuUsage();
    for (let at = tenth; at < sound.length; at += tenth) {
      const start = performance.now();
      await listener.hear(sound.subarray(at, at + tenth));
      times.push(performance.now() - start);
    }
    const {user, system} = process.cpuUsage(before);
    const share = (user + system) / 1e6 / (times.length / 10);
    times.sort((a, b) => a - b);
    const median = times[times.length >> 1];
    const name = `${frames} frames, ${(1e3 * frames * HOP) / RATE} ms`;
    rows.push([
      name,
      median.toFixed(1),
      times.at(-1)!.toFixed(1),
      `${(median / 100).toFixed(3)} times`,
      `${share.toFixed(3)} times`,
    ]);
    listener.dispose();
  }
  printTable(rows);
  model.dispose();
}
