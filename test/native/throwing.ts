/**
 * Calls of an op whose tasks throw, on the caller's thread and on another; what each gives, a result that no memory
 * has room for, and whether the library's ops go on.
 */
import {execFileSync} from 'node:child_process';
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {loadNative} from '../../src/backends/nodeNative';
import type {NodeBackend} from '../../src/backends/tensorflow';
import {runNativeOp} from '../../src/backends/tensorflow';
import {rmsNorm} from '../../src/node';

await tf.setBackend('tensorflow');
const {loader, hint} = loadNative();
if (!loader) throw new Error(hint);
const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-'));
try {
  const source = (file: string) => fileURLToPath(new URL(`../../custom-ops/${file}`, import.meta.url));
  const files = ['test/throwing_op.cc', 'src/cpu/thread_pool.cc', 'src/tf/op.cc', 'src/tf/huge_pages.cc'];
  const options = ['-std=c++17', '-shared', '-fPIC', '-fvisibility=hidden', '-pthread'];
  const library = join(folder, 'throwing_op.so');
  const sources = [...files, 'src/arguments/call.cc'].map(source);
  // Under sanitize.sh this process has the sanitizers' runtime loaded, which the compiler's leaks do not concern.
  const env = {...process.env, LD_PRELOAD: ''};
  execFileSync(process.env['CXX'] ?? 'c++', [...options, ...sources, '-o', library], {env});
  loader.load(library);
} finally {
  rmSync(folder, {recursive: true});
}

const backend = tf.backend() as unknown as NodeBackend;
const errors = ['none', 'memory', 'other'];

/** What the op gives: the number of tasks that were run, or the error's message. */
function call(error: string, onWorker: boolean): number | string {
  try {
    const attrs = {ints: {error: errors.indexOf(error)}, bools: {on_worker: onWorker}};
    const [done] = runNativeOp(backend, 'TfjsMambaTestThrowing', [], attrs, 1) as tf.Tensor[];
    return done.dataSync()[0];
  } catch (error) {
    return (error as Error).message;
  }
}

const results = errors.flatMap((error) => [false, true].map((onWorker) => ({error, gives: call(error, onWorker)})));
// [2^22, 2^23] floats, more than a process has addresses for.
let tooLarge = '';
try {
  const attrs = {ints: {NI: 2, present: 3}, bools: {transpose_kernel: false}};
  runNativeOp(backend, 'TfjsMambaMatVec', [tf.zeros([2 ** 22, 1]), tf.zeros([1, 2 ** 23])], attrs, 1);
} catch (error) {
  tooLarge = (error as Error).message;
}

const {y} = rmsNorm({x: tf.fill([1, 2], 3), weight: tf.fill([2], 2), epsilon: 1e-12});
console.log(JSON.stringify({results, tooLarge, y: Array.from(y.dataSync(), Math.round)}));
