/**
 * Runs the specs of a backend in headless Chromium. scripts/runTests.ts starts it as it starts the jasmine command, with the same
 * arguments and the same environment, and it hands over the same counts.
 */
import {parseArgs} from 'node:util';
import {requestedBackend} from './backend';
import type {SpecCounts} from './counts';
import {inChromium} from './inChromium';

const {values: options, positionals: files} = parseArgs({
  allowPositionals: true,
  options: {filter: {type: 'string'}, seed: {type: 'string'}},
});

const code = [
  `import './test/support/setup';`,
  ...files.map((file) => `import './${file}';`),
  `import {execute} from './test/support/page';`,
  `await execute(${JSON.stringify(options.filter ?? null)}, ${JSON.stringify(options.seed ?? null)});`,
].join('\n');
const filtered = options.filter === undefined ? [] : [`--filter=${options.filter}`];

const passedOn = ['TFJS_MAMBA_RANDOM_CASES', 'TFJS_MAMBA_SLOWEST'].filter((name) => process.env[name] !== undefined);
const env = {
  TFJS_MAMBA_BACKEND: requestedBackend(),
  ...Object.fromEntries(passedOn.map((name) => [name, process.env[name]!])),
};
const counts = await inChromium<SpecCounts>(code, env, filtered);
process.send?.(counts);
