/**
 * `node --import tsx scripts/killing.ts [kills]`: fine-tuning by the command line, LoRA and full, killed (SIGKILL) at random moments, thirty
 * times unless told otherwise, and each time gone on with: the weights in the end are those of a run that nobody disturbed, bit for bit.
 * Then a disk of 2 MB that fills up, for which it must be root: the error names the file, the last checkpoint loads, and with room the
 * run goes on to the same bits. Takes some minutes, so no spec does it; `test/training/killing.spec.ts` kills runs of the library.
 */
import {spawn, spawnSync} from 'node:child_process';
import {createHash} from 'node:crypto';
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {seededRandom} from '../test/support/arrays';

const kills = Number(process.argv[2] ?? 30);
const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-killing-'));
const at = (name: string) => join(folder, name);
const random = seededRandom(1);
/** The longest time in ms from the first step of a process to its end. */
const PATIENCE = 400;

interface End {
  code: number | null;
  isKilled: boolean;
  err: string;
}

/** Runs a command until its end, or until it is killed: so many ms after its first step, or with `early` after its start. */
function run(args: readonly string[], killAfter = Infinity, early = false): Promise<End> {
  return new Promise((resolve, reject) => {
    const program = ['--import', 'tsx', join(root, 'test/cli/process.ts'), ...args, '--backend', 'cpu', '--json'];
    const child = spawn(process.execPath, program, {cwd: root, stdio: ['ignore', 'pipe', 'pipe']});
    let err = '';
    let timer: NodeJS.Timeout | undefined;
    const arm = () => (timer ??= killAfter < Infinity ? setTimeout(() => child.kill('SIGKILL'), killAfter) : undefined);
    if (early) arm();
    child.stdout.on('data', (data: Buffer) => {
      if (data.includes('"event":"step"')) arm();
    });
    child.stderr.on('data', (data: Buffer) => (err += data.toString()));
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      resolve({code, isKilled: signal === 'SIGKILL', err});
    });
  });
}

async function finish(args: readonly string[]): Promise<void> {
  const {code, err} = await run(args);
  if (code !== 0) throw new Error(`tfjs-mamba ${args.join(' ')} ended with ${code}: ${err}`);
}

function expectSame(what: string, file: string, other: string): void {
  const [a, b] = [file, other].map((name) => createHash('sha256').update(readFileSync(name)).digest('hex'));
  if (a !== b) throw new Error(`${what}: ${file} and ${other} differ`);
  console.log(`${what}: the same bits, SHA-256 ${a.slice(0, 16)}…`);
}

/** The end of a run that is killed again and again. */
async function killed(args: readonly string[]): Promise<number> {
  let count = 0;
  while (count < kills) {
    // Every fourth dies before or while it takes up its checkpoint.
    const isEarly = count % 4 === 3;
    const {code, isKilled, err} = await run(args, isEarly ? 3000 * random() : PATIENCE * random(), isEarly);
    if (!isKilled) throw new Error(`ended with ${code} after ${count} kills; more --iters are needed: ${err}`);
    count++;
  }
  await finish(args);
  return count;
}

/** A disk that fills up. */
async function fullDisk(args: (out: string) => string[], whole: string): Promise<void> {
  const disk = at('disk');
  const mount = (...options: string[]) => {
    const {status, stderr} = spawnSync('mount', ['-t', 'tmpfs', ...options, 'tmpfs', disk], {encoding: 'utf8'});
    if (status !== 0) throw new Error(`the disk of 2 MB needs root: ${stderr}`);
  };
  mkdirSync(disk);
  mount('-o', 'size=2m');
  try {
    const out = join(disk, 'run');
    const {code, err} = await run(args(out));
    console.log(`on a disk of 2 MB it ends with ${code}: ${err.trim().split('\n').at(-1)}`);
    if (code !== 1 || !err.includes(out) || !/ENOSPC|no space/.test(err)) {
      throw new Error('the error must name the file and that there is no space');
    }
    await loads(join(out, 'training'));
    mount('-o', 'remount,size=64m');
    await finish(args(out));
    expectSame('with room again', join(out, 'model.safetensors'), whole);
  } finally {
    spawnSync('umount', [disk]);
  }
}

async function loads(checkpoints: string): Promise<void> {
  const {folderCheckpoints, fromPretrained, loadCheckpoint} = await import('../src/node');
  const model = await fromPretrained(at('base-large'));
  const {step} = await loadCheckpoint(folderCheckpoints(checkpoints), model);
  console.log(`the last checkpoint, of step ${step}, loads`);
  model.dispose();
}

try {
  writeFileSync(at('text.txt'), 'so be it or let it not be so, said the other. '.repeat(200));
  const data = ['--data', at('text.txt'), '--batch-size', '2', '--max-seq-length', '16', '--steps-per-report', '1'];
  const train = (out: string, width: string) =>
    finish(['train', '--out', at(out), '--d-model', width, '--n-layer', '2', '--iters', '3', ...data]);
  await train('base', '8');
  await train('base-large', '64');
  const tune = (type: string, base: string, iters: number, every: number, out: string) => [
    ...['finetune', '--model', at(base), ...data, '--fine-tune-type', type, '--adapter-path', out, '--out', out],
    ...['--iters', String(iters), '--save-every', String(every), '--val-batches', '2', '--lora-dropout', '0.1'],
    ...['--keep-best', '--ema-decay', '0.9'],
  ];
  for (const [type, file] of [
    ['lora', 'adapter_model.safetensors'],
    ['full', 'model.safetensors'],
  ]) {
    const args = (out: string) => tune(type, 'base', 20 * kills, 1, at(out));
    await finish(args(`${type}-whole`));
    const count = await killed(args(`${type}-killed`));
    expectSame(`${type}, ${count} kills`, at(`${type}-killed/${file}`), at(`${type}-whole/${file}`));
  }
  const large = (out: string) => tune('full', 'base-large', 12, 3, out);
  await finish(large(at('large-whole')));
  await fullDisk(large, at('large-whole/model.safetensors'));
} finally {
  rmSync(folder, {recursive: true, force: true});
}
