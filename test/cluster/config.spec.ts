/** What describes a cluster, from TF_CONFIG or the program: defaults and refusals. Needs no TensorFlow. */
import {once} from 'node:events';
import {createServer as createHttp2} from 'node:http2';
import type {AddressInfo} from 'node:net';
import {createServer} from 'node:net';
import {freePorts} from '../../scripts/launch.js';
import type {ClusterConfig} from '../../src/cluster/config';
import {resolveClusterConfig} from '../../src/cluster/config';
import {callKey} from '../../src/cluster/key';
import {contextConfig, serverDef} from '../../src/cluster/messages';
import {introduction, jobName, misfitOf} from '../../src/cluster/nodeIntroduction';
import {peersUp} from '../../src/cluster/nodePeers';

const worker = ['10.0.0.1:2222', '[::1]:2223', 'c:2224'];
const cluster = {worker};
const task = (index: number) => ({type: 'worker' as const, index});
const defaults = {timeoutSeconds: 30, patienceSeconds: 600, communication: 'ring' as const};

describe('the description of a cluster', () => {
  it('is read from TF_CONFIG, unless the program gives one', () => {
    const text = JSON.stringify({cluster, task: task(2), environment: 'cloud'});
    expect(resolveClusterConfig({}, text)).toEqual({addresses: worker, rank: 2, ...defaults});
    const own: ClusterConfig = {cluster: {worker: ['x:1', 'y:1']}, task: task(1), timeoutSeconds: 5};
    expect(resolveClusterConfig(own, text)).toEqual({
      addresses: ['x:1', 'y:1'],
      rank: 1,
      ...defaults,
      timeoutSeconds: 5,
    });
  });

  it('is that of one process where there is none', () => {
    for (const none of [undefined, '', ' ']) {
      const {addresses, rank} = resolveClusterConfig({}, none);
      expect([addresses.length, rank]).toEqual([1, 0]);
    }
  });

  const wrong: [ClusterConfig | string, string][] = [
    ['{', 'joinCluster: TF_CONFIG must be JSON, but '],
    ['3', "joinCluster: TF_CONFIG: cluster must be {worker: ['host:port', …]} and have no other jobs, but has none"],
    [
      JSON.stringify({cluster: {chief: ['a:1'], worker}, task: task(0)}),
      "joinCluster: TF_CONFIG: cluster must be {worker: ['host:port', …]} and have no other jobs, but has chief, worker",
    ],
    [
      JSON.stringify({cluster, task: {type: 'ps', index: 0}}),
      `joinCluster: TF_CONFIG: task.type must be 'worker', but is "ps"`,
    ],
    [{cluster, task: task(3)}, 'joinCluster: task.index must be a whole number from 0 to 2, but is 3'],
    [{cluster, task: task(0.5)}, 'joinCluster: task.index must be a whole number from 0 to 2, but is 0.5'],
    [{cluster: {worker: []}, task: task(0)}, "joinCluster: cluster must be {worker: ['host:port', …]}"],
    [
      {cluster: {worker: ['a:1', 'a']}, task: task(0)},
      `joinCluster: cluster.worker must be a list of 'host:port', but has "a"`,
    ],
    [
      {cluster: {worker: ['a:70000']}, task: task(0)},
      `joinCluster: cluster.worker must be a list of 'host:port', but has "a:70000"`,
    ],
    [{cluster: {worker: ['a:1', 'a:1']}, task: task(0)}, 'joinCluster: cluster.worker has a:1 twice'],
    [{cluster}, "joinCluster: task.type must be 'worker', but is undefined"],
    [{timeoutSeconds: 0}, 'joinCluster: timeoutSeconds must be a positive number, but is 0'],
    [{patienceSeconds: NaN}, 'joinCluster: patienceSeconds must be a positive number, but is NaN'],
    [{communication: 'mpi' as 'ring'}, `joinCluster: communication must be one of 'ring', 'nccl', but is "mpi"`],
    [{workers: 2} as ClusterConfig, 'joinCluster: unknown argument workers'],
  ];
  it('is refused with what is wrong in it', () => {
    for (const [given, message] of wrong) {
      const resolve = () =>
        typeof given === 'string' ? resolveClusterConfig({}, given) : resolveClusterConfig(given, undefined);
      expect(resolve)
        .withContext(message)
        .toThrowError(Error, new RegExp(`^${message.replace(/[[\]{}.()|?+*\\^$]/g, '\\$&')}`));
    }
  });

  it('has the bytes that protocol buffers give it', () => {
    // By Python's protobuf and TensorFlow 2.21's own *_pb2.py, which may write the two tasks in either order:
    // cluster {job {name: "worker" tasks {key: 0 value: "a:1"} tasks {key: 1 value: "b:2"}}} job_name: "worker" task_index: 1
    // default_session_config {experimental {collective_group_leader: "/job:worker/replica:0/task:0"}} protocol: "grpc"
    // Beside the leader recv_buf_max_chunk: 65536, field 4 of int32 by the descriptor in libtensorflow_framework: 20 80 80 04.
    const expected =
      '0a1c0a1a0a06776f726b6572120708001203613a31120708011203623a32' +
      '1206776f726b65721801' +
      '22258201220a1c2f6a6f623a776f726b65722f7265706c6963613a302f7461736b3a3020808004' +
      '2a0467727063';
    expect(Buffer.from(serverDef(['a:1', 'b:2'], 1)).toString('hex')).toBe(expected);
    expect(Buffer.from(contextConfig(false)).toString('hex'))
      .withContext('device_count {GPU: 0}')
      .toBe('0a070a034750551000');
  });

  it('lets no two different calls meet', () => {
    const whats = [
      'sum float32 2',
      'sum float32 3',
      'sum int32 2',
      'max float32 2',
      'gather float32 2',
      'sum float32 2,1',
    ];
    const keys = whats.map(callKey);
    expect(new Set(keys).size).toBe(keys.length);
    expect(keys.every((key) => Number.isInteger(key) && key >= 0 && key < 2 ** 31)).toBeTrue();
  });

  it('tells of each worker that does not come up what is in the way', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const here = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const [nobody] = (await freePorts(1)).map((port) => `127.0.0.1:${port}`);
    const {message} = await peersUp([here, nobody, 'no-such-host.invalid:2222'], 2).then(
      () => new Error('all came up'),
      (error: Error) => error,
    );
    const [second, third] = message.split('; ');
    expect(second).toBe(`worker 1 (${nobody}) did not come up within 2 s: nothing listens there`);
    // Who asks a name server that does not answer either does not hear of it in time.
    expect(third).toMatch(
      /^worker 2 \(no-such-host\.invalid:2222\) did not come up within 2 s: (the host is unknown|no answer)$/,
    );
    await expectAsync(peersUp([here], 5)).toBeResolved();
    server.close();
  });

  it('is compared with that of whoever answers', () => {
    const device = (name: string, task: number) =>
      `\x0a\x29/job:${name}/replica:0/task:${task}/device:CPU:0\x12\x03CPU`;
    const job = jobName(worker, '1.2.0-rc.1');
    const same = 'all workers must be given the same cluster, but that of B has';
    const other = [...worker].reverse();
    const cases: [string, string | undefined][] = [
      [device(job, 1), undefined],
      [device(job, 0), 'B answers as worker 0: task.index must be 1 there'],
      [device(jobName(worker.slice(1), '1.2.0-rc.1'), 1), `${same} 2 workers, and that of this process 3`],
      [device(jobName(other, '1.2.0-rc.1'), 1), `${same} other addresses, or another order of them`],
      [
        device(jobName(worker, '1.1.0'), 1),
        'all workers must run the same version of tfjs-mamba, but B runs 1.1.0, and this process 1.2.0.rc.1',
      ],
      [device('localhost', 1), 'B is a server of TensorFlow, but not a worker of tfjs-mamba'],
      ['something', 'B is a server, but not a worker of tfjs-mamba'],
    ];
    for (const [answer, expected] of cases) expect(misfitOf(answer, 'B', 1, job)).toBe(expected);
  });

  it('is refused where another process answers at the address of this one', async () => {
    const job = jobName(['x'], '1.0.0');
    const serve = (drawn: string) =>
      createHttp2((_, response) => void response.end(`/job:${job}/replica:0/task:0/device:CPU:0${drawn}`));
    const elsewhere = serve('a').listen(0, '127.0.0.2');
    await once(elsewhere, 'listening');
    const {port} = elsewhere.address() as AddressInfo;
    const here = serve('b').listen(port, '127.0.0.1');
    await once(here, 'listening');
    const ask = (host: string) => introduction([`${host}:${port}`], {own: 0, asked: 0}, job, 60_000);
    await expectAsync(ask('127.0.0.1')).toBeResolvedTo(undefined);
    await expectAsync(ask('127.0.0.2')).toBeRejectedWithError(/another one answers there: task.index must be another/);
    here.close();
    elsewhere.close();
  });

  it('is given up at once for all when one worker never fits, and those that are missing are told of', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const here = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    const [nobody] = (await freePorts(1)).map((port) => `127.0.0.1:${port}`);
    const warnings: string[] = [];
    const warn = (text: string) => void warnings.push(text);
    const meet = () => Promise.reject(new Error('another cluster'));
    await expectAsync(peersUp([here, nobody], 3600, {meet, warn, warnSeconds: 0.5})).toBeRejectedWithError(
      'another cluster',
    );
    expect(warnings[0]).toContain(`worker 1 (${nobody}) is not there yet: nothing listens there`);
    server.close();
  });
});
