/**
 * Runs the specs: each backend in a process of its own, because a process has one TensorFlow.js engine, and two at a time
 * where there are two cores. Ends with a line `N passed, N failed`.
 *
 *     npm test                                               everything
 *     npm test -- --backend wasm,cpu test/ops                some backends, some paths
 *     npm test -- --backend wasm --filter 'final state' --seed 12345
 *     npm test -- --backend webgl,webgpu@chromium test/ops   in headless Chromium, which it installs if it can
 *     npm test -- --backend webgl --random-cases 500 test/ops/random   more random shapes than the usual number for that backend
 *     npm test -- --backend wasm --slowest 50                where its seconds go: the slowest specs
 *     npm test -- --no-build                                 on the dist/ that is there
 */
import {fork, spawnSync} from 'node:child_process';
import {rmSync} from 'node:fs';
import {availableParallelism} from 'node:os';
import {parseArgs} from 'node:util';
import {testTarget, testTargets, type TestTarget} from '../test/support/backend';
import type {SpecCounts} from '../test/support/counts';
import {specFiles, type SpecGroup} from '../test/support/specs';
import {setupBrowser} from './setupBrowser.js';

/** One test process. */
interface Run extends TestTarget {
  title: string;
  group: SpecGroup;
  files: string[];
}

const {values: options, positionals: paths} = parseArgs({
  allowPositionals: true,
  options: {
    backend: {type: 'string'},
    filter: {type: 'string'},
    seed: {type: 'string'},
    'random-cases': {type: 'string'},
    slowest: {type: 'string'},
    'no-build': {type: 'boolean'},
  },
});

/** Specs of what is built; those after the first open it in Chromium. */
const ofTheBuild = [
  'tooling/package.spec.ts',
  'tooling/page.spec.ts',
  'tooling/demo.spec.ts',
  'tooling/examples.spec.ts',
];

const runs = chosenRuns();
const unknown = paths.filter((path) => !runs.some(({files}) => files.some((file) => `test/${file}`.includes(path))));
if (unknown.length > 0) throw new Error(`No spec file that would run has ${unknown.join(' or ')} in its path`);
if (!options['no-build'] && runs.some(({files}) => files.some((file) => ofTheBuild.includes(file)))) build();
if (runs.some(needsChromium)) setupBrowser();

const results = await inPool(runs, Math.min(2, availableParallelism()), runSpecs);
console.log();
for (const [i, run] of runs.entries()) console.log(`${run.title}: ${format(results[i])}`);
const total = results.reduce((a, b) => ({passed: a.passed + b.passed, failed: a.failed + b.failed}));
console.log(format(total));
process.exitCode = total.failed > 0 ? 1 : 0;

function chosenRuns(): Run[] {
  const names = options.backend?.split(',') ?? testTargets;
  const chosen = names.map((title): Run => {
    const target = testTarget(title);
    return {title, ...target, group: 'backend', files: specFiles('backend', target.backend, paths)};
  });
  if (options.backend === undefined) {
    chosen.push({
      title: 'once',
      backend: 'cpu',
      group: 'once',
      inBrowser: false,
      files: specFiles('once', 'cpu', paths),
    });
  }
  // A path leaves out the processes without such a file; otherwise a process without specs is a failure.
  return paths.length === 0 ? chosen : chosen.filter((run) => run.files.length > 0);
}

/** In Node, the webgpu specs take Chromium's software driver, unless the machine's own GPU is to be used. */
function needsChromium({backend, inBrowser, files}: Run): boolean {
  return (
    inBrowser ||
    ofTheBuild.slice(1).some((file) => files.includes(file)) ||
    (backend === 'webgpu' && !process.env['TFJS_MAMBA_GPU'])
  );
}

/** Runs one test process; a process that ends without having counted its specs counts as one failure. */
async function runSpecs(run: Run): Promise<SpecCounts> {
  const args = run.files.map((file) => `test/${file}`);
  if (options.filter !== undefined) args.push(`--filter=${options.filter}`);
  if (options.seed !== undefined) args.push(`--seed=${options.seed}`);
  if (!run.inBrowser) args.push('--config=test/support/jasmine.ts');
  const program = run.inBrowser ? 'test/support/browser.ts' : 'node_modules/jasmine/bin/jasmine.js';
  const child = fork(program, args, {
    execArgv: ['--import', 'tsx'],
    env: {...process.env, ...environment(run)},
    silent: true,
  });
  let counts: SpecCounts | undefined;
  child.on('message', (message: SpecCounts) => (counts = message));
  const output: Buffer[] = [];
  for (const stream of [child.stdout!, child.stderr!]) {
    stream.on('data', (data: Buffer) => {
      if (runs.length === 1) process.stdout.write(data);
      else output.push(data);
    });
  }
  const exitCode = await new Promise<number | null>((resolve) => child.on('close', resolve));
  if (output.length > 0) console.log(`\n== ${run.title}\n${Buffer.concat(output).toString().trim()}`);
  if (counts === undefined) {
    console.error(`== ${run.title} ended before its specs did, with exit code ${exitCode}`);
    return {passed: 0, failed: 1};
  }
  return counts;
}

function environment({backend, group}: Run): Record<string, string> {
  const {'random-cases': cases, slowest} = options;
  return {
    TFJS_MAMBA_BACKEND: backend,
    TFJS_MAMBA_SPECS: group,
    ...(cases !== undefined && {TFJS_MAMBA_RANDOM_CASES: cases}),
    ...(slowest !== undefined && {TFJS_MAMBA_SLOWEST: slowest}),
  };
}

/** Maps over `items` with at most `limit` at work at a time. */
async function inPool<T, R>(items: T[], limit: number, work: (item: T) => Promise<R>): Promise<R[]> {
  const done: R[] = [];
  let next = 0;
  const worker = async () => {
    while (next < items.length) {
      const i = next++;
      done[i] = await work(items[i]);
    }
  };
  await Promise.all(Array.from({length: limit}, worker));
  return done;
}

function format({passed, failed}: SpecCounts): string {
  return `${passed} passed, ${failed} failed`;
}

/** Makes dist/, which some specs are about. If that fails, no old dist/ is left that could pass for it. */
function build(): void {
  const shell = process.platform === 'win32';
  const {status} = spawnSync('npm', ['run', '--silent', 'build'], {stdio: 'inherit', shell});
  if (status === 0) return;
  console.error('The build failed');
  rmSync('dist', {recursive: true, force: true});
}
