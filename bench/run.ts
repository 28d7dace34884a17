/**
 * The benchmarks: `npm run bench -- <name> --backend <any>`; a name that is none lists them all. Each prints what it measured, on what, and
 * its ratios; those whose figures are kept leave them in results/, of which `guide` makes guides/benchmarks.md and its pictures.
 * TFJS_MAMBA_GPU=1 takes the machine's own Vulkan driver in place of SwiftShader; peers/README.md has what tensorflow is compared with.
 */
import {parseArgs} from 'node:util';
import {startBackend, testTarget, type TestBackend} from '../test/support/backend';
import type {InductionFigures} from './induction';
import {watchDevice} from './measure';

interface Benchmark {
  about: string;
  run(): Promise<void> | void;
  /** The one backend that it is for in Node. */
  only?: TestBackend;
  /** Whether `run` starts backends itself, or none. */
  startsItself?: true;
  /** What is run where the backend is in headless Chromium, if it can be. */
  inBrowser?(): Promise<void>;
}

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

const benchmarks: Record<string, Benchmark> = {
  ops: {about: 'every op beside its composed form (--no-composed: alone)', run: benchOps, inBrowser: benchOpsInBrowser},
  ssd: {about: "of the ops Mamba-2's alone", run: async () => (await import('./ssd')).benchSsd(values.composed)},
  device: {
    about: 'the ops on a GPU of TensorFlow',
    only: 'tensorflow',
    run: async () => (await import('./device')).benchDevice(),
  },
  start: {
    about: 'random weights beside memory that is filled',
    run: async () => (await import('./start')).benchStart(),
  },
  loading: {about: 'memory while a checkpoint is loaded', run: async () => (await import('./loading')).benchLoading()},
  decode: {
    about: 'token after token (--preset mamba-130m)',
    run: async () => (await import('./decode')).benchDecode(values.preset),
  },
  packed: {
    about: '8 and 16 bits beside float32, and perplexity (--model runs/shakespeare)',
    run: async () => (await import('./packed')).benchPacked(values.preset, values.model),
  },
  lm: {
    about: 'generation beside what else there is',
    only: 'tensorflow',
    run: async () => (await import('./lm')).benchLM(),
    inBrowser: async () => (await import('./chromium')).benchChromium(backend),
  },
  transformer: {
    about: 'generation beside a Transformer',
    run: async () => (await import('./transformer')).benchTransformer(),
  },
  length: {
    about: 'time by length (--to 20: up to 2^20)',
    run: async () => (await import('./length')).benchLength(Number(values.to)),
  },
  induction: {
    about: 'induction heads by length (--to 16)',
    run: benchInduction,
    startsItself: true,
    inBrowser: benchInduction,
  },
  speed: {
    about: 'tokens read, written and learned in a second',
    run: async () => (await import('./speed')).benchSpeed(),
  },
  streaming: {
    about: 'a classifier of sounds as they come',
    run: async () => (await import('./streaming')).benchStreaming(),
  },
  train: {about: 'steps of training', run: benchTrain},
  packing: {about: 'training on packed documents', run: async () => (await import('./packing')).benchPacking()},
  epochs: {about: '20 passes of a small model', run: async () => (await import('./epochs')).benchEpochs()},
  states: {
    about: 'states saved, loaded and forked',
    run: async () => (await import('./states')).benchStates(),
    inBrowser: async () => (await import('./states')).benchStatesInChromium(backend),
  },
  browser: {
    about: 'the same training in a page',
    run: async () => (await import('./browser')).benchBrowser(backend, true),
    inBrowser: async () => (await import('./browser')).benchBrowser(backend, false),
  },
  finetune: {
    about: 'LoRA and QLoRA beside full fine-tuning',
    run: async () => (await import('./finetune')).benchFinetune(backend),
    startsItself: true,
  },
  cluster: {
    about: 'processes that train together',
    run: async () => (await import('./cluster')).benchCluster(),
    startsItself: true,
  },
  scaling: {
    about: 'what that says of more of them',
    run: async () => (await import('./scaling')).benchScaling(),
    startsItself: true,
  },
  guide: {
    about: 'writes the guide of what was kept',
    run: async () => (await import('./guide')).writeGuide(),
    startsItself: true,
  },
};

const [name = 'ops'] = positionals;
const benchmark = Object.hasOwn(benchmarks, name) ? benchmarks[name] : undefined;
const run = inBrowser ? benchmark?.inBrowser : benchmark?.run;
if (!benchmark || !run || (!inBrowser && backend !== (benchmark.only ?? backend))) {
  const lines = Object.entries(benchmarks).map(
    ([known, {about, only, inBrowser: inPage}]) =>
      `  ${known.padEnd(12)} ${about}${only ? `; on ${only}` : ''}${inPage ? '; in Chromium too' : ''}`,
  );
  throw new Error(`There is no benchmark ${name} on ${values.backend}:\n${lines.join('\n')}`);
}
if (!inBrowser && !benchmark.startsItself) {
  await startBackend(backend);
  watchDevice();
}
await run();
process.exit(0);

async function benchOps(): Promise<void> {
  if (backend === 'tensorflow') (await import('./native')).benchNative();
  else await (await import('./ops')).benchOps(values.composed);
  await (await import('./ssd')).benchSsd(values.composed);
}

async function benchTrain(): Promise<void> {
  await (await import('./train')).benchTrain();
  if (backend === 'tensorflow') await (await import('./train130m')).benchTrain130m();
}

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
async function benchOpsInBrowser(): Promise<void> {
  const {inChromium} = await import('../test/support/inChromium');
  const code = [
    `import {startBackend} from './test/support/backend';`,
    `import {benchOps} from './bench/ops';`,
    `import {benchSsd} from './bench/ssd';`,
    `import {watchDevice} from './bench/measure';`,
    `await startBackend('${backend}');`,
    `watchDevice();`,
    `await benchOps(${values.composed});`,
    `await benchSsd(${values.composed});`,
    `await report(0);`,
  ];
  await inChromium(code.join('\n'), {});
}
