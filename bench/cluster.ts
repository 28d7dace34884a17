/**
 * All-reduce between processes of this machine by size and number, beside plain TCP through loopback: the same bytes both ways at once, without
 * adding them. And a training step in one process and in two, with one core each, and the part of it that is not computing. What is measured is
 * kept in results/, of which `npm run bench -- scaling` makes its model.
 */
import {spawnSync} from 'node:child_process';
import {once} from 'node:events';
import {readFile, rm, writeFile} from 'node:fs/promises';
import {connect, createServer, type Socket} from 'node:net';
import {availableParallelism, tmpdir} from 'node:os';
import {join} from 'node:path';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {model as config, recipe} from '../models/shakespeare/recipe';
import {freePorts, launch} from '../scripts/launch.js';
import type {Cluster} from '../src/node';
import {adamW, characterTokenizer, joinCluster, mambaLM, tokenWindows, trainer} from '../src/node';
import type {Figures} from './results';
import {saveResults} from './results';
import {median, printTable} from './timing';

const sizes = [1, 1 << 10, 1 << 14, 1 << 18, 1 << 20, 1 << 22];
const rounds = 3;
/** What is compared, one after the other, so often; ratios are of one turn, as the pace of a shared machine changes. */
const turnsOfSteps = 8;

/** Milliseconds of a call, from so many in a row: one side may be ahead of the other within them. */
async function meanTime(call: () => Promise<unknown>, count: number): Promise<number> {
  await call(); // the first call does not count
  const start = performance.now();
  for (let i = 0; i < count; i++) await call();
  return (performance.now() - start) / count;
}

/** Sends a message and waits for one as long, as both sides do at once; the other side may be at its next already. */
function exchanger(socket: Socket): (message: Buffer) => Promise<void> {
  let missing = 0;
  let go = () => {};
  socket.on('data', ({length}) => {
    missing -= length;
    if (missing <= 0) go();
  });
  return (message) =>
    new Promise((resolve) => {
      go = resolve;
      missing += message.length;
      socket.write(message);
      if (missing <= 0) resolve();
    });
}

/** The two ends of a connection, for rank 0 and rank 1; rank 0 must be the first to ask. */
async function plainTcp(rank: number, port: number, bothAreThere: () => Promise<void>): Promise<Socket> {
  if (rank === 0) {
    const server = createServer().listen(port, '127.0.0.1');
    await once(server, 'listening');
    const connection = once(server, 'connection') as Promise<Socket[]>;
    await bothAreThere();
    const [socket] = await connection;
    server.close();
    return socket.setNoDelay();
  }
  await bothAreThere();
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket.setNoDelay();
}

/** What steps are looked at: those of the main job, and of a model whose steps take longer than a message, and far longer. */
const jobs: Record<string, {config: {dModel: number; nLayer: number; dState: number}; length: number; steps: number}> =
  {
    'main job': {config, length: recipe.length, steps: 20},
    '4 layers, 256 wide': {config: {dModel: 256, nLayer: 4, dState: 16}, length: 128, steps: 12},
    'the same, long rows': {config: {dModel: 256, nLayer: 4, dState: 16}, length: 1024, steps: 8},
  };

/** What a step has sent, and how long it has waited for it after the way back. */
interface Sending {
  shapes: number[][][];
  waited: number;
}

/** The same member, whose sums are noted down. */
function noting(cluster: Cluster, step: Sending): Cluster {
  const sumAll: Cluster['sumAll'] = async (tensors, weight) => {
    step.shapes.push(tensors.map(({shape}) => shape));
    const start = performance.now();
    const sums = await cluster.sumAll(tensors, weight);
    step.waited = performance.now() - start; // that of the last bucket stays, which sets out when the way back has ended
    return sums;
  };
  return Object.assign(Object.create(cluster) as Cluster, {sumAll});
}

/** Milliseconds of the same sums with nothing to hide behind. */
async function sumsAlone(cluster: Cluster, shapes: number[][][]): Promise<number> {
  const buckets = shapes.map((bucket) => bucket.map((shape) => tf.ones(shape)));
  const all = () => Promise.all(buckets.map(async (bucket) => tf.dispose(await cluster.sumAll(bucket))));
  let best = Infinity; // of single ones, as the best step is one too
  for (let i = 0; i < 5 * rounds; i++) best = Math.min(best, await meanTime(all, 1));
  tf.dispose(buckets);
  await cluster.barrier();
  return best;
}

