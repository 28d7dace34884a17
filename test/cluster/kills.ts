/**
 * By hand, as it takes minutes: trains through `tfjs-mamba launch --restart` while one worker after another is killed at random, and compares
 * what comes out with a run that nobody disturbed.
 *
 *     node --import tsx test/cluster/kills.ts [--workers 2] [--min-workers 2] [--kills 20] [--iters 1200]
 *
 * Ends with 1 unless the weights agree (to the bit for two workers throughout, else to 1e-6), no process is left, and training went on within
 * 30 s of every kill.
 */
import {spawn} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {setTimeout} from 'node:timers/promises';
import {parseArgs} from 'node:util';
import {openSafetensors} from './weights';

const {values} = parseArgs({
  options: {
    workers: {type: 'string', default: '2'},
    'min-workers': {type: 'string'},
    kills: {type: 'string', default: '20'},
    iters: {type: 'string', default: '1200'},
  },
});
const minWorkers = values['min-workers'] ?? values.workers;
const root = mkdtempSync(join(tmpdir(), 'tfjs-mamba-kills-'));
const text = join(root, 'text.txt');
writeFileSync(text, readFileSync('models/data/tinyshakespeare.txt', 'utf8').slice(0, 50_000));
/** In the environment of every process of this program, by which one that is left over is found. */
const mark = randomUUID();

/** Runs the training; `whileItRuns` is told of every line, and may find the workers. */
async function train(out: string, restarts: number, onLine: (line: string, launcher: number) => void): Promise<void> {
  const program = ['--import', 'tsx', 'test/cli/process.ts', 'train', '--cluster', '--data', text, '--out', out];
  const sizes = ['--d-model', '16', '--n-layer', '1', '--max-seq-length', '32', '--batch-size', '8'];
  const paces = [
    '--iters',
    values.iters,
    '--save-every',
    '20',
    '--steps-per-report',
    '5',
    '--steps-per-eval',
    '1000000',
  ];
  const launch = ['launch', '--workers', values.workers, '--min-workers', minWorkers, '--restart', String(restarts)];
  const child = spawn(
    process.execPath,
    ['bin/tfjs-mamba.js', ...launch, '--', process.execPath, ...program, ...sizes, ...paces],
    {
      env: {...process.env, MARK: mark},
    },
  );
  let last = '';
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({input: stream}).on('line', (line) => {
      last = line;
      onLine(line, child.pid!);
    });
  }
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  if (status !== 0) throw new Error(`the launcher ended with ${status}: ${last}`);
}

/** The workers of a launcher, whose last child is its guard; none when it has ended: then there were too few steps for so many kills. */
function workersOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ');
    return children.slice(0, -1).map(Number);
  } catch {
    return [];
  }
}

/** The other processes that have the mark. */
function marked(): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      return pid !== process.pid && readFileSync(`/proc/${pid}/environ`, 'utf8').includes(`MARK=${mark}`);
    } catch {
      return false; // it has ended meanwhile
    }
  }); // prettier-ignore
}

const undisturbed = join(root, 'undisturbed');
const disturbed = join(root, 'disturbed');
const kills = Number(values.kills);
await train(undisturbed, 0, () => {});

let killed = 0;
let killedAt = NaN;
/** Seconds from a kill to the group's end, and, unless the next kill came first, to the next step told. */
const ends: number[] = [];
const pauses: number[] = [];
const victims: string[] = [];
let planned = false;
let formsAnew = false;
let steps = false;
await train(disturbed, kills, (line, launcher) => {
  if (line.startsWith('tfjs-mamba launch: starting')) {
    planned = steps = false;
    formsAnew = true;
    ends.push((performance.now() - killedAt) / 1000);
  }
  const isStep = /^\[0\] step \d+ /.test(line);
  steps ||= isStep;
  // One that comes between a kill and the end of the group had been printed before.
  if (formsAnew && isStep) {
    pauses.push((performance.now() - killedAt) / 1000);
    formsAnew = false;
  }
  // From the first sign of a group, while it starts or later, and from its first step, in turns.
  if (planned || killed >= kills || (killed % 2 === 1 && !steps)) return;
  planned = true;
  void setTimeout(200 + Math.random() * 9000).then(() => {
    const workers = workersOf(launcher);
    if (workers.length === 0) return void (planned = false);
    const rank = Math.floor(Math.random() * workers.length);
    process.kill(workers[rank], 'SIGKILL');
    killed++;
    killedAt = performance.now();
    victims.push(`${rank}/${workers.length}`);
  });
});
await setTimeout(1000);
const left = marked();

const [expected, found] = [undisturbed, disturbed].map((folder) => openSafetensors(join(folder, 'model.safetensors')));
const bits = Buffer.compare(expected.bytes, found.bytes) === 0;
let difference = 0;
for (const [name, values] of expected.weights) {
  const other = found.weights.get(name)!;
  const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  values.forEach((value, i) => (difference = Math.max(difference, Math.abs(value - other[i]) / largest)));
}
rmSync(root, {recursive: true});
const longest = Math.max(...pauses, ...ends);
const show = (seconds: number[]) =>
  `at most ${Math.max(...seconds).toFixed(1)} s: ${seconds.map((x) => x.toFixed(1)).join(' ')}`;
const lines = [
  `${killed} workers killed (rank/of: ${victims.join(' ')})`,
  `weights: ${bits ? 'the same bits' : `differ by ${difference.toExponential(1)} of the largest of their tensor`}`,
  `from a kill to the end of the group: ${show(ends)}`,
  `from a kill to the next step told: ${show(pauses)}`,
  `processes left: ${left.join(' ') || 'none'}`,
];
process.stdout.write(`${lines.join('\n')}\n`);
const must = values.workers === '2' && minWorkers === '2' ? bits : difference < 1e-6;
process.exitCode = killed === kills && must && longest < 30 && left.length === 0 ? 0 : 1;
