/**
 * `npm run archive:gpu`: packs what it takes to run the webgpu specs, the benchmarks and the training of the small models on another Linux
 * machine, one with a GPU and a Vulkan driver and nothing else: Node, Dawn, the fixtures, and a file each for specs, benchmarks and
 * `npm run reproduce`. There:
 *
 *     tar xf gpu.tar.xz && gpu/run.sh specs && gpu/run.sh bench ops --backend webgpu
 *     gpu/run.sh reproduce selective-copying --backend webgpu --out copying
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
// Two folders down, as the scripts look for data and runs/ from where they lie.
const models = resolve(folder, 'models/support');
// Beside which results/ is made, and package.json looked for.
const bench = resolve(folder, 'bench');
for (const path of [bundles, models, bench]) mkdirSync(path, {recursive: true});

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
    // The second is where TensorFlow.js looks for the binaries of its backend wasm.
    js: "import {createRequire as requireFor} from 'node:module'; const require = requireFor(import.meta.url), __dirname = import.meta.dirname;",
  },
  logLevel: 'error',
};
await build({
  ...common,
  stdin: {contents: suite, resolveDir: '.', loader: 'ts'},
  outfile: resolve(bundles, 'specs.mjs'),
});
await build({...common, entryPoints: ['bench/run.ts'], outfile: resolve(bench, 'bench.mjs')});
await build({...common, entryPoints: ['models/reproduce.ts'], outfile: resolve(models, 'reproduce.mjs')});
for (const kind of ['', '-simd', '-threaded-simd']) {
  const binary = `tfjs-backend-wasm${kind}.wasm`;
  for (const path of [bundles, models])
    copyFileSync(`node_modules/@tensorflow/tfjs-backend-wasm/dist/${binary}`, resolve(path, binary));
}

copyFileSync(process.execPath, resolve(folder, 'node'));
for (const part of ['package.json', 'index.js', `dist/${process.platform}-${process.arch}`]) {
  cpSync(`node_modules/webgpu/${part}`, resolve(folder, 'node_modules/webgpu', part), {recursive: true});
}
cpSync('node_modules/jasmine-core', resolve(folder, 'node_modules/jasmine-core'), {recursive: true});
copyFileSync('package.json', resolve(folder, 'package.json'));
for (const data of ['test/fixtures', 'models/data']) cpSync(data, resolve(folder, data), {recursive: true});
writeFileSync(
  resolve(folder, 'run.sh'),
  `#!/bin/sh
cd "$(dirname "$0")" && name=$1 && shift
export TFJS_MAMBA_GPU=\${TFJS_MAMBA_GPU-1} TFJS_MAMBA_BACKEND=webgpu
exec ./node $(ls bench/"$name.mjs" */support/"$name.mjs" 2> /dev/null) "$@"
`,
);
chmodSync(resolve(folder, 'run.sh'), 0o755);
execFileSync('tar', ['cJf', 'gpu.tar.xz', 'gpu'], {
  cwd: cache,
  env: {...process.env, XZ_OPT: '-1 -T0'},
  stdio: 'inherit',
});
console.log(`.cache/gpu.tar.xz`);
