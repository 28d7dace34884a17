/**
 * Sets up the native half: a TensorFlow, tfjs-node's binding for it, the op library and its loader.
 *
 * Everything expensive is kept in the user's cache folder under a name that says what it was made from, so that a second run, after
 * `npm ci` or in another checkout, copies files and is done in seconds. What the package loads lies in its folder `native/`.
 */
import {copyFileSync, mkdirSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {buildBinding, findTfjsNode} from './binding.js';
import {buildOps} from './ops.js';
import {packageRoot, requireTools, run} from './system.js';
import {findTensorflow} from './tensorflow.js';

/** @param {{cuda: boolean, force: boolean}} options */
export async function setupNative({cuda, force}) {
  if (process.platform !== 'linux') {
    throw new Error(
      `the native kernels are built on Linux only so far, and this is ${process.platform}. ` +
        'Without them the package works on the wasm, webgpu and cpu backends.',
    );
  }
  const started = Date.now();
  requireTools(cuda);
  const tfjsNode = findTfjsNode();
  const tensorflow = findTensorflow(tfjsNode, cuda);
  console.log(`TensorFlow      ${tensorflow.description}`);
  if (!tensorflow.stock) buildBinding(tfjsNode, tensorflow, force);
  const built = buildOps(tensorflow, {cuda, force});

  const target = join(packageRoot, 'native');
  // Removed first: a process that has the old file mapped keeps it, instead of seeing it change.
  rmSync(target, {recursive: true, force: true});
  mkdirSync(target);
  for (const file of built.files) copyFileSync(join(built.folder, file), join(target, file));
  writeFileSync(
    join(target, 'native.json'),
    `${JSON.stringify({tensorflow: tensorflow.version, sources: built.sources, cuda}, null, 2)}\n`,
  );
  console.log(`Op library      ${target}`);
  run(process.execPath, [join(packageRoot, 'scripts/native/check.js'), tfjsNode], {show: true});
  console.log(`Ready in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}
