/**
 * `tfjs-mamba launch`: a cluster on one machine. Starts the workers with what joinCluster reads, shares the cores out among them, and
 * sees to it that none outlives the others' failure or the launcher's end.
 */
import {spawn} from 'node:child_process';
import {randomUUID} from 'node:crypto';
import {createServer} from 'node:net';
import {availableParallelism, constants} from 'node:os';
import {createInterface} from 'node:readline';
import {clearTimeout, setTimeout} from 'node:timers';

/** Milliseconds that a worker has between SIGTERM and SIGKILL. */
const grace = 5000;

/** The status of a command that has been called wrongly, which another try does not mend. */
const misuse = 2;

/**
 * A shell's program that gets the ids of the workers, and ends them when its standard input does, which is the end of a launcher that had
 * no time to: of one that was killed with SIGKILL.
 */
const guard = `read -r end && exit; for g; do kill -TERM "$g"; done; sleep ${grace / 1000}; for g; do kill -KILL "$g"; done`;

/** Environment variables that say how many threads a process may use: of the native kernels, TensorFlow, oneDNN. */
const threadVariables = ['TFJS_MAMBA_THREADS', 'TF_NUM_INTRAOP_THREADS', 'OMP_NUM_THREADS'];

/**
 * Runs `command` as `workers` processes that are one cluster on 127.0.0.1; resolves to the exit status, that of the first to fail.
 *
 * A group of which a worker fails ends as a whole: its collectives cannot go on. With `restarts` another is started then, up to so many
 * times, and goes on from its program's last checkpoint; with one worker less as long as more than `minWorkers` are left.
 * @param {number} workers
 * @param {string[]} command with its arguments
 * @param {{restarts?: number, minWorkers?: number}} [options]
 * @returns {Promise<number>}
 */
export async function launch(workers, command, {restarts = 0, minWorkers = workers} = {}) {
  /** @type {ReturnType<typeof startGroup> | undefined} */
  let group;
  let stopped = 0;
  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    process.on(signal, () => {
      stopped = 128 + constants.signals[signal];
      group?.end(stopped, `stopped by ${signal}`);
    });
  }
  process.on('exit', () => group?.signalAll('SIGKILL'));
  const id = randomUUID();
  for (let left = restarts; ; left--) {
    const ports = await freePorts(workers);
    if (stopped) return stopped;
    group = startGroup(ports, command, id);
    const status = await group.status;
    if (status === 0 || status === misuse || stopped || left === 0) return status;
    workers = Math.max(minWorkers, workers - 1);
    console.error(`tfjs-mamba launch: starting anew, workers: ${workers}, restarts left: ${left - 1}`);
  }
}

/**
 * @param {number[]} ports
 * @param {string[]} command
 * @param {string} id of the launch
 */
function startGroup(ports, [program, ...args], id) {
  const cluster = {worker: ports.map((port) => `127.0.0.1:${port}`)};
  const threads = String(Math.max(1, Math.floor(availableParallelism() / ports.length)));
  const children = ports.map((_, index) =>
    spawn(program, args, {
      env: {
        ...Object.fromEntries(threadVariables.map((name) => [name, threads])),
        ...process.env,
        TF_CONFIG: JSON.stringify({cluster, task: {type: 'worker', index}}),
        TFJS_MAMBA_LAUNCH: id, // by which src/cli/rounds.ts knows a run that it has begun itself
      },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true, // a process group of its own, so that what a worker starts ends with it
    }),
  );
  const groups = children.flatMap(({pid}) => (pid === undefined ? [] : [`-${pid}`]));
  const guardian = spawn('sh', ['-c', guard, 'sh', ...groups], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true, // Ctrl-C is for the launcher alone
  });
  for (const part of [guardian, guardian.stdin]) part.on('error', () => {}); // without a shell there is none
  /** @param {NodeJS.Signals} signal */
  const signalAll = (signal) => children.forEach(({pid}) => signalGroup(pid, signal));

  let status = 0;
  let ending = false;
  /** @type {NodeJS.Timeout | undefined} */
  let atLast;
  const end = (/** @type {number} */ reason, /** @type {string} */ why) => {
    if (ending) return;
    ending = true;
    status = reason;
    console.error(`tfjs-mamba launch: ${why}; ending all workers`);
    signalAll('SIGTERM');
    atLast = setTimeout(signalAll, grace, 'SIGKILL');
  };

  const done = Promise.all(
    children.map(async (child, rank) => {
      forward(child.stdout, process.stdout, rank);
      forward(child.stderr, process.stderr, rank);
      const [code, signal] = await ended(child);
      // npx and shells end at once, and what they have started may still have to save.
      if (ending) await groupEnds(child.pid);
      signalGroup(child.pid, 'SIGKILL'); // what it has left behind
      if (code !== 0)
        end(code ?? 128 + constants.signals[signal], `worker ${rank} ended with ${signal ?? `status ${code}`}`);
    }),
  );
  return {
    end,
    signalAll,
    status: done.then(() => {
      clearTimeout(atLast); // their ids may be others' soon
      guardian.stdin.end('end\n');
      return status;
    }),
  };
}

/**
 * Ports that nobody listens on, found by listening on all of them at once.
 * @param {number} count
 * @returns {Promise<number[]>}
 */
export async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({length: count}, async () => {
      const server = createServer();
      await new Promise((resolve, reject) =>
        server.once('error', reject).listen(0, '127.0.0.1', () => resolve(undefined)),
      );
      return server;
    }),
  );
  const ports = servers.map((server) => /** @type {import('node:net').AddressInfo} */ (server.address()).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

/**
 * @param {number | undefined} pid of the group's first process
 * @param {NodeJS.Signals | 0} signal
 * @returns {boolean} whether there is anybody
 */
function signalGroup(pid, signal) {
  if (pid === undefined) return false;
  try {
    return process.kill(-pid, signal);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ESRCH') throw error;
    return false;
  }
}

/**
 * Resolves when nobody is left of a group, or it has had its time.
 * @param {number | undefined} pid of its first process
 */
async function groupEnds(pid) {
  const last = Date.now() + grace;
  while (signalGroup(pid, 0) && Date.now() < last) await new Promise((resolve) => setTimeout(resolve, 50));
}

/**
 * Resolves when a worker is gone; one that could not be started counts as status 127, as in a shell.
 * @param {import('node:child_process').ChildProcess} child
 * @returns {Promise<[number, null] | [null, NodeJS.Signals]>}
 */
function ended(child) {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve(signal === null ? [code ?? 1, null] : [null, signal]));
    child.once('error', (error) => {
      console.error(`tfjs-mamba launch: ${error.message}`);
      resolve([127, null]);
    });
  });
}

/**
 * Whole lines, each with the rank before it.
 * @param {NodeJS.ReadableStream | null} from
 * @param {NodeJS.WriteStream} to
 * @param {number} rank
 */
function forward(from, to, rank) {
  if (from) createInterface({input: from}).on('line', (line) => to.write(`[${rank}] ${line}\n`));
}
