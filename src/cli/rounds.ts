/** Rounds of training on one model, and what a folder remembers of them. */
import {existsSync, readFileSync} from 'node:fs';
import {mkdir, rename, writeFile} from 'node:fs/promises';

/** What is known of a run, beside its model: `run.json`. */
interface Run {
  round: number;
  step: number;
  steps: number;
}

/** The run of a folder, if it holds one. */
export function savedRun(folder: string): Run | undefined {
  const file = `${folder}/run.json`;
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Run) : undefined;
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
  const last = goesOn ? savedRun(folder) : undefined;
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
      // In one piece: a run whose note is cut off could not go on.
      await writeFile(`${file}.unfinished`, JSON.stringify({round: number, step, steps: total} satisfies Run));
      await rename(`${file}.unfinished`, file);
    },
  };
}
