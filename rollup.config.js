/**
 * The build. Three entry points as ES modules and CommonJS with their types, which share chunks (there must be one kernel
 * registry, however many entry points a program imports), and the root once more for script tags.
 */
import {readFileSync, rmSync} from 'node:fs';
import {isBuiltin} from 'node:module';
import nodeResolve from '@rollup/plugin-node-resolve';
import dts from 'rollup-plugin-dts';
import esbuild from 'rollup-plugin-esbuild';

const {dependencies = {}, peerDependencies} = JSON.parse(readFileSync('package.json', 'utf8'));
const installed = [...Object.keys(dependencies), ...Object.keys(peerDependencies)];

const input = {index: 'src/index.ts', node: 'src/node.ts', webgpu: 'src/webgpu.ts'};

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

rmSync('dist', {recursive: true, force: true});

export default [
  {
    input,
    external,
    plugins: [nodeResolve({extensions: ['.ts']}), esbuild({target: 'es2022'})],
    output: [
      {...files('js'), format: 'es', sourcemap: true},
      {...files('cjs'), format: 'cjs', interop: 'auto', sourcemap: true},
    ],
  },
  {
    input,
    external,
    plugins: [dts({tsconfig: 'tsconfig.json'})],
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
      nodeResolve({browser: true, extensions: ['.ts', '.mjs', '.js']}),
      esbuild({target: 'es2020', minify: true}),
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
];
