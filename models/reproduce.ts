/**
 * `npm run reproduce -- <name> [options]`: retrains a model from nothing and says what it reaches. `npm run reproduce -- <name> --help`
 * lists its options.
 */
import {UsageError} from './support/job';

const jobs: Record<string, () => Promise<{reproduce(args: readonly string[]): Promise<void>}>> = {
  'selective-copying': () => import('./selective-copying/train'),
  'induction-heads': () => import('./induction-heads/train'),
  writer: () => import('./writer/train'),
  scaling: () => import('./scaling/train'),
  dna: () => import('./dna/train'),
  splice: () => import('./dna/splice'),
  digits: () => import('./digits/train'),
  'digit-speech': () => import('./digit-speech/train'),
  speak: () => import('./digit-speech/speaking'),
  vowels: () => import('./vowels/train'),
  acsf1: () => import('./vowels/acsf1'),
  weather: () => import('./weather/train'),
};

const [name = '', ...args] = process.argv.slice(2);
try {
  if (!Object.hasOwn(jobs, name)) {
    throw new UsageError(`there is ${Object.keys(jobs).join(', ')}${name && `, but no ${name}`}`);
  }
  await (await jobs[name]()).reproduce(args);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`npm run reproduce: ${error.message}`);
  process.exitCode = 2;
}
