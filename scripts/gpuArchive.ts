/**
 * `npm run archive:gpu`: packs what it takes to run the webgpu specs and benchmarks on another Linux machine, one with a GPU and a
 * Vulkan driver and nothing else: Node, Dawn, the fixtures, and the specs and benchmarks as one file each. There:
 *
 *     tar xf gpu.tar.xz && gpu/run.sh specs && gpu/run.sh bench ops --backend webgpu
 */
import {execFileSync} from 'node:child_process';
import {chmodSync, copyFileSync, cpSync, mkdirSync, rmSync, writeFileSync} from 'node:fs';
import {resolve} from 'node:path';
import type {BuildOptions} from 'esbuild';
import {build} from 'esbuild';
import {specFiles} from '../test/support/specs';

const cache = resolve('.cache');
const folder = resolve(cache, 'gpu');
rmSync(folder, {recursive: true, force: true});
// As in the repository, because the specs look for the fixtures and texts from where they lie.
const bundles = resolve(folder, 'test/support');
mkdirSync(bundles, {recursive: true});

// These start other backends, which stay behind.
const elsewhere = ['autoBackend.spec.ts', 'backends/wasm.spec.ts'];
const files = specFiles('backend', 'webgpu').filter((file) => !elsewhere.includes(file));
const specs = files.map((file) => `await import('./test/${file}');`);
const suite = `
import core from 'jasmine-core';
core.installGlobals();
const env = core.jasmine.getEnv();
env.configure({random: true, failSpecWithNoExpectations: true});
let passed = 0;
let failed = 0;
env.addReporter({
  specDone({status, fullName, failedExpectations}) {
    if (status === 'passed') passed++;
    else if (status !== 'excluded') {
      failed++;
      console.log('FAILED ' + fullName + ': ' + failedExpectations.map(({message}) => message).join('; ').slice(0, 600));
    }
  },
});
await import('./test/support/setup.ts');
${specs.join('\n')}
await env.execute();
console.log(passed + ' passed, ' + failed + ' failed');
process.exit(failed === 0 && passed > 0 ? 0 : 1);
`;

const common: BuildOptions = {
  bundle: true,
  ignoreAnnotations: true, // `sideEffects` in package.json speaks of dist/
  format: 'esm',
  platform: 'node',
  mainFields: ['module', 'main'],
  external: ['webgpu', 'jasmine-core', '@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'],
  banner: {
    js: "import {createRequire as requireFor} from 'node:module'; const require = requireFor(import.meta.url);",
  },
  logLevel: 'error',
};
await build({
  ...common,
  stdin: {contents: suite, resolveDir: '.', loader: 'ts'},
  outfile: resolve(bundles, 'specs.mjs'),
});
await build({...common, entryPoints: ['bench/run.ts'], outfile: resolve(bundles, 'bench.mjs')});

copyFileSync(process.execPath, resolve(folder, 'node'));
for (const part of ['package.json', 'index.js', `dist/${process.platform}-${process.arch}`]) {
  cpSync(`node_modules/webgpu/${part}`, resolve(folder, 'node_modules/webgpu', part), {recursive: true});
}
cpSync('node_modules/jasmine-core', resolve(folder, 'node_modules/jasmine-core'), {recursive: true});
for (const data of ['test/fixtures', 'models/data']) cpSync(data, resolve(folder, data), {recursive: true});
writeFileSync(
  resolve(folder, 'run.sh'),
  `#!/bin/sh
cd "$(dirname "$0")" && name=$1 && shift
export TFJS_MAMBA_GPU=1 TFJS_MAMBA_BACKEND=webgpu
exec ./node "test/support/$name.mjs" "$@"
`,
);
chmodSync(resolve(folder, 'run.sh'), 0o755);
execFileSync('tar', ['cJf', 'gpu.tar.xz', 'gpu'], {
  cwd: cache,
  env: {...process.env, XZ_OPT: '-1 -T0'},
  stdio: 'inherit',
});
console.log(`.cache/gpu.tar.xz`);
