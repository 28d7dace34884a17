/**
 * What the main job is asked to do. Imported first: a wrong option, or a question for help, ends the process before TensorFlow is loaded,
 * which takes seconds and prints lines of its own.
 */
import type {Job} from './options';
import {help, readJob, UsageError} from './options';

export const job = readJobOrEnd();

/** Ends the process where help was asked for, or what was asked for cannot be done. */
function readJobOrEnd(): Job {
  try {
    const job = readJob(process.argv.slice(2));
    if (job) return job;
    console.log(help);
    process.exit(0);
  } catch (error) {
    end(error);
  }
}

/** Ends the process with what went wrong in one line. */
export function end(error: unknown): never {
  console.error(`npm start: ${(error as Error).message}`);
  process.exit(error instanceof UsageError ? 2 : 1);
}
