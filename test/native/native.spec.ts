/** What only the native library has: threads, instruction sets, loading, and failing calls. Runs programs in processes of their own. */
import {spawn} from 'node:child_process';
import {fileURLToPath} from 'node:url';
import type {ProgramResult} from './program';
import type {WrongCall} from './wrongCalls';

/** Runs a program of this folder; resolves to the JSON that its last line is. */
async function run<T>(program: string, env: Record<string, string> = {}, args: string[] = []): Promise<T> {
  const file = fileURLToPath(new URL(program, import.meta.url));
  const child = spawn(process.execPath, ['--expose-gc', '--import', 'tsx', file, ...args], {
    env: {...process.env, ...env},
  });
  let output = '';
  let errors = '';
  child.stdout.on('data', (data: Buffer) => (output += data.toString()));
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const status = await new Promise((resolve) => child.on('close', resolve));
  if (status !== 0) throw new Error(`${program} ended with ${String(status)}: ${errors.trim().slice(-2000)}`);
  return JSON.parse(output.trim().split('\n').at(-1)!) as T;
}

const compute = (env: Record<string, string> = {}, args: string[] = []) =>
  run<ProgramResult[]>('program.ts', env, args);

describe('the native kernels', () => {
  it('give the same bits with 1, 2 and 5 threads, and the right ones', async () => {
    const [one] = await compute({TFJS_MAMBA_THREADS: '1'});
    const [two] = await compute({TFJS_MAMBA_THREADS: '2'});
    const [five] = await compute({TFJS_MAMBA_THREADS: '5'});
    expect([one, two, five].map(({threads}) => threads)).toEqual([1, 2, 5]);
    expect([two.digest, five.digest]).toEqual([one.digest, one.digest]);
    expect(one.wrong).toEqual([]);
  });

  it('are right in every instruction set that this processor has', async () => {
    const {simd: best} = (await compute())[0];
    const levels = ['baseline', 'avx2', 'avx512'];
    for (const level of levels.slice(0, levels.indexOf(best) + 1)) {
      const [{simd, wrong}] = await compute({TFJS_MAMBA_SIMD: level});
      expect(simd).toBe(level);
      expect(wrong).withContext(level).toEqual([]);
    }
  });

  it('work in worker threads, at once with the main thread', async () => {
    const results = await compute({}, ['--workers']);
    expect(results.length).toBe(3);
    for (const {wrong, digest} of results) {
      expect(wrong).toEqual([]);
      expect(digest).toBe(results[0].digest);
    }
  });

  it('may be loaded twice', async () => {
    expect(await run('loadTwice.ts')).toEqual({first: [4, 5], second: [4, 5]});
  });

  it('refuse to be loaded from a second copy of the files, and go on', async () => {
    const {message, y} = await run<{message: string; y: number[]}>('loadCopy.ts');
    expect(message).toMatch(/^tfjs-mamba: another copy of the op library is loaded already, .*tfjs_mamba_ops\.so$/);
    expect(y).toEqual([2, 2]);
  });

  it('refuse wrong calls, and say which input is wrong and how', async () => {
    const calls = await run<WrongCall[]>('wrongCalls.ts');
    expect(calls.length).toBeGreaterThan(80);
    for (const {op, message, expected} of calls) expect(message).withContext(op).toContain(expected);
  });

  it('make an exception of what a task throws, on any thread, and of a lack of memory, and go on', async () => {
    const {results, tooLarge, y} = await run<{
      results: {error: string; gives: number | string}[];
      tooLarge: string;
      y: number[];
    }>('throwing.ts');
    const expected: Record<string, number | string> = {
      none: 2,
      memory: 'Invalid TF_Status: 8\nMessage: TfjsMambaTestThrowing: out of memory',
      other: 'Invalid TF_Status: 13\nMessage: TfjsMambaTestThrowing: what the task said',
    };
    expect(results.length).toBe(6);
    for (const {error, gives} of results) {
      if (error === 'none') expect(gives).toBe(expected[error]);
      else expect(gives).withContext(error).toContain(expected[error]);
    }
    expect(tooLarge).toMatch(/^Invalid TF_Status: 8\nMessage: TfjsMambaMatVec: OOM when allocating tensor/);
    expect(y).toEqual([2, 2]);
  });

  it('leave memory flat over a thousand scans with failing calls among them', async () => {
    const {failures, tensors, growth} = await run<{failures: string[]; tensors: number; growth: number}>('failing.ts');
    expect(failures.length).toBe(2);
    expect(failures[0]).toContain('TfjsMambaSelectiveScan: delta must have shape [1,64,32], but has [1,64,16]');
    expect(failures[1]).toContain('TfjsMambaCrossEntropy: labels must lie in [0,5) or be -100, but labels[1] is 5');
    expect(tensors).toBe(0);
    expect(growth).withContext('bytes of resident memory').toBeLessThan(8e6);
  });
});
