/** `tfjs-mamba launch`, with workers that are small programs of plain Node. */
import {spawn} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {setTimeout} from 'node:timers/promises';
import {fileURLToPath} from 'node:url';

const command = fileURLToPath(new URL('../../bin/tfjs-mamba.js', import.meta.url));

interface Ended {
  status: number | null;
  lines: string[];
  errors: string;
}

/** Runs the launcher to its end; `onLine` is called with every line, and the launcher. */
function launch(
  args: string[],
  onLine?: (line: string, kill: (signal: NodeJS.Signals) => void) => void,
): Promise<Ended> {
  const child = spawn(process.execPath, [command, 'launch', ...args]);
  const lines: string[] = [];
  let rest = '';
  let errors = '';
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  child.stdout.on('data', (data: Buffer) => {
    const parts = (rest + data.toString()).split('\n');
    rest = parts.pop()!;
    for (const line of parts) {
      lines.push(line);
      onLine?.(line, (signal) => child.kill(signal));
    }
  });
  return new Promise((resolve) => {
    child.on('close', (status) => resolve({status, lines, errors}));
  });
}

const node = (code: string) => ['--', process.execPath, '-e', code];
const RANK = 'const {index: rank} = JSON.parse(process.env.TF_CONFIG).task;';
/** Starts a process of its own, ignores polite requests, and prints both ids. */
const STUBBORN = `
  const child = require('node:child_process').spawn('sleep', ['60'], {stdio: 'inherit'});
  console.log([process.pid, child.pid].join());
  setInterval(() => {}, 1000);`;

/** Whether a process is there; one that has ended and is not yet collected is not. */
async function isThere(pid: number): Promise<boolean> {
  const {readFile} = await import('node:fs/promises');
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat !== undefined && !/\) [ZX] /.test(stat);
}

/** The ids that the workers have printed. */
const pids = (lines: string[]) =>
  lines.flatMap((line) => /^\[\d\] ([\d,]+)$/.exec(line)?.[1].split(',').map(Number) ?? []);

describe('tfjs-mamba launch', () => {
  it('gives each worker its place, its share of the cores, and its prefix', async () => {
    const code = `${RANK} console.log(process.env.TF_CONFIG); console.log(process.env.TFJS_MAMBA_THREADS); console.error('to ' + rank);`;
    const {status, lines, errors} = await launch(['--workers', '3', ...node(code)]);
    expect(status).toBe(0);
    const configs = [0, 1, 2].map((rank) => {
      const line = lines.find((text) => text.startsWith(`[${rank}] {`))!;
      return JSON.parse(line.slice(4)) as {cluster: {worker: string[]}; task: object};
    });
    expect(configs.map(({task}) => task)).toEqual([0, 1, 2].map((index) => ({type: 'worker', index})));
    const [{cluster}] = configs;
    for (const other of configs) expect(other.cluster).toEqual(cluster);
    expect(new Set(cluster.worker).size).toBe(3);
    for (const address of cluster.worker) expect(address).toMatch(/^127\.0\.0\.1:\d+$/);
    expect(lines.filter((line) => /^\[\d\] [1-9]\d*$/.test(line)).length).toBe(3);
    expect(errors.trim().split('\n').sort()).toEqual(['[0] to 0', '[1] to 1', '[2] to 2']);
  });

  it('ends all workers and what they have started when one fails, with its status', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-launch-'));
    const allStarted = join(folder, 'all-started');
    const wait = `if (rank === 1) setInterval(() => require('node:fs').existsSync(${JSON.stringify(allStarted)}) && process.exit(7), 20);`;
    let started = 0;
    const {status, lines, errors} = await launch(['--workers', '3', ...node(`${RANK} ${wait} ${STUBBORN}`)], () => {
      if (++started === 3) writeFileSync(allStarted, '');
    });
    rmSync(folder, {recursive: true});
    expect(status).toBe(7);
    expect(errors).toContain('tfjs-mamba launch: worker 1 ended with status 7; ending all workers');
    expect(pids(lines).length).toBe(6);
    for (const pid of pids(lines))
      expect(await isThere(pid))
        .withContext(String(pid))
        .toBeFalse();
  });

  it('ends all when it is stopped itself, also those that ignore it', async () => {
    const code = `process.on('SIGTERM', () => {}); ${STUBBORN}`;
    let told = 0;
    const {status, lines} = await launch(['--workers', '2', ...node(code)], (_, kill) => {
      if (++told === 2) kill('SIGINT');
    });
    expect(status).toBe(130);
    expect(pids(lines).length).toBe(4);
    for (const pid of pids(lines))
      expect(await isThere(pid))
        .withContext(String(pid))
        .toBeFalse();
  });

  it('lets what a shell has started save, though the shell ends at once', async () => {
    const save = "process.on('SIGTERM', () => setTimeout(() => { console.log('saved'); process.exit(); }, 300));";
    const code = `${save} console.log('begins'); setInterval(() => {}, 1000)`;
    let told = 0;
    const program = ['--', 'sh', '-c', '"$0" -e "$1"; true', process.execPath, code];
    const {lines} = await launch(['--workers', '2', ...program], (line, kill) => {
      if (line.endsWith('begins') && ++told === 2) kill('SIGINT');
    });
    expect(lines.filter((line) => line.endsWith('saved')).sort()).toEqual(['[0] saved', '[1] saved']);
  });

  it('leaves nobody behind when it is killed itself', async () => {
    let told = 0;
    const {status, lines} = await launch(['--workers', '2', ...node(STUBBORN)], (_, kill) => {
      if (++told === 2) kill('SIGKILL');
    });
    expect(status).toBeNull();
    expect(pids(lines).length).toBe(4);
    for (const pid of pids(lines)) {
      const last = performance.now() + 15_000;
      while ((await isThere(pid)) && performance.now() < last) await setTimeout(50);
      expect(await isThere(pid))
        .withContext(String(pid))
        .toBeFalse();
    }
  });

  it('starts anew what has failed, but not what was called wrongly', async () => {
    for (const [code, times] of [
      [1, 2],
      [2, 1],
    ]) {
      const program = node(`console.log('begins'); process.exit(${code})`);
      const {status, lines} = await launch(['--workers', '1', '--restart', '1', ...program]);
      expect([status, lines.length]).toEqual([code, times]);
    }
  });

  it('refuses what it cannot do, and shows its usage', async () => {
    for (const [args, message] of [
      [['--workers', '0', '--', 'true'], '--workers must be a whole number of 1 or more, but is 0'],
      [['--', 'true'], '--workers must be a whole number of 1 or more, but is undefined'],
      [['--workers', '2'], 'the command to launch is missing'],
      [['--worker', '2'], "Unknown option '--worker'"],
    ] as const) {
      const {status, errors} = await launch([...args]);
      expect(status).toBe(2);
      expect(errors).toContain(message);
      expect(errors).toContain('Usage: ');
    }
    const {status, errors} = await launch(['--workers', '2', '--', 'tfjs-mamba-no-such-program']);
    expect(status).toBe(127);
    expect(errors).toContain('spawn tfjs-mamba-no-such-program ENOENT');
  });
});
