#!/usr/bin/env node
/** The command of the package: `npx tfjs-mamba setup-native [--cuda] [--force]`. */
import {setupNative} from '../scripts/native/setup.js';

const [command, ...options] = process.argv.slice(2);
const unknown = options.filter((option) => !['--cuda', '--force'].includes(option));

if (command !== 'setup-native' || unknown.length > 0) {
  if (unknown.length > 0) console.error(`Unknown option ${unknown.join(' ')}`);
  console.error(`Usage: tfjs-mamba setup-native [--cuda] [--force]

Gives TensorFlow.js in Node the fused Mamba kernels: finds or fetches TensorFlow, builds tfjs-node's binding for it and the op
library, and checks them by running an op. Repeat it after \`npm ci\` or \`npm install\`, which take tfjs-node out again; what has
been built once is kept.

  --cuda    the CUDA kernels too, with a TensorFlow for NVIDIA GPUs (needs the CUDA toolkit)
  --force   build anew
  TF_DIR    (environment) a folder with a TensorFlow of your own: libtensorflow*.so.2, also in lib/, and include/`);
  process.exit(command === '--help' ? 0 : 2);
}

try {
  await setupNative({cuda: options.includes('--cuda'), force: options.includes('--force')});
} catch (error) {
  console.error(`\ntfjs-mamba setup-native: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
