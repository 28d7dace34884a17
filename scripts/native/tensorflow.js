/**
 * Finds a TensorFlow for tfjs-node: the folder TF_DIR, the libtensorflow that tfjs-node's own install has downloaded, or pip's
 * TensorFlow, of which only the two libraries and the headers are used and no Python.
 */
import {existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {cacheFolder, run} from './system.js';

/** The version from pip. One, because each is fetched, built against and tested as a whole. */
export const pinnedVersion = '2.21.0';

/**
 * @typedef {object} Tensorflow
 * @property {string | undefined} version if the headers tell it
 * @property {string} description
 * @property {string} include folder of the headers
 * @property {string} lib folder of the libraries
 * @property {string[]} libraries file names to link with
 * @property {boolean} stock whether it is tfjs-node's own, with its own binding
 */

/**
 * @param {string} tfjsNode folder of the package @tensorflow/tfjs-node
 * @param {boolean} cuda
 * @returns {Tensorflow}
 */
export function findTensorflow(tfjsNode, cuda) {
  if (process.env.TF_DIR) {
    const folder = resolve(process.env.TF_DIR);
    const found = inFolder(folder);
    if (!found) {
      throw new Error(
        `TF_DIR is ${folder}, which has neither libtensorflow.so.2 nor libtensorflow_cc.so.2 with libtensorflow_framework.so.2, ` +
          'there or in lib/',
      );
    }
    return {...found, description: [found.version, folder].filter(Boolean).join(', '), stock: false};
  }
  const stock = inFolder(join(tfjsNode, 'deps'));
  const ours = existsSync(join(tfjsNode, 'deps/tfjs-mamba.json'));
  if (stock && !ours && !cuda) {
    const description = [stock.version, 'the one tfjs-node came with'].filter(Boolean).join(', ');
    return {...stock, description, stock: true};
  }
  const folder = fromPip(cuda);
  const fetched = inFolder(folder);
  if (!fetched) throw new Error(`${folder} lacks TensorFlow's libraries: remove the folder and try again`);
  return {...fetched, version: pinnedVersion, description: `${pinnedVersion}, ${folder}`, stock: false};
}

/**
 * @param {string} folder
 * @returns {Omit<Tensorflow, 'description' | 'stock'> | undefined}
 */
function inFolder(folder) {
  for (const lib of [folder, join(folder, 'lib')]) {
    for (const libraries of [
      ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'],
      ['libtensorflow.so.2', 'libtensorflow_framework.so.2'],
    ]) {
      if (libraries.every((name) => existsSync(join(lib, name)))) {
        const include = join(folder, 'include');
        return {version: versionOf(include), include, lib, libraries};
      }
    }
  }
  return undefined;
}

/**
 * From the headers; neither libtensorflow's archive nor the newest of pip's packages has one that says it.
 * @param {string} include
 */
function versionOf(include) {
  for (const name of ['tensorflow/core/public/release_version.h', 'tensorflow/core/public/version.h']) {
    const header = join(include, name);
    if (existsSync(header)) {
      const text = readFileSync(header, 'utf8');
      const parts = ['MAJOR', 'MINOR', 'PATCH'].map((part) => new RegExp(`TF_${part}_VERSION (\\d+)`).exec(text)?.[1]);
      if (parts.every(Boolean)) return parts.join('.');
    }
  }
  return undefined;
}

const unpack = `
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
wanted = ('tensorflow/include/', 'tensorflow/libtensorflow_cc.so', 'tensorflow/libtensorflow_framework.so')
wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if name.startswith(wanted)])
`;

/**
 * Downloads and unpacks pip's TensorFlow once.
 * @param {boolean} cuda
 */
function fromPip(cuda) {
  const arch = {x64: 'x86_64', arm64: 'aarch64'}[/** @type {'x64' | 'arm64'} */ (process.arch)];
  if (!arch) throw new Error(`pip has no TensorFlow for ${process.arch}; name one of your own in TF_DIR`);
  // The plain package is the one with CUDA on x86-64, and the only one on 64-bit Arm.
  const name = cuda || process.arch === 'arm64' ? 'tensorflow' : 'tensorflow-cpu';
  const folder = cacheFolder(`${name}-${pinnedVersion}-${arch}`);
  const complete = join(folder, 'complete');
  if (existsSync(complete)) return folder;

  console.log(`Fetching ${name}==${pinnedVersion} with pip (hundreds of megabytes, once).`);
  const temporary = mkdtempSync(join(cacheFolder('downloads'), 'pip-'));
  try {
    // Any wheel of this version will do, whatever the Python here: its Python part is not used.
    const wheel = [
      '--only-binary=:all:',
      '--python-version=3.11',
      '--implementation=cp',
      `--platform=manylinux_2_27_${arch}`,
    ];
    run('python3', [
      '-m',
      'pip',
      'download',
      '--no-deps',
      '--quiet',
      ...wheel,
      `${name}==${pinnedVersion}`,
      '--dest',
      temporary,
    ]);
    mkdirSync(join(temporary, 'unpacked'));
    const file = run('ls', [temporary])
      .split('\n')
      .find((entry) => entry.endsWith('.whl'));
    run('python3', ['-c', unpack, join(temporary, /** @type {string} */ (file)), join(temporary, 'unpacked')]);
    rmSync(folder, {recursive: true, force: true});
    renameSync(join(temporary, 'unpacked/tensorflow'), folder);
    writeFileSync(complete, '');
  } catch (error) {
    throw new Error(
      `TensorFlow could not be fetched with \`python3 -m pip\`; install python3 and pip, or name a TensorFlow in TF_DIR.\n${String(error)}`,
      {cause: error},
    );
  } finally {
    rmSync(temporary, {recursive: true, force: true});
  }
  return folder;
}
