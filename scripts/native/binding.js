/**
 * The package @tensorflow/tfjs-node and its binding. The package's own install step downloads TensorFlow 2.9 and a binding for it;
 * where that is not wanted or not possible, the package is installed without its scripts and its binding, unmodified, is built here.
 */
import {createHash} from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import {cacheFolder, compiler, run} from './system.js';

const tfjsNodeVersion = '4.22.0';
const headersVersion = '1.9.0';

/** The folder of the installed package that this project would load; installs it if there is none. */
export function findTfjsNode() {
  for (const name of ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node']) {
    const folder = resolvePackage(name);
    if (folder) return folder;
  }
  console.log(`Installing @tensorflow/tfjs-node ${tfjsNodeVersion} without its install script.`);
  // Not saved: as a dependency its install script would run in every `npm ci`, and fail where it cannot download. Asked for as an
  // optional dependency all the same: npm does not install what a project declares as an optional peer.
  const asOptional = ['--no-save', '--save-optional', '--ignore-scripts', '--no-audit', '--no-fund'];
  run('npm', ['install', ...asOptional, `@tensorflow/tfjs-node@${tfjsNodeVersion}`]);
  const folder = resolvePackage('@tensorflow/tfjs-node');
  if (!folder) throw new Error(`@tensorflow/tfjs-node cannot be found from ${process.cwd()} after its installation`);
  return folder;
}

/** @param {string} name */
function resolvePackage(name) {
  try {
    return dirname(createRequire(join(process.cwd(), 'package.json')).resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}

/** The folder of node_api.h, which Node's own packages have but Node itself does not always. */
export function nodeApiHeaders() {
  const folder = cacheFolder(`node-api-headers-${headersVersion}`);
  const include = join(folder, 'node_modules/node-api-headers/include');
  if (!existsSync(join(include, 'node_api.h'))) {
    run('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', `node-api-headers@${headersVersion}`]);
  }
  return include;
}

/**
 * Puts a binding for this TensorFlow into the package.
 * @param {string} tfjsNode
 * @param {import('./tensorflow.js').Tensorflow} tensorflow
 * @param {boolean} force
 */
export function buildBinding(tfjsNode, tensorflow, force) {
  const {version} = JSON.parse(readFileSync(join(tfjsNode, 'package.json'), 'utf8'));
  const name = createHash('sha256').update(`${tensorflow.lib}\n${version}`).digest('hex').slice(0, 12);
  const built = join(
    cacheFolder(`binding-${version}-tensorflow-${tensorflow.version ?? 'own'}-${name}`),
    'tfjs_binding.node',
  );
  if (force || !existsSync(built)) {
    console.log(`Building tfjs-node's binding for TensorFlow ${tensorflow.description}.`);
    run(compiler(), [
      ...['-std=c++17', '-O2', '-fPIC', '-shared', '-w', '-DNAPI_VERSION=8', '-DNODE_GYP_MODULE_NAME=tfjs_binding'],
      ...[`-I${nodeApiHeaders()}`, `-I${tensorflow.include}`],
      ...['tfjs_backend.cc', 'tfjs_binding.cc'].map((file) => join(tfjsNode, 'binding', file)),
      ...[
        '-o',
        `${built}.${process.pid}`,
        `-L${tensorflow.lib}`,
        ...tensorflow.libraries.map((library) => `-l:${library}`),
      ],
      '-Wl,-rpath,$ORIGIN/../../deps/lib',
    ]);
    renameSync(`${built}.${process.pid}`, built);
  }
  const libraries = join(tfjsNode, 'deps/lib');
  mkdirSync(libraries, {recursive: true});
  for (const library of tensorflow.libraries) {
    rmSync(join(libraries, library), {force: true});
    symlinkSync(join(tensorflow.lib, library), join(libraries, library));
  }
  writeFileSync(join(tfjsNode, 'deps/tfjs-mamba.json'), `${JSON.stringify({tensorflow: tensorflow.version})}\n`);
  const target = join(tfjsNode, 'lib/napi-v8/tfjs_binding.node');
  mkdirSync(dirname(target), {recursive: true});
  rmSync(target, {force: true});
  copyFileSync(built, target);
  console.log(`Binding         ${target}`);
}
