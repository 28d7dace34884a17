/**
 * Configuration of the jasmine command, which scripts/runTests.ts starts once for each backend. TFJS_MAMBA_SPECS says
 * whether this process runs the specs of a backend ('backend', the default) or those that run a single time ('once').
 */
import {requestedBackend} from './backend';
import {countingReporter} from './counts';
import {slowestReporter} from './slowest';
import {specFiles, type SpecGroup} from './specs';

const group: SpecGroup = process.env['TFJS_MAMBA_SPECS'] === 'once' ? 'once' : 'backend';

export default {
  spec_dir: 'test',
  helpers: ['support/setup.ts'],
  spec_files: specFiles(group, requestedBackend()),
  env: {
    random: true,
    failSpecWithNoExpectations: true,
    forbidDuplicateNames: true,
    stopSpecOnExpectationFailure: false,
  },
  defaultReporter: {
    randomSeedReproductionCmd: (seed: string) =>
      group === 'once' ? `npm test -- --seed ${seed}` : `npm test -- --backend ${requestedBackend()} --seed ${seed}`,
  },
  reporters: [slowestReporter(console.log), countingReporter((counts) => process.send?.(counts))],
};
