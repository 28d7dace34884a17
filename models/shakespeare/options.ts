/** The options of `npm start`, and where its work is: what is there is gone on from, and never trained over unasked. */
import {existsSync} from 'node:fs';
import {fileURLToPath} from 'node:url';
import {parseArgs} from 'node:util';
import {UsageError} from '../../src/cli/io';
import {goesOn, savedRun, show} from '../../src/cli/rounds';
import {recipe} from './recipe';

export {UsageError} from '../../src/cli/io';
export {show} from '../../src/cli/rounds';

/** What to do. */
export interface Job {
  folder: string;
  /** Steps of a new round. */
  steps: number;
  /** Whether it goes on from what the folder holds. */
  goesOn: boolean;
}

const standard = fileURLToPath(new URL('../../runs/shakespeare', import.meta.url));

export const help = `Usage: npm start -- [options]

Trains a character model on Shakespeare, measures it, lets it write, and saves it. A run that was stopped goes on where it stopped; one
that has ended stays as it is, unless told otherwise.

  --from <folder>   go on from the run in this folder: where it stopped, or with a further round if it has ended
  --out <folder>    the folder of the run (${show(standard)})
  --steps <number>  steps of a new round (${recipe.steps})
  --force           start anew, over the run that is in the folder
  --help            this text`;

/**
 * @returns undefined if help was asked for.
 * @throws UsageError
 */
export function readJob(args: readonly string[]): Job | undefined {
  const {from, out, steps: given, force, help: asked} = parse(args);
  const steps = given ?? String(recipe.steps);
  if (asked) return undefined;
  if (!/^[1-9]\d{0,8}$/.test(steps)) throw new UsageError(`--steps must be a positive whole number, but is '${steps}'`);
  if (from !== undefined && (out !== undefined || force)) {
    throw new UsageError(`--from goes on in the folder that it names; leave out ${force ? '--force' : '--out'}`);
  }
  const folder = from ?? out ?? standard;
  const job = {
    folder,
    steps: Number(steps),
    goesOn: from === undefined ? !force && goesOn(folder, `--from ${show(folder)}`) : checked(folder),
  };
  const run = job.goesOn ? savedRun(folder) : undefined;
  if (given !== undefined && run && run.step < run.steps && run.steps !== job.steps) {
    throw new UsageError(
      `${show(folder)} holds a run that was stopped on its way to ${run.steps} steps, which its learning rate follows; leave out --steps, ` +
        `or start anew with --out ${show(folder)} --force`,
    );
  }
  return job;
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        from: {type: 'string'},
        out: {type: 'string'},
        steps: {type: 'string'},
        force: {type: 'boolean'},
        help: {type: 'boolean', short: 'h'},
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split('. ')[0]}; npm start -- --help lists the options`);
  }
}

/** That there is something to go on from. */
function checked(folder: string): true {
  if (!existsSync(folder)) throw new UsageError(`--from ${folder}: there is no such folder`);
  if (!existsSync(`${folder}/config.json`)) throw new UsageError(`--from ${folder}: the folder holds no model`);
  return true;
}
