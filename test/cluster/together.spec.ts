/** `tfjs-mamba train --cluster`: one run of several processes, that outlives the loss of one. */
import {spawn} from 'node:child_process';
import {mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {createInterface} from 'node:readline';
import {call} from '../cli/call';
import {openSafetensors} from './weights';

describe('a command of several processes', () => {
  let root: string;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'tfjs-mamba-together-'));
    writeFileSync(join(root, 'text.txt'), 'to be or not to be, that is the question. '.repeat(20));
  });
  afterAll(() => rmSync(root, {recursive: true}));

  const train = (name: string, ...more: string[]) => ['train', '--data', join(root, 'text.txt'), '--out', join(root, name), '--d-model', '8', '--n-layer', '1', '--max-seq-length', '8', '--batch-size', '3', '--learning-rate', '0.001', '--iters', '16', '--save-every', '4', '--steps-per-report', '1', ...more]; // prettier-ignore

  it('is told and kept by one of them, and goes on with those that are left', async () => {
    const launch = ['launch', '--workers', '2', '--restart', '2', '--min-workers', '1'];
    // What --force says of a run that was there before must not be said once more of this one.
    const worker = [
      process.execPath,
      '--import',
      'tsx',
      'test/cli/process.ts',
      ...train('together', '--cluster', '--force'),
    ];
    const child = spawn(process.execPath, ['bin/tfjs-mamba.js', ...launch, '--', ...worker]);
    const errors: string[] = [];
    createInterface({input: child.stderr}).on('line', (line) => errors.push(line));
    const lines: string[] = [];
    createInterface({input: child.stdout}).on('line', (line) => {
      lines.push(line);
      if (!line.includes('step 6 of 16') || errors.some((text) => text.includes('anew'))) return;
      const [, second] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').split(' ');
      process.kill(Number(second), 'SIGKILL');
    });
    const status = await new Promise((resolve) => child.on('close', resolve));
    const whole = [...lines, ...errors].join('\n');
    expect(status).withContext(whole).toBe(0);
    expect(lines.filter((line) => !line.startsWith('[0] '))).toEqual([]);
    expect(whole).toContain('parameters, on tensorflow, in 2 processes');
    expect(whole).toContain('tfjs-mamba launch: worker 1 ended with SIGKILL; ending all workers');
    expect(whole).toContain('tfjs-mamba launch: starting anew, workers: 1, restarts left: 1');
    expect(whole).toContain('which was stopped on its way to 16 steps.');
    expect(lines.filter((line) => line.includes('step 1 of 16')).length).toBe(1);

    expect((await call(train('alone'))).code).toBe(0);
    const [expected, found] = ['alone', 'together'].map((name) =>
      openSafetensors(join(root, name, 'model.safetensors')),
    );
    for (const [name, weights] of expected.weights) {
      const other = found.weights.get(name)!;
      const largest = Math.max(...weights.map(Math.abs));
      const difference = Math.max(...weights.map((value, i) => Math.abs(value - other[i]))) / largest;
      expect(difference).withContext(name).toBeLessThan(1e-6);
    }
  });

  it('is refused where the processes would not be one cluster', async () => {
    const {code, err} = await call(train('refused', '--cluster'));
    expect([code, err]).toEqual([2, jasmine.stringMatching(/^tfjs-mamba train: --cluster: TF_CONFIG is not set/)]);
    process.env['TFJS_MAMBA_LAUNCH'] = 'some';
    try {
      const {code, err} = await call(train('refused'));
      expect([code, err]).toEqual([2, jasmine.stringMatching(/which train one model only with --cluster/)]);
      process.env['TF_CONFIG'] = '{}';
      const piped = await call([...train('refused', '--cluster'), '--data', '-'], {stdin: 'text'});
      expect([piped.code, piped.err]).toEqual([2, jasmine.stringMatching(/standard input of one process/)]);
    } finally {
      delete process.env['TFJS_MAMBA_LAUNCH'];
      delete process.env['TF_CONFIG'];
    }
  });
});
