/** A second copy of the library's files, as two installed versions of the package have them. */
import {cpSync, mkdtempSync, rmSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {rmsNorm} from '../../src/node';

await tf.setBackend('tensorflow');
const copy = mkdtempSync(join(tmpdir(), 'tfjs-mamba-'));
let message = 'loaded';
try {
  cpSync(fileURLToPath(new URL('../../native', import.meta.url)), copy, {recursive: true});
  const require = createRequire(import.meta.url);
  const loader = require(join(copy, 'tfjs_mamba_loader.node')) as {load(path: string): void};
  loader.load(join(copy, 'tfjs_mamba_ops.so'));
} catch (error) {
  message = (error as Error).message;
} finally {
  rmSync(copy, {recursive: true});
}
const {y} = rmsNorm({x: tf.fill([1, 2], 3), weight: tf.fill([2], 2), epsilon: 1e-12});
console.log(JSON.stringify({message, y: Array.from(y.dataSync(), Math.round)}));
