/** Rounds of training on one model, and what a folder remembers of them. */
import {accessSync, constants, existsSync, readFileSync, statSync} from 'node:fs';
import {mkdir} from 'node:fs/promises';
import {dirname, relative, resolve} from 'node:path';
import {writeWhole} from '../nodeStaging';
import {UsageError} from './io';

/** What is known of a run, beside its model: `run.json`. */
interface Run {
  round: number;
  step: number;
  steps: number;
  /** Whether it ended before, since it got no better. */
  ended?: boolean;
  /** The flags it was begun with (`settings.ts`). */
  settings?: Record<string, unknown>;
  /** The `tfjs-mamba launch` that began it, if one did. */
  launch?: string;
}

/** Whether a run was stopped on its way. */
export function isStopped({step, steps, ended}: Run): boolean {
  return step < steps && !ended;
}

/** Is the same for all processes that one `tfjs-mamba launch` starts, those after a restart too. */
export const launched = (): string | undefined => process.env['TFJS_MAMBA_LAUNCH'];

/** The run of a folder, if it holds one. */
export function savedRun(folder: string): Run | undefined {
  const file = `${folder}/run.json`;
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Run) : undefined;
}

/**
 * How far the run of a folder is, if the launch that this process is of has begun it: then the process has been started once more, and
 * goes on whatever its flags say of a run that is there.
 */
export function restarted(folder: string): 'stopped' | 'ended' | undefined {
  const run = savedRun(folder);
  if (run?.launch === undefined || run.launch !== launched()) return undefined;
  return isStopped(run) ? 'stopped' : 'ended';
}

/**
 * Whether a folder that nobody asked to go on from holds a run that was stopped.
 *
 * @param further The flags that train a finished one further.
 * @param flag The one that names the folder.
 * @throws UsageError if there is work in it that would be lost.
 */
export function goesOn(folder: string, further: string, flag = '--out'): boolean {
  const shown = show(folder);
  const run = savedRun(folder);
  if (run === undefined) {
    if (!holdsModel(folder)) return false;
    throw new UsageError(
      `${shown} holds a model, but no run of this job; --force trains over it, ${flag} takes another folder`,
    );
  }
  if (isStopped(run)) return true;
  throw new UsageError(
    `${shown} holds a run that has ended after ${run.step} steps; ${further} trains it for a further round, --force starts anew ` +
      `over it, ${flag} takes another folder`,
  );
}

/**
 * @param writes Whether it is to be written to.
 * @throws UsageError if it cannot be a folder, or not one to write to: it, or one above it, is a file or not this user's to write in.
 */
export function checkFolder(folder: string, flag: string, writes = true): void {
  let path = resolve(folder);
  while (!existsSync(path) && path !== dirname(path)) path = dirname(path);
  if (!statSync(path).isDirectory())
    throw new UsageError(`${flag} ${folder} must be a folder, or a place for one, but ${show(path)} is a file`);
  if (!writes) return;
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
  } catch (error) {
    const why = (error as Error).message;
    throw new UsageError(`${flag} ${folder} must be a folder, or a place for one, that can be written to: ${why}`);
  }
}

/** Whether there is a model or an adapter in it. */
export function holdsModel(folder: string): boolean {
  return ['config.json', 'adapter_config.json'].some((file) => existsSync(`${folder}/${file}`));
}

/** A folder as one would type it. */
export function show(folder: string): string {
  const path = relative(process.cwd(), folder) || '.';
  return path.startsWith('..') ? folder : path;
}

/** What one round of training is. */
export interface RoundPlan {
  /** 0 for the first. */
  number: number;
  steps: number;
  /** The peak learning rate's factor: a trained model is disturbed less. */
  rate: number;
  /** Whether it goes on in the middle. */
  resumes: boolean;
}

/** One round of training. */
export interface Round extends RoundPlan {
  /** Notes how far it came, and whether it ended there before its time. */
  write(step: number, ended?: boolean): Promise<void>;
}

/** The round to train: the interrupted one, or the one after the last. */
export function findRound(folder: string, goesOn: boolean, steps: number): RoundPlan {
  const last = goesOn ? savedRun(folder) : undefined;
  const resumes = last !== undefined && isStopped(last);
  const number = !goesOn ? 0 : resumes ? last.round : (last?.round ?? 0) + 1;
  return {number, steps: resumes ? last.steps : steps, rate: number === 0 ? 1 : 0.25, resumes};
}

/** The round with its note in the folder, of which `settings` are part. */
export function withNote(folder: string, plan: RoundPlan, settings?: Run['settings']): Round {
  const file = `${folder}/run.json`;
  const {number: round, steps} = plan;
  return {
    ...plan,
    async write(step, ended) {
      await mkdir(folder, {recursive: true});
      // In one piece: a run whose note is cut off could not go on.
      const run: Run = {round, step, steps, ended, settings, launch: launched()};
      await writeWhole(file, JSON.stringify(run));
    },
  };
}

/** Both at once. */
export async function rounds(
  folder: string,
  goesOn: boolean,
  steps: number,
  settings?: Run['settings'],
): Promise<Round> {
  return withNote(folder, findRound(folder, goesOn, steps), settings);
}