/** Milliseconds of a step by the clock and of all threads, from a fresh model; the first two do not count. */
async function stepTime(text: string, job: string, batchSize: number, cluster?: Cluster) {
  const {config, length, steps} = jobs[job];
  const tokenizer = characterTokenizer(text);
  const model = mambaLM({...config, vocabSize: tokenizer.vocabSize}, {seed: recipe.seed});
  const optimizer = adamW({learningRate: recipe.floor});
  const ends: number[][] = [];
  const sending: Sending = {shapes: [], waited: Infinity};
  let waited = Infinity;
  let shapes: number[][][] = [];
  const onStep = () => {
    waited = Math.min(waited, sending.waited);
    shapes = sending.shapes.splice(0);
    const {user, system} = process.cpuUsage();
    ends.push([performance.now(), (user + system) / 1000]);
  };
  await trainer(model, {optimizer, cluster: cluster && noting(cluster, sending)}).fit(
    tokenWindows(tokenizer.encode(text.slice(0, 100_000)), {batchSize, length, seed: recipe.seed}),
    {steps, verbose: 0, callbacks: {onStep}},
  );
  optimizer.dispose();
  model.dispose();
  const took = (part: number) => Math.min(...ends.slice(2).map((end, i) => end[part] - ends[i + 1][part]));
  return {times: [took(0), took(1)], shapes, waited};
}

/**
 * One core for each of two workers, so that one has neither more nor less than the other, alone or not; far apart, as neighbours may be two
 * threads of one core.
 */
function takeOneCore(rank: number): boolean {
  const cores = availableParallelism();
  const core = String((rank * Math.ceil(cores / 2)) % cores);
  return spawnSync('taskset', ['-a', '-c', '-p', core, String(process.pid)]).status === 0;
}

/** Milliseconds of an all-reduce of so many numbers. */
async function reduceTime(cluster: Cluster, size: number): Promise<number> {
  const x = tf.ones([size]);
  const time = await meanTime(async () => tf.dispose(await cluster.allReduce(x)), size < 1 << 18 ? 30 : 5);
  x.dispose();
  await cluster.barrier();
  return time;
}

/** The mean of what the workers give, place by place. */
async function meanOf(cluster: Cluster, values: number[]): Promise<number[]> {
  const own = tf.tensor1d(values);
  const mean = await cluster.allReduce(own, 'mean');
  const result = Array.from(await mean.data());
  tf.dispose([own, mean]);
  return result;
}

/** How long a step takes in one worker and in two of one core each, and what of the all-reduce is hidden behind computing. */
async function benchSteps(cluster: Cluster): Promise<Figures> {
  const {rank} = cluster;
  const text = await readFile(new URL('../models/data/tinyshakespeare.txt', import.meta.url), 'utf8');
  const batchSize = 8;
  const figures: Figures = [];
  for (const job of Object.keys(jobs)) {
    const turns: Array<Record<'one' | 'half' | 'beside' | 'two', number[]>> = [];
    let shapes: number[][][] = [];
    let waited = Infinity;
    for (let turn = 0; turn < turnsOfSteps; turn++) {
      // Alone while the other waits, so that one worker has one core, as each of two has. Cores differ, so each has its turn, and their mean counts.
      let own: number[] = [];
      for (let whose = 0; whose < cluster.size; whose++) {
        if (rank === whose) own = (await stepTime(text, job, batchSize)).times;
        await cluster.barrier();
      }
      const one = await meanOf(cluster, own);
      const half = rank === 0 ? (await stepTime(text, job, batchSize / 2)).times : [0, 0];
      await cluster.barrier();
      // The same while the other does the same for itself: what two cores of one memory leave to each other.
      const beside = await meanOf(cluster, (await stepTime(text, job, batchSize)).times);
      await cluster.barrier();
      const step = await stepTime(text, job, batchSize, cluster);
      turns.push({one, half, beside, two: step.times});
      shapes = step.shapes;
      waited = Math.min(waited, step.waited);
    }
    const size = mambaLM({...jobs[job].config, vocabSize: 65}).countParams();
    const alone = await sumsAlone(cluster, shapes);
    const ms = (name: keyof (typeof turns)[0], part: number) => median(turns.map((turn) => turn[name][part]));
    const share = (name: 'half' | 'two', part: number, base: 'one' | 'beside' = 'one') =>
      median(turns.map((turn) => turn[base][part] / turn[name][part])) / 2;
    figures.push({
      job,
      parameters: size,
      'one worker ms': ms('one', 0),
      'half a batch ms': ms('half', 0),
      'one beside another ms': ms('beside', 0),
      'two workers ms': ms('two', 0),
      'all-reduce alone ms': alone,
      'waited for after the way back ms': waited,
      'part of it hidden': Math.max(0, 1 - waited / alone),
      efficiency: share('two', 0),
      'efficiency over one beside another': share('two', 0, 'beside'),
      'efficiency without any sending': share('half', 0),
      'one, processor ms': ms('one', 1),
      'half, processor ms': ms('half', 1),
      'two, processor ms': ms('two', 1),
      'efficiency by processor time': share('two', 1),
      'over one beside another': share('two', 1, 'beside'),
      'without any sending': share('half', 1),
    });
  }
  return figures;
}

