#!/usr/bin/env node
/**
 * The command of the package. `setup-native` and `launch` are done here, by Node alone, as they are what one needs before TensorFlow.js is
 * installed or anything is built; every other command is in src/cli, and built into dist/.
 */
import {existsSync, readFileSync} from 'node:fs';
import {parseArgs} from 'node:util';

const usage = `Usage: tfjs-mamba setup-native [--cuda] [--force]
       tfjs-mamba launch --workers N [--restart N] [--min-workers N] -- command…

setup-native gives TensorFlow.js in Node the fused Mamba kernels: finds or fetches TensorFlow, builds tfjs-node's binding for it and
the op library, and checks them by running an op. Repeat it after \`npm ci\` or \`npm install\`, which take tfjs-node out again; what has
been built once is kept.

  --cuda    the CUDA kernels too, with a TensorFlow for NVIDIA GPUs (needs the CUDA toolkit)
  --force   build anew
  TF_DIR    (environment) a folder with a TensorFlow of your own: libtensorflow*.so.2, also in lib/, and include/

launch runs a command as N processes on this machine that joinCluster makes one cluster of: each gets its TF_CONFIG and its share of
the cores. Their output comes with the rank before each line; when one fails, all end.

  --restart N       when a worker fails, start the group anew, up to N times: the command must go on from its last checkpoint, as
                    train and finetune with --cluster do
  --min-workers N   a worker that failed is not replaced as long as N others are left`;

const [command, ...rest] = process.argv.slice(2);
/** @type {Record<string, () => Promise<number>>} */
const commands = {
  'setup-native': async () => {
    const {values} = parse({cuda: {type: 'boolean', default: false}, force: {type: 'boolean', default: false}});
    const {setupNative} = await import('../scripts/native/setup.js');
    await setupNative(values);
    return 0;
  },
  launch: async () => {
    const numbers = {workers: {type: 'string'}, restart: {type: 'string'}, 'min-workers': {type: 'string'}};
    const {values, positionals} = parse(/** @type {Record<string, {type: 'string'}>} */ (numbers), true);
    const count = (/** @type {string} */ name, /** @type {number} */ least) => {
      const value = Number(values[name]);
      if (!Number.isInteger(value) || value < least)
        misused(`--${name} must be a whole number of ${least} or more, but is ${values[name]}`);
      return value;
    };
    const workers = count('workers', 1);
    const restarts = values.restart === undefined ? 0 : count('restart', 0);
    const minWorkers = values['min-workers'] === undefined ? workers : count('min-workers', 1);
    if (minWorkers > workers) misused(`--min-workers must be at most --workers, ${workers}, but is ${minWorkers}`);
    if (positionals.length === 0) misused('the command to launch is missing');
    const {launch} = await import('../scripts/launch.js');
    return launch(workers, positionals, {restarts, minWorkers});
  },
};

/**
 * @template {import('node:util').ParseArgsOptionsConfig} Options
 * @param {Options} options
 * @param {boolean} [allowPositionals]
 */
function parse(options, allowPositionals = false) {
  try {
    return parseArgs({args: rest, options, allowPositionals});
  } catch (error) {
    return misused(/** @type {Error} */ (error).message);
  }
}

/**
 * @param {string} problem
 * @returns {never}
 */
function misused(problem) {
  console.error(`tfjs-mamba ${command}: ${problem}\n${usage}`);
  process.exit(2);
}

/** All other commands, and what there is to say of all. */
async function builtCommands() {
  const main = new URL('../dist/cli/main.js', import.meta.url);
  if (!existsSync(main)) throw new Error('dist/ is missing; npm run build makes it');
  const {version} = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
  /** @type {typeof import('../src/cli/main')} */
  const built = await import(main.href);
  await built.main(process.argv.slice(2), version);
}

try {
  if (command === undefined || !Object.hasOwn(commands, command)) {
    await builtCommands();
  } else {
    // Help is asked for before what launch is to run, whose options are its own.
    const own = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : rest;
    if (own.includes('--help') || own.includes('-h')) process.stdout.write(`${usage}\n`);
    else process.exitCode = await commands[command]();
  }
} catch (error) {
  console.error(`\ntfjs-mamba ${command ?? ''}: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
