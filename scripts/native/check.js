/** Loads what has been set up, in a process of its own as a program would, and runs one op. Argument: the folder of tfjs-node. */
import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import util from 'node:util';
import {packageRoot} from './system.js';

const require = createRequire(import.meta.url);
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
// tfjs-node 4.22 uses two functions that Node 23 removed.
util.isNullOrUndefined ??= (value) => value === null || value === undefined;
util.isArray ??= Array.isArray;

const tf = require(process.argv[2]);
const loader = require(join(packageRoot, 'native/tfjs_mamba_loader.node'));
loader.load(join(packageRoot, 'native/tfjs_mamba_ops.so'));
const cuda = join(packageRoot, 'native/tfjs_mamba_cuda.so');
if (existsSync(cuda)) loader.load(cuda);

const backend = tf.backend();
const x = [3, 4, 0, 0];
const [y] = backend.executeMultipleOutputs(
  'TfjsMambaRmsNorm',
  [
    {name: 'NI', type: backend.binding.TF_ATTR_INT, value: 2},
    {name: 'NO', type: backend.binding.TF_ATTR_INT, value: 1},
    {name: 'present', type: backend.binding.TF_ATTR_INT, value: 3},
    {name: 'epsilon', type: backend.binding.TF_ATTR_FLOAT, value: 0},
  ],
  [tf.tensor2d(x, [1, 4]), tf.ones([4])],
  1,
);
const off = Math.max(...Array.from(y.dataSync(), (value, i) => Math.abs(value - x[i] / 2.5)));
if (!(off < 1e-6)) throw new Error(`TfjsMambaRmsNorm gave ${y.dataSync()} for ${x}`);
const {tensorflow, simd, threads} = loader.info();
console.log(`Checked         TensorFlow ${tensorflow}, ${simd}, ${threads} threads`);
