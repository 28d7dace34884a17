/**
 * What the all-reduce measured here says of larger clusters: `npm run bench -- scaling`, of results/cluster.json. An α–β model of the ring
 * (Thakur et al. 2005, "Optimization of collective communication operations in MPICH") is fitted to the times by size and number of workers and
 * held against them; a simulated step then tells what 8, 64 and 512 workers would make of the published sizes. guides/scaling.md has its tables.
 */
import {readFileSync} from 'node:fs';
import {join} from 'node:path';

interface Measured {
  workers: number;
  bytes: number;
  ms: number;
}

/** Milliseconds of a message, and of a byte on the way through one worker. */
interface Link {
  alpha: number;
  beta: number;
}

/** Sizes of a bucket that are tried: 1 MiB to 1 GiB. */
const buckets = Array.from({length: 11}, (_, i) => 2 ** (20 + i));

/** Messages in a row, and bytes that pass through a worker, of an all-reduce by a ring; workers of one machine share its cores. */
function ring(workers: number, bytes: number, cores = workers): [number, number] {
  const messages = 2 * (workers - 1);
  return [messages, ((messages / workers) * bytes * workers) / Math.min(workers, cores)];
}

const allReduce = ({alpha, beta}: Link, workers: number, bytes: number, cores?: number): number => {
  const [messages, moved] = ring(workers, bytes, cores);
  return messages * alpha + moved * beta;
};

/** Least squares of the relative errors, so that small messages count as much as large ones. */
function fit(measured: readonly Measured[], cores: number): Link {
  let [aa, ab, bb, a1, b1] = [0, 0, 0, 0, 0];
  for (const {workers, bytes, ms} of measured) {
    const [x, y] = ring(workers, bytes, cores).map((term) => term / ms);
    aa += x * x;
    ab += x * y;
    bb += y * y;
    a1 += x;
    b1 += y;
  }
  const determinant = aa * bb - ab * ab;
  return {alpha: (a1 * bb - b1 * ab) / determinant, beta: (aa * b1 - ab * a1) / determinant};
}

/**
 * Milliseconds of a step: the way back is two thirds of computing, buckets set out as their gradients are made, one after the other, and the
 * step ends with the last.
 */
function step(computing: number, bytes: number, bucketTime: (bytes: number) => number, bucket = 4 << 20): number {
  const count = Math.ceil(bytes / bucket);
  let free = 0;
  for (let i = 1; i <= count; i++) {
    const made = computing * (1 / 3 + (2 / 3) * (i / count));
    free = Math.max(free, made) + bucketTime(bytes / count);
  }
  return Math.max(computing, free);
}

/** The shortest computing of a step, in milliseconds, that is `share` of it. */
function computingFor(share: number, stepOf: (computing: number) => number): number {
  let [low, high] = [1e-3, 1e9];
  while (high / low > 1.001) {
    const middle = Math.sqrt(low * high);
    if (middle / stepOf(middle) >= share) high = middle;
    else low = middle;
  }
  return high;
}

const print = (cells: (string | number)[]) =>
  console.log(`| ${cells.map((cell) => (typeof cell === 'number' ? cell.toPrecision(3) : cell)).join(' | ')} |`);
const header = (cells: string[]) => {
  print(cells);
  console.log(`|${cells.map(() => '---').join('|')}|`);
};

export function benchScaling(): void {
  const {figures, machine} = JSON.parse(readFileSync(join(import.meta.dirname, 'results/cluster.json'), 'utf8')) as {
    figures: Record<string, number | string>[];
    machine: {cores: number; loadOfTheMachine: number};
  };
  const {cores} = machine;
  const measured = figures
    .filter(({what}) => what === 'sizes')
    .map((row): Measured => ({workers: +row.workers, bytes: +row.bytes, ms: +row['all-reduce ms']}));
  const link = fit(measured, cores);
  const rate = 1e-6 / link.beta;
  console.log(`α ${link.alpha.toPrecision(3)} ms a message, β ${rate.toPrecision(3)} GB/s through a core; load of the machine ${machine.loadOfTheMachine.toFixed(0)}\n`); // prettier-ignore
  header(['workers', 'bytes', 'measured ms', 'model ms', 'model / measured', 'fitted on the other numbers of workers']);
  for (const row of measured) {
    const {workers, bytes, ms} = row;
    const others = fit(
      measured.filter((other) => other.workers !== workers),
      cores,
    );
    const [own, held] = [link, others].map((by) => allReduce(by, workers, bytes, cores));
    print([String(workers), String(bytes), ms, own, own / ms, held / ms]);
  }
  console.log('\nA step of two workers, simulated and measured:\n');
  header(['job', 'simulated ms', 'measured ms']);
  for (const row of figures.filter(({what}) => what === 'steps')) {
    const simulated = step(+row['half a batch ms'], 4 * +row.parameters, (bytes) => allReduce(link, 2, bytes));
    print([String(row.job), simulated, +row['two workers ms']]);
  }
  const sizes = {'mamba-130m': 129e6, 'mamba-1.4b': 1372e6};
  const links: Record<string, Link> = {
    'as measured': link,
    '10 µs, 3 GB/s (supposed)': {alpha: 0.01, beta: 1e-6 / 3},
  };
  console.log('\nMachines of their own:\n');
  header(['model', 'link', 'workers', 'bucket, MiB', 'all gradients, s', 'computing for 0.9, s']);
  for (const [model, parameters] of Object.entries(sizes)) {
    for (const [name, by] of Object.entries(links)) {
      for (const workers of [8, 64, 512]) {
        const bytes = 4 * parameters;
        const time = (size: number) => allReduce(by, workers, size);
        const tried = buckets.map((bucket) => ({
          bucket,
          needed: computingFor(0.9, (computing) => step(computing, bytes, time, bucket)),
        }));
        const {bucket, needed} = tried.reduce((best, other) => (other.needed < best.needed ? other : best));
        const all = Math.ceil(bytes / bucket) * time(bytes / Math.ceil(bytes / bucket));
        print([model, name, String(workers), (bucket / (1 << 20)).toFixed(0), all / 1000, needed / 1000]);
      }
    }
  }
}
