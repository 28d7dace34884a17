/** What the model is and how it is trained; the numbers are those that reach the loss of the card in a few minutes on wasm. */
import {existsSync} from 'node:fs';
import {mkdir, readFile, writeFile} from 'node:fs/promises';

export const model = {dModel: 64, nLayer: 2, dState: 8};

export const data = {
  /** The part at the end of the text that is kept for the measurement. */
  heldOut: 0.1,
  /** Long rows: the cost is linear, and every character sees what came before. */
  evaluation: {batchSize: 4, length: 1024},
};

export const recipe = {
  seed: 1,
  steps: 1500,
  batchSize: 16,
  length: 96,
  peak: 8e-3,
  /** Part of the steps. */
  warmup: 0.05,
  floor: 1e-4,
  weightDecay: 0.1,
  clipNorm: 1,
  checkpointEvery: 250,
  sample: {prompt: 'ROMEO:\n', shown: 400, counted: 2000, temperature: 0.7},
};

/** What is known of a run, beside its model: `run.json`. */
interface Run {
  round: number;
  step: number;
  steps: number;
}

/** One round of training. */
export interface Round {
  /** 0 for the first. */
  number: number;
  steps: number;
  /** The peak learning rate's factor: a trained model is disturbed less. */
  rate: number;
  /** Whether it goes on in the middle. */
  resumes: boolean;
  /** Notes how far it came. */
  write(step: number): Promise<void>;
}

/** The round to train: the interrupted one, or the one after the last. */
export async function rounds(folder: string, goesOn: boolean, steps: number): Promise<Round> {
  const file = `${folder}/run.json`;
  const last: Run | undefined =
    goesOn && existsSync(file) ? (JSON.parse(await readFile(file, 'utf8')) as Run) : undefined;
  const resumes = last !== undefined && last.step < last.steps;
  const number = !goesOn ? 0 : resumes ? last.round : (last?.round ?? 0) + 1;
  const total = resumes ? last.steps : steps;
  return {
    number,
    steps: total,
    rate: number === 0 ? 1 : 0.25,
    resumes,
    async write(step) {
      await mkdir(folder, {recursive: true});
      await writeFile(file, JSON.stringify({round: number, step, steps: total} satisfies Run));
    },
  };
}
