/**
 * The benchmarks: `npm run bench -- ops --backend <any>` (webgl in headless Chromium), `npm run bench -- train --backend wasm`, `npm run bench -- packing --backend tensorflow`,
 * `npm run bench -- ssd` (of the ops Mamba-2's alone), `npm run bench -- decode --backend webgpu [--preset mamba-130m]`, `npm run bench -- packed --backend tensorflow [--model runs/shakespeare]` (8 and 16 bits beside float32, and perplexity), `npm run bench -- lm --backend tensorflow` or `wasm@chromium`, and where TensorFlow has
 * a GPU `npm run bench -- device --backend tensorflow`; `npm run bench -- cluster` for processes that train together, and `npm run bench -- scaling` for what that says of more of them;
 * `npm run bench -- finetune --backend tensorflow` (LoRA and QLoRA beside full fine-tuning);
 * `npm run bench -- epochs --backend webgpu` (20 passes of a small model) and `npm run bench -- browser --backend webgpu` (the same training in a page); `npm run bench -- loading --backend wasm` (memory);
 * `npm run bench -- induction --backend wasm@chromium --to 16`, `npm run bench -- length [--to 20]`, `npm run bench -- transformer` and `npm run bench -- speed`, whose figures are kept in results/,
 * of which `npm run bench -- guide` makes guides/benchmarks.md and its pictures. Each prints what it measured, on what, and its ratios. TFJS_MAMBA_GPU=1 takes the
 * machine's own Vulkan driver in place of SwiftShader; peers/README.md has what tensorflow is compared with.
 */
import {parseArgs} from 'node:util';
import {startBackend, testTarget, type TestBackend} from '../test/support/backend';
import type {InductionFigures} from './induction';
import {watchDevice} from './measure';

const {values, positionals} = parseArgs({
  allowPositionals: true,
  options: {
    backend: {type: 'string', default: 'wasm'},
    preset: {type: 'string'},
    model: {type: 'string'},
    to: {type: 'string', default: '20'},
    composed: {type: 'boolean', default: true},
  },
  allowNegative: true,
});
const {backend, inBrowser} = testTarget(values.backend);
const [what = 'ops'] = positionals;
if (what === 'induction') {
  await benchInduction();
  process.exit(0);
}
if (inBrowser) {
  if (what === 'lm') await (await import('./chromium')).benchChromium(backend);
  else if (what === 'ops') await benchInBrowser(backend);
  else throw new Error(`In a browser there are only the benchmarks ops, lm and induction, not ${what}`);
  process.exit(0);
}
if (what === 'cluster') {
  await (await import('./cluster')).benchCluster();
  process.exit(0);
}
if (what === 'scaling') {
  (await import('./scaling')).benchScaling();
  process.exit(0);
}
if (what === 'finetune') {
  (await import('./finetune')).benchFinetune(backend);
  process.exit(0);
}
if (what === 'guide') {
  await (await import('./guide')).writeGuide();
  process.exit(0);
}
await startBackend(backend);
watchDevice();

if (what === 'ops' && backend === 'tensorflow') {
  (await import('./native')).benchNative();
  await (await import('./ssd')).benchSsd(values.composed);
} else if (what === 'ops') {
  await (await import('./ops')).benchOps(values.composed);
  await (await import('./ssd')).benchSsd(values.composed);
} else if (what === 'ssd') {
  await (await import('./ssd')).benchSsd(values.composed);
} else if (what === 'device' && backend === 'tensorflow') {
  (await import('./device')).benchDevice();
} else if (what === 'lm' && backend === 'tensorflow') {
  await (await import('./lm')).benchLM();
} else if (what === 'decode') {
  await (await import('./decode')).benchDecode(values.preset);
} else if (what === 'epochs') {
  await (await import('./epochs')).benchEpochs();
} else if (what === 'loading') {
  await (await import('./loading')).benchLoading();
} else if (what === 'browser') {
  await (await import('./browser')).benchBrowser();
} else if (what === 'packed') {
  await (await import('./packed')).benchPacked(values.preset, values.model);
} else if (what === 'length') {
  await (await import('./length')).benchLength(Number(values.to));
} else if (what === 'transformer') {
  await (await import('./transformer')).benchTransformer();
} else if (what === 'speed') {
  await (await import('./speed')).benchSpeed();
} else if (what === 'train') {
  await (await import('./train')).benchTrain();
  if (backend === 'tensorflow') await (await import('./train130m')).benchTrain130m();
} else if (what === 'streaming') {
  await (await import('./streaming')).benchStreaming();
} else if (what === 'packing') {
  await (await import('./packing')).benchPacking();
} else {
  throw new Error(
    `There is no benchmark ${what} on ${backend}: ops, ssd, decode, epochs, browser, loading, packed, train, packing, finetune, streaming, length, transformer, speed, induction, guide, cluster, scaling, and on tensorflow lm and device`,
  );
}
process.exit(0);

/** Runs the induction heads, in Node or in headless Chromium, and keeps what it reached. */
async function benchInduction(): Promise<void> {
  const to = Number(values.to);
  const {saveResults} = await import('./results');
  let figures: InductionFigures;
  if (inBrowser) {
    const {inChromium} = await import('../test/support/inChromium');
    const code = [
      `import {startBackend} from './test/support/backend';`,
      `import {measureInduction} from './bench/induction';`,
      `await startBackend('${backend}');`,
      `await report(await measureInduction(${to}));`,
    ];
    figures = await inChromium<InductionFigures>(code.join('\n'), {});
  } else {
    await startBackend(backend);
    figures = await (await import('./induction')).measureInduction(to);
  }
  saveResults(`induction-${values.backend.replace('@', '-')}`, figures, {}, values.backend);
}

/** Runs the benchmark of the ops in headless Chromium. */
async function benchInBrowser(name: TestBackend): Promise<void> {
  const {inChromium} = await import('../test/support/inChromium');
  const code = [
    `import {startBackend} from './test/support/backend';`,
    `import {benchOps} from './bench/ops';`,
    `import {benchSsd} from './bench/ssd';`,
    `import {watchDevice} from './bench/measure';`,
    `await startBackend('${name}');`,
    `watchDevice();`,
    `await benchOps(${values.composed});`,
    `await benchSsd(${values.composed});`,
    `await report(0);`,
  ];
  await inChromium(code.join('\n'), {});
}