/** All-reduce by size beside plain TCP, between two workers. */
async function benchMessages(cluster: Cluster, tcpPort: number): Promise<Figures> {
  const socket = await plainTcp(cluster.rank, tcpPort, () => cluster.barrier());
  const exchange = exchanger(socket);
  const figures: Figures = [];
  for (const size of sizes) {
    const message = Buffer.alloc(4 * size);
    let [reduce, tcp] = [Infinity, Infinity];
    for (let round = 0; round < rounds; round++) {
      reduce = Math.min(reduce, await reduceTime(cluster, size));
      tcp = Math.min(tcp, await meanTime(() => exchange(message), size < 1 << 18 ? 30 : 5));
      await cluster.barrier();
    }
    const rate = (ms: number) => (4 * size) / ms / 1e6;
    figures.push({
      bytes: 4 * size,
      'all-reduce ms': reduce,
      'GB/s': rate(reduce),
      'TCP ms': tcp,
      'TCP GB/s': rate(tcp),
    });
  }
  socket.destroy();
  return figures;
}

/** All-reduce by size, between as many workers as there are. */
async function benchSizes(cluster: Cluster): Promise<Figures> {
  const figures: Figures = [];
  for (const size of sizes) {
    let best = Infinity;
    for (let round = 0; round < rounds; round++) best = Math.min(best, await reduceTime(cluster, size));
    figures.push({workers: cluster.size, bytes: 4 * size, 'all-reduce ms': best});
  }
  return figures;
}

async function worker(what: string, out: string, tcpPort: number): Promise<void> {
  const cluster = await joinCluster();
  const isPinned = what === 'steps' && takeOneCore(cluster.rank);
  const measure = {
    sizes: () => benchSizes(cluster),
    messages: () => benchMessages(cluster, tcpPort),
    steps: () => benchSteps(cluster),
  }[what as 'sizes'];
  const figures = await measure();
  if (cluster.rank === 0) {
    printTable([Object.keys(figures[0]), ...figures.map((row) => Object.values(row) as (string | number)[])]);
    if (what === 'steps')
      console.log(
        isPinned
          ? 'each worker on a core of its own, so that what is hidden still takes processor time from computing'
          : 'taskset is missing: no cores of their own',
      );
    await writeFile(out, JSON.stringify(figures));
  }
  await cluster.leave();
}

/** Runs the benchmark: this file again, as processes with one thread each. */
export async function benchCluster(): Promise<void> {
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  process.env['TFJS_MAMBA_THREADS'] = process.env['TF_NUM_INTRAOP_THREADS'] = process.env['OMP_NUM_THREADS'] = '1';
  const out = join(tmpdir(), `tfjs-mamba-bench-${process.pid}.json`);
  const figures: Figures = [];
  for (const [workers, what] of [
    [2, 'messages'],
    [2, 'steps'],
    [2, 'sizes'],
    [3, 'sizes'],
    [4, 'sizes'],
  ] as const) {
    // prettier-ignore
    const [tcpPort] = await freePorts(1);
    const file = fileURLToPath(import.meta.url);
    const status = await launch(workers, [process.execPath, '--import', 'tsx', file, what, out, String(tcpPort)]);
    if (status !== 0) throw new Error('a worker of the benchmark failed');
    figures.push(...(JSON.parse(await readFile(out, 'utf8')) as Figures).map((row) => ({what, ...row})));
  }
  await rm(out);
  saveResults('cluster', figures, {});
}

const [, script, what, out, tcpPort] = process.argv;
if (script === fileURLToPath(import.meta.url)) await worker(what, out, Number(tcpPort));
