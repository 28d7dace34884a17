/**
 * A training run for killing.spec.ts to kill: a process of its own. It says `step N` after every step and checkpoint, `done` with the
 * bits of its weights, and with `slow`, when files are written piece by piece with time in between for a kill, `saving` before each save.
 *
 *     node killedRun.mjs <folder> <steps> fast|slow <the most steps of this process: it then waits to be killed>
 */
import fs from 'node:fs/promises';
import {syncBuiltinESMExports} from 'node:module';
import {setTimeout as pause} from 'node:timers/promises';
import * as tf from '@tensorflow/tfjs';
import '../../src/kernels/cpu';
import {MambaLM} from '../../src/lm/model';
import {adamW} from '../../src/training/adamW';
import {tokenWindows} from '../../src/training/data';
import {folderCheckpoints} from '../../src/training/nodeCheckpoints';
import {trainer} from '../../src/training/trainer';

const [folder, steps, speed, most] = process.argv.slice(2);
if (speed === 'slow') slowDownFiles();

let made = 0;
await tf.setBackend('cpu');
const model = new MambaLM({vocabSize: 5, dModel: 4, nLayer: 1, dState: 2}, {seed: 1});
const tokens = Array.from({length: 60}, (_, i) => (i * i + (i >> 2)) % 5);
await trainer(model, {optimizer: adamW({learningRate: 0.01}), gradientAccumulation: 2}).fit(
  tokenWindows(tokens, {batchSize: 2, length: 4, seed: 3}),
  {
    steps: Number(steps),
    reportEvery: 1000,
    checkpoint: {target: folderCheckpoints(folder), every: 1},
    callbacks: {
      onCheckpoint: async ({step}) => {
        await tell(`step ${step}`);
        if (++made === Number(most)) await new Promise(() => setInterval(() => {}, 1000));
      },
    },
  },
);
const weights = await Promise.all(model.getWeights().map((weight) => weight.data<'float32'>()));
const bits = weights.map(({buffer, byteOffset, byteLength}) =>
  Buffer.from(buffer, byteOffset, byteLength).toString('hex'),
);
await tell(`done ${bits.join(',')}`);

function tell(line: string): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${line}\n`, () => resolve()));
}

/** Every file takes some 15 ms, every other change to a folder 3. */
function slowDownFiles(): void {
  const {open, rename, rm, mkdir} = fs;
  const slow = <A extends unknown[], R>(call: (...args: A) => Promise<R>): ((...args: A) => Promise<R>) => {
    return async (...args) => {
      await pause(3);
      return call(...args);
    };
  };
  const patched = {
    rename: slow(rename),
    rm: slow(rm),
    mkdir: slow(async (...args: Parameters<typeof mkdir>) => {
      await tell('saving');
      return mkdir(...args);
    }) as never,
    open: async (...args: Parameters<typeof open>) => {
      const file = await open(...args);
      const write = file.write.bind(file) as (
        bytes: Uint8Array,
        from: number,
        length: number,
      ) => ReturnType<typeof file.write>;
      file.write = (async (bytes: Uint8Array, from = 0) => {
        await pause(3);
        return write(bytes, from, Math.min(bytes.length - from, Math.ceil(bytes.length / 4)));
      }) as unknown as typeof file.write;
      return file;
    },
  };
  Object.assign(fs, patched);
  syncBuiltinESMExports();
}
