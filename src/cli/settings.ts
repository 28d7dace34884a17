/**
 * The flags that a run was begun with, kept beside it: who goes on with a stopped run need not say them again, and does not make another
 * of it by saying others.
 */
import type {Command} from 'commander';
import {UsageError} from './io';
import {isStopped, savedRun, show} from './rounds';

export type Settings = Record<string, unknown>;

/** Flags that say where a run is and how it is seen, or where what it reads lies, which may have moved. */
const aside =
  'config json backend force resume train test testBatches out adapterPath resumeAdapterFile model revision data gradCheckpoint ' +
  'cluster sequenceParallel shardOptimizer stepsPerReport saveEvery tensorboard';
const asides = new Set(aside.split(' '));

/** What of the flags makes a run what it is. */
export function settingsOf(flags: object): Settings {
  return Object.fromEntries(Object.entries(flags).filter(([name]) => !asides.has(name)));
}

/**
 * Flags as they were when the run that a folder holds was begun, if it was stopped; else as they are.
 *
 * @throws UsageError if one of them is said to be another now.
 */
export function settled<Flags extends {force?: boolean}>(command: Command, flags: Flags, folder: string): Flags {
  const run = savedRun(folder);
  if (flags.force || !run?.settings || !isStopped(run)) return flags;
  const result: Settings = {...flags};
  for (const option of command.options) {
    const name = option.attributeName();
    if (asides.has(name)) continue;
    const [now, before] = [result[name], run.settings[name]];
    const isSaid = ['cli', 'config'].includes(command.getOptionValueSource(name) ?? '');
    if (isSaid && JSON.stringify(now) !== JSON.stringify(before)) {
      const was = before === undefined ? `without ${option.long}` : `with ${option.long} ${String(before)}`;
      throw new UsageError(
        `${show(folder)} holds a run that was begun ${was} and stopped; leave out ${option.long} ${String(now)} to go on with it, or ` +
          'start anew with --force',
      );
    }
    result[name] = before;
  }
  return result as Flags;
}
