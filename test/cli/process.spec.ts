/** The command line as a process: what a signal and a pipe do to it. */
import {spawn} from 'node:child_process';
import {existsSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

describe('the process of a command', () => {
  let root: string;

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'tfjs-mamba-process-'));
    writeFileSync(join(root, 'text.txt'), 'to be or not to be '.repeat(40));
  });
  afterAll(() => rmSync(root, {recursive: true}));

  it('ends after a failure, whatever still runs in it', async () => {
    const program = `setInterval(() => {}, 1000); process.argv.push('nonsense'); await import('./test/cli/process.ts');`;
    const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program]);
    expect(await new Promise<number | null>((resolve) => child.on('close', resolve))).toBe(2);
  });

  it('saves on Ctrl-C, says how to go on, and ends with 0', async () => {
    const out = join(root, 'run');
    const args = ['train', '--data', join(root, 'text.txt'), '--out', out, '--backend', 'cpu', '--d-model', '4', '--n-layer', '1', '--max-seq-length', '8', '--iters', '1000000', '--steps-per-report', '1', '--steps-per-eval', '1000000']; // prettier-ignore
    const child = spawn(process.execPath, ['--import', 'tsx', 'test/cli/process.ts', ...args]);
    let output = '';
    let stopped = false;
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      if (stopped || !output.includes('step 2 ')) return;
      stopped = true;
      child.kill('SIGINT');
    });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    expect(code).withContext(output).toBe(0);
    expect(output).toMatch(
      /Stopped after step \d+ of 1000000, and saved\. To go on: npx tfjs-mamba train --data .* --out .*run\n$/,
    );
    for (const file of ['model.safetensors', 'tokenizer.json', 'run.json', 'loss.svg']) {
      expect(existsSync(join(out, file)))
        .withContext(file)
        .toBeTrue();
    }
  });
});
