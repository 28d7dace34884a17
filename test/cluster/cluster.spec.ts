/** Processes that work together, on 127.0.0.1: what the collective calls give, and what happens when a worker is lost. */
import {once} from 'node:events';
import {createServer} from 'node:net';
import type {EveryCall} from './everyCall';
import {runCluster, startWorker, tfConfigs} from './processes';
import type {Trouble} from './trouble';

const numbers = (length: number, value: (i: number) => number) => Array.from({length}, (_, i) => value(i));
const total = (values: number[]) => values.reduce((a, b) => a + b, 0);

describe('a cluster', () => {
  for (const size of [2, 3]) {
    it(`of ${size} reduces, gathers and broadcasts`, async () => {
      const found = await runCluster<EveryCall>('everyCall.ts', size);
      const ranks = numbers(size, (rank) => rank);
      const x = ranks.map((rank) => [rank + 1, -rank, 0.5]);
      const columns = [0, 1, 2].map((i) => x.map((row) => row[i]));
      const counts = ranks.map((rank) => [rank, 7]);
      const many = numbers(1000, (i) =>
        total(ranks.map((rank) => Math.fround(Math.sin(i + 1000 * rank) * 10 ** (i % 7)))),
      );
      const expected: Record<string, [string, number[], number[]]> = {
        sum: ['float32', [1, 3], columns.map(total)],
        mean: ['float32', [1, 3], columns.map((column) => Math.fround(total(column) / size))],
        max: ['float32', [1, 3], columns.map((column) => Math.max(...column))],
        min: ['float32', [1, 3], columns.map((column) => Math.min(...column))],
        scalar: ['float32', [], [total(ranks) + size]],
        counts: ['int32', [2], [total(ranks), 7 * size]],
        gathered: ['float32', [size, 3], x.flat()],
        gatheredCounts: ['int32', [2 * size], counts.flat()],
        fromFirst: ['float32', [1, 3], x[0]],
        fromLast: ['int32', [2], counts[size - 1]],
        empty: ['float32', [0, 3], []],
        'part 0': ['float32', [1, 3], columns.map((column) => total(column) / 2)],
        'part 1': ['float32', [0, 2], []],
        'part 2': ['float32', [], [total(ranks) / 2]],
        unweighted: ['float32', [1, 3], columns.map(total)],
        atOnce: ['float32', [20], numbers(20, (i) => i * (total(ranks) + size))],
      };
      for (const [i, {rank, size: told, given, tensors, refused}] of found.entries()) {
        expect([rank, told]).toEqual([i, size]);
        for (const [name, [dtype, shape, values]] of Object.entries(expected)) {
          const result = {...given[name], values: given[name].values.map((value) => value + 0)}; // -0 is 0
          expect(result)
            .withContext(name)
            .toEqual({dtype, shape, values: values.map((value) => value + 0)});
        }
        expect(Math.max(...given['many'].values.map((value, k) => Math.abs(value - many[k])))).toBeLessThan(0.5);
        expect(Math.max(...given['part 3'].values.map((value, k) => Math.abs(value - many[k] / 2)))).toBeLessThan(0.5);
        expect(given['part 3'].values).withContext('the same bits as rank 0').toEqual(found[0].given['part 3'].values);
        expect(given['many'].values).withContext('the same bits as rank 0').toEqual(found[0].given['many'].values);
        expect(tensors).toBe(0);
        expect(refused).toEqual([
          `allReduce: reduction must be one of 'sum', 'mean', 'max', 'min', but is "product"`,
          'allReduce: mean needs a tensor of dtype float32, but has int32',
          'allReduce: x must have dtype float32 or int32, but has bool',
          'allGather: x must have a first axis, but is a scalar',
          `broadcast: root must be below the size of the cluster, ${size}, but is ${size}`,
          'sumAll: tensors must have dtype float32, but has int32',
          'sumAll: weight must be a scalar, but has shape [1000]',
          'allReduce: this process has left the cluster',
        ]);
      }
    });
  }

  it('of one needs no other', async () => {
    const worker = startWorker('everyCall.ts', undefined);
    const {given, size, rank} = (await worker.result) as EveryCall;
    expect([rank, size]).toEqual([0, 1]);
    expect(given['sum'].values).toEqual(given['gathered'].values);
    expect(given['mean'].values).toEqual(given['fromFirst'].values);
    expect([0, 1, 2].map((i) => given[`part ${i}`])).toEqual([
      {dtype: 'float32', shape: [1, 3], values: given['sum'].values.map((value) => value / 2)},
      {dtype: 'float32', shape: [0, 2], values: []},
      {dtype: 'float32', shape: [], values: [0]},
    ]);
  });

  for (const signal of ['SIGKILL', 'SIGSTOP'] as const) {
    it(`names the worker that is lost by ${signal}, within the time-out`, async () => {
      // Between what a busy machine takes to answer and the patience with workers that answer.
      const [timeout, patience] = [5, 60];
      const configs = await tfConfigs(3);
      const workers = configs.map((config) =>
        startWorker('trouble.ts', config, ['together', String(timeout), String(patience)]),
      );
      try {
        await Promise.all(workers.map(({ready}) => ready));
        workers[1].child.kill(signal);
        const found = (await Promise.all([0, 2].map((rank) => workers[rank].result))) as Trouble[];
        const lost = (JSON.parse(configs[1]) as {cluster: {worker: string[]}}).cluster.worker[1];
        // One of the two may hear of it later, from the other one's end.
        expect(found.some(({messages}) => messages[0].includes(`worker 1 (${lost})`))).toBeTrue();
        for (const {messages, seconds} of found) {
          expect(messages[0]).toMatch(
            /^allReduce of float32 \[1000\]: .*worker [0-2] \(127\.0\.0\.1:\d+\).* not answered/,
          );
          expect(messages[1]).toMatch(/^allReduce of float32 \[1000\]: the cluster has failed: .*worker [0-2]/);
          expect(messages[2]).toMatch(/^leave: the cluster has failed: .*worker [0-2]/);
          expect(seconds).toBeLessThan(patience);
        }
      } finally {
        for (const {child} of workers) child.kill('SIGKILL');
        await Promise.allSettled(workers.map(({result}) => result));
      }
    });
  }

  it('ends calls that do not fit each other when its patience is over', async () => {
    const found = await runCluster<Trouble>('trouble.ts', 2, ['differently', '60', '10']);
    const why = 'all workers answer, but not all have made the same call, with the same shape and type, within 10 s';
    // One of the two may hear of it from the other one's end.
    expect(found.some(({messages}) => messages[0].includes(why))).toBeTrue();
    for (const {messages} of found) expect(messages[0]).toMatch(new RegExp(`${why}|worker [01] .* has not answered`));
  });

  it('tells of a worker that has been given another number of workers', async () => {
    // The third is never there, and the patience a minute.
    const {worker} = (JSON.parse((await tfConfigs(3))[0]) as {cluster: {worker: string[]}}).cluster;
    const workers = [2, 3].map((size, index) => {
      const config = {cluster: {worker: worker.slice(0, size)}, task: {type: 'worker', index}};
      return startWorker('trouble.ts', JSON.stringify(config), ['together', '5', '60']);
    });
    const found = (await Promise.all(workers.map(({result}) => result))) as Trouble[];
    const who = (rank: number) => `worker ${rank} (${worker[rank]})`;
    const text = (rank: number, theirs: number, own: number) =>
      `joinCluster: all workers must be given the same cluster, but that of ${who(rank)} has ${theirs} workers, and that of this process ${own}`;
    expect(found.map(({messages}) => messages)).toEqual([[text(1, 3, 2)], [text(0, 2, 3)]]);
    for (const {seconds} of found) expect(seconds).toBeLessThan(60);
  });

  it('says that a port is in use', async () => {
    const [config] = await tfConfigs(2);
    const [address] = (JSON.parse(config) as {cluster: {worker: string[]}}).cluster.worker;
    const server = createServer().listen(Number(address.split(':')[1]), '0.0.0.0');
    await once(server, 'listening');
    const {messages} = (await startWorker('trouble.ts', config, ['together', '5', '5']).result) as Trouble;
    server.close();
    const what = `worker 0 (${address}), as which this process is to join, cannot be served from here`;
    expect(messages).toEqual([`joinCluster: ${what}: its port is in use, or it is another machine's address`]);
  });

  it('names the workers that do not come up', async () => {
    const [config] = await tfConfigs(2);
    const missing = (JSON.parse(config) as {cluster: {worker: string[]}}).cluster.worker[1];
    const {messages} = (await startWorker('trouble.ts', config, ['together', '1', '1']).result) as Trouble;
    expect(messages).toEqual([`joinCluster: worker 1 (${missing}) did not come up within 1 s: nothing listens there`]);
  });
});
