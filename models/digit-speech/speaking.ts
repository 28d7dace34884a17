/**
 * `npm run reproduce -- speak`: lets the model speak each digit by each speaker, as WAV files, and asks the classifier of models/digits what
 * it hears.
 */
import {mkdir, writeFile} from 'node:fs/promises';
import {fileURLToPath} from 'node:url';
import {fromPretrained} from '../../src/node';
import {hear} from '../digits/evaluate';
import {RATE, speakers} from '../digits/recording';
import {machine, readOptions, startJob} from '../support/job';
import {loadLayers} from '../support/layersFiles';
import {writeWav} from '../support/wav';
import {speak} from './speak';

const name = 'speak';
const options = {
  seed: {help: 'of the draw', value: 1},
  takes: {help: 'of each digit by each speaker', value: 1},
  temperature: {help: 'of the draw, in hundredths', value: 90},
  guidance: {help: 'how often what the digit changes is counted, in hundredths', value: 200},
  longest: {help: 'samples after which a recording is cut, 8,000 a second', value: 4000},
};

const folder = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export async function reproduce(args: readonly string[]): Promise<void> {
  const given = readOptions(name, args, options, ['mamba']);
  if (!given) return;
  const {seed, takes, longest, out} = given;
  const [temperature, guidance] = [given.temperature / 100, given.guidance / 100];
  await startJob(given);
  const model = await fromPretrained(given.data ?? folder('.'));
  const judge = await loadLayers(folder('../digits'));
  const prompts = Array.from({length: takes * 10 * speakers.length}, (_, i) => {
    return {digit: i % 10, speaker: Math.floor(i / 10) % speakers.length};
  });
  const start = performance.now();
  const said = await speak(model, prompts, {temperature, guidance, seed, longest});
  const seconds = (performance.now() - start) / 1e3;
  await mkdir(out, {recursive: true});
  for (const [i, {digit, speaker, samples}] of said.entries()) {
    const take = Math.floor(i / (10 * speakers.length));
    await writeFile(`${out}/${digit}_${speakers[speaker]}_${take}.wav`, writeWav({samples, rate: RATE}));
  }
  const heard = await hear(judge, said);
  const recognised = said.filter(({digit}, i) => digit === heard[i]).length / said.length;
  const ended = said.filter(({samples}) => samples.length < longest).length;
  console.log(
    `${said.length} spoken in ${seconds.toFixed(0)} s, of which ${ended} ended by themselves; ` +
      `the classifier hears ${(100 * recognised).toFixed(1)} % of the digits`,
  );
  const result = {seed, takes, temperature, guidance, longest, seconds, ended, recognised, heard, machine: machine()};
  await writeFile(`${out}/result.json`, `${JSON.stringify(result, null, 2)}\n`);
  model.dispose();
  judge.dispose();
}
