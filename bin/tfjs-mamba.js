#!/usr/bin/env node
/**
 * The command of the package. `setup-native` and `launch` are done here, by Node alone, as they are what one needs before TensorFlow.js is
 * installed or anything is built; every other command is in src/cli, and built into dist/.
 */
import {existsSync, readFileSync} from 'node:fs';
import {parseArgs} from 'node:util';

const usage = `Usage: tfjs-mamba setup-native [--cuda] [--force]
       tfjs-mamba launch --workers N -- command…

setup-native gives TensorFlow.js in Node the fused Mamba kernels: finds or fetches TensorFlow, builds tfjs-node's binding for it and
the op library, and checks them by running an op. Repeat it after \`npm ci\` or \`npm install\`, which take tfjs-node out again; what has
been built once is kept.

  --cuda    the CUDA kernels too, with a TensorFlow for NVIDIA GPUs (needs the CUDA toolkit)
  --force   build anew
  TF_DIR    (environment) a folder with a TensorFlow of your own: libtensorflow*.so.2, also in lib/, and include/

launch runs a command as N processes on this machine that joinCluster makes one cluster of: each gets its TF_CONFIG and its share of
the cores. Their output comes with the rank before each line; when one fails, all end.`;

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
    const {values, positionals} = parse({workers: {type: 'string'}}, true);
    const workers = Number(values.workers);
    if (!Number.isInteger(workers) || workers < 1)
      misused(`--workers must be a whole number of 1 or more, but is ${values.workers}`);
    if (positionals.length === 0) misused('the command to launch is missing');
    const {launch} = await import('../scripts/launch.js');
    return launch(workers, positionals);
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
