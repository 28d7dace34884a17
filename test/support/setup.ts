/** Loaded by jasmine before the specs: starts the backend, and holds every spec to it. */
import * as tf from '@tensorflow/tfjs';
import '../../src/kernels/all';
import {assertBackend, requestedBackend, startBackend, watchForGpuErrors} from './backend';

const backend = requestedBackend();
await startBackend(backend);
const platform = typeof document === 'undefined' ? `Node ${process.version}` : 'Chromium';
console.log(`Specs run on backend ${tf.getBackend()} (TensorFlow.js ${tf.version_core}, ${platform})`);

// Only against a spec that hangs: the slowest take half a minute, and many times that on a machine that does other work.
jasmine.DEFAULT_TIMEOUT_INTERVAL = 300_000;

const gpuErrors = watchForGpuErrors();

afterEach(async () => {
  assertBackend(backend);
  const errors = await gpuErrors();
  if (errors.length > 0) fail(`The GPU reported: ${errors[0]}`);
});
