/**
 * The build. The entry points as ES modules and CommonJS, one file for each of the source, so that `sideEffects` in package.json can
 * name those that register something and bundlers may leave out the others; their types; and the root once more for script tags.
 */
import {readdirSync, readFileSync, rmSync} from 'node:fs';
import {isBuiltin} from 'node:module';
import nodeResolve from '@rollup/plugin-node-resolve';
import {defineConfig} from 'rollup';
import dts from 'rollup-plugin-dts';
import esbuild from 'rollup-plugin-esbuild';
import {shortShaders} from './scripts/shortShaders.js';

const {dependencies = {}, peerDependencies} = JSON.parse(readFileSync('package.json', 'utf8'));
const installed = [...Object.keys(dependencies), ...Object.keys(peerDependencies)];

const kernels = readdirSync('src/kernels', {recursive: true, encoding: 'utf8'})
  .filter((file) => file.endsWith('.ts'))
  .map((file) => `kernels/${file.slice(0, -'.ts'.length)}`);
const entries = [
  'index',
  'node',
  'webgpu',
  'entry/layers',
  'entry/lm',
  'entry/training',
  'entry/adapters',
  'entry/worker',
  'entry/serve',
  ...kernels,
];
/** The command line has a process of its own, the tokenizer a thread, and no types. */
const withTypes = Object.fromEntries(entries.map((entry) => [entry, `src/${entry}.ts`]));
const input = {...withTypes, 'cli/main': 'src/cli/main.ts', 'data/tokenizerWorker': 'src/data/tokenizerWorker.ts'};

/** What the package that imports us brings: Node's own modules, peers and dependencies.
 * @param {string} id
 */
const external = (id) => isBuiltin(id) || installed.some((name) => id === name || id.startsWith(`${name}/`));

/** @param {string} extension */
const files = (extension) => ({
  dir: 'dist',
  entryFileNames: `[name].${extension}`,
  chunkFileNames: `shared/[name]-[hash].${extension}`,
});

/** What `sideEffects` says is about dist/; here every file stays. */
const resolveOptions = {ignoreSideEffectsForRoot: true};

const modules = {preserveModules: true, preserveModulesRoot: 'src', sourcemap: true};

rmSync('dist', {recursive: true, force: true});

export default defineConfig([
  {
    input,
    external,
    plugins: [nodeResolve({...resolveOptions, extensions: ['.ts']}), esbuild({target: 'es2022'}), shortShaders()],
    output: [
      {...files('js'), ...modules, format: 'es'},
      {...files('cjs'), ...modules, format: 'cjs', interop: 'auto'},
    ],
  },
  {
    input: withTypes,
    external,
    plugins: [dts({tsconfig: 'tsconfig.json'})],
    // The files of kernels register and export nothing, so their types are empty.
    onLog: (level, log, handle) => log.code === 'EMPTY_BUNDLE' || handle(level, log),
    output: [
      {...files('d.ts'), format: 'es'},
      {...files('d.cts'), format: 'es'},
    ],
  },
  {
    // Script tags: TensorFlow.js is the global `tf`, everything else is inside.
    input: 'src/index.ts',
    external: ['@tensorflow/tfjs'],
    plugins: [
      nodeResolve({...resolveOptions, browser: true, extensions: ['.ts', '.mjs', '.js']}),
      esbuild({target: 'es2020', minify: true}),
      shortShaders(),
    ],
    output: {
      file: 'dist/tfjs-mamba.umd.js',
      format: 'umd',
      name: 'tfjsMamba',
      globals: {'@tensorflow/tfjs': 'tf'},
      interop: 'esModule',
      sourcemap: true,
      inlineDynamicImports: true,
    },
  },
]);
