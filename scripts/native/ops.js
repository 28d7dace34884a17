/** Builds the op library and the loader with CMake, in a cache folder named after the sources and the options. */
import {createHash} from 'node:crypto';
import {existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync} from 'node:fs';
import {cpus} from 'node:os';
import {join} from 'node:path';
import {nodeApiHeaders} from './binding.js';
import {cacheFolder, compiler, packageRoot, run} from './system.js';

const sourceFolder = join(packageRoot, 'custom-ops');
const parts = ['CMakeLists.txt', 'cmake', 'loader', 'src'];

/** A digest of everything that the build reads. */
function digest(/** @type {string} */ extra) {
  const hash = createHash('sha256').update(extra);
  for (const part of parts.filter((name) => existsSync(join(sourceFolder, name)))) {
    const files = part.endsWith('.txt')
      ? ['']
      : readdirSync(join(sourceFolder, part), {recursive: true}).map(String).sort();
    for (const file of files.filter((name) => !name || /\.(cc|cuh?|h|cmake|map)$/.test(name))) {
      hash.update(join(part, file)).update(readFileSync(join(sourceFolder, part, file)));
    }
  }
  return hash.digest('hex').slice(0, 16);
}

/**
 * @param {import('./tensorflow.js').Tensorflow} tensorflow used by the CUDA kernels only: the others load into any
 * @param {{cuda: boolean, force: boolean}} options
 */
export function buildOps(tensorflow, {cuda, force}) {
  const cudaOptions = cuda ? ['-DWITH_CUDA=ON', `-DTENSORFLOW_DIR=${tensorflow.lib}`] : [];
  const sources = digest([compiler(), process.arch, ...cudaOptions].join('\n'));
  const folder = join(cacheFolder('.'), `ops-${sources}`);
  const files = ['tfjs_mamba_ops.so', 'tfjs_mamba_loader.node', ...(cuda ? ['tfjs_mamba_cuda.so'] : [])];
  if (force || !existsSync(folder)) {
    console.log('Building the op library.');
    const build = mkdtempSync(join(cacheFolder('builds'), 'ops-'));
    const include = `-DNODE_API_INCLUDE_DIR=${nodeApiHeaders()}`;
    run('cmake', ['-S', sourceFolder, '-B', build, `-DCMAKE_CXX_COMPILER=${compiler()}`, include, ...cudaOptions]);
    run('cmake', ['--build', build, '--parallel', String(cpus().length)]);
    // Whole or not at all, also when two checkouts do this at once.
    mkdirSync(join(build, 'done'));
    for (const file of files) renameSync(join(build, file), join(build, 'done', file));
    rmSync(folder, {recursive: true, force: true});
    renameSync(join(build, 'done'), folder);
    rmSync(build, {recursive: true});
  }
  return {folder, files, sources};
}
