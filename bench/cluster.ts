/**
 * All-reduce between two processes of this machine by size, beside plain TCP through loopback: the same bytes both ways at once, without
 * adding them. And a training step of the main job in one process and in two, with one thread each, and the part of it that is not computing.
 */
import {once} from 'node:events';
import {readFile} from 'node:fs/promises';
import {connect, createServer, type Socket} from 'node:net';
import {fileURLToPath} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {model as config, recipe} from '../models/shakespeare/recipe';
import {freePorts, launch} from '../scripts/launch.js';
import type {Cluster} from '../src/node';
import {adamW, characterTokenizer, joinCluster, mambaLM, tokenWindows, trainer} from '../src/node';
import {printTable} from './timing';

const sizes = [1, 1 << 10, 1 << 14, 1 << 18, 1 << 20, 1 << 22];
const rounds = 3;

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

/** Milliseconds of a step, from a fresh model; the first two do not count. */
async function stepTime(text: string, batchSize: number, cluster?: Cluster): Promise<number> {
  const tokenizer = characterTokenizer(text);
  const model = mambaLM({...config, vocabSize: tokenizer.vocabSize}, {seed: recipe.seed});
  const optimizer = adamW({learningRate: recipe.floor});
  const ends: number[] = [];
  await trainer(model, {optimizer, cluster}).fit(
    tokenWindows(tokenizer.encode(text), {batchSize, length: recipe.length, seed: recipe.seed}),
    {steps: 12, callbacks: {onStep: () => void ends.push(performance.now())}},
  );
  optimizer.dispose();
  model.dispose();
  return Math.min(...ends.slice(2).map((end, i) => end - ends[i + 1]));
}

async function worker(tcpPort: number): Promise<void> {
  const cluster = await joinCluster();
  const {rank} = cluster;
  const socket = await plainTcp(rank, tcpPort, () => cluster.barrier());
  const exchange = exchanger(socket);
  const rows: (string | number)[][] = [['bytes', 'all-reduce ms', 'GB/s', 'TCP ms', 'GB/s', 'ratio']];
  for (const size of sizes) {
    const x = tf.ones([size]);
    const message = Buffer.alloc(4 * size);
    const count = size < 1 << 18 ? 30 : 5;
    let [reduce, tcp] = [Infinity, Infinity];
    for (let round = 0; round < rounds; round++) {
      reduce = Math.min(reduce, await meanTime(async () => tf.dispose(await cluster.allReduce(x)), count));
      await cluster.barrier();
      tcp = Math.min(tcp, await meanTime(() => exchange(message), count));
      await cluster.barrier();
    }
    x.dispose();
    const rate = (ms: number) => (4 * size) / ms / 1e6;
    rows.push([String(4 * size), reduce, rate(reduce), tcp, rate(tcp), reduce / tcp]);
  }
  socket.destroy();
  if (rank === 0) printTable(rows);
  await cluster.barrier();

  const text = await readFile(new URL('../models/data/tinyshakespeare.txt', import.meta.url), 'utf8');
  const batchSize = 8;
  let [one, half, two] = [Infinity, Infinity, Infinity];
  for (let round = 0; round < rounds; round++) {
    // Alone while the other waits, so that one worker has one core, as each of two has.
    if (rank === 0) {
      one = Math.min(one, await stepTime(text, batchSize));
      half = Math.min(half, await stepTime(text, batchSize / 2));
    }
    await cluster.barrier();
    two = Math.min(two, await stepTime(text, batchSize, cluster));
  }
  if (rank === 0) {
    const show = (ms: number) => ms.toFixed(1);
    console.log(
      `main job, ${batchSize}×${recipe.length}, one thread a worker: one worker ${show(one)} ms a step, two ${show(two)} ms: ` +
        `efficiency ${(one / two / 2).toFixed(2)}; half a batch alone ${show(half)} ms, so ${show(two - half)} ms is not computing`,
    );
  }
  await cluster.leave();
}

/** Runs the benchmark: this file again, as two processes with one thread each. */
export async function benchCluster(): Promise<void> {
  const [tcpPort] = await freePorts(1);
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2';
  const status = await launch(2, [
    process.execPath,
    '--import',
    'tsx',
    fileURLToPath(import.meta.url),
    String(tcpPort),
  ]);
  if (status !== 0) throw new Error('a worker of the benchmark failed');
}

const [, script, tcpPort] = process.argv;
if (script === fileURLToPath(import.meta.url)) await worker(Number(tcpPort));
