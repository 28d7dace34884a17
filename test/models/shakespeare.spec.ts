/** The main job, `npm start`, as a process: what it prints and leaves behind, stopping it, and going on. */
import {spawn} from 'node:child_process';
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {shareOfKnownWords} from '../../models/shakespeare/words';
import {rounds} from '../../src/cli/rounds';

interface Ended {
  code: number | null;
  output: string;
}

/** Runs the job; `interruptAt` sends Ctrl-C as soon as that text has been printed. */
function run(args: string[], interruptAt?: string): Promise<Ended> {
  const child = spawn(process.execPath, ['--import', 'tsx', 'models/shakespeare/train.ts', ...args]);
  let output = '';
  let interrupted = false;
  const listen = (data: Buffer) => {
    output += data.toString();
    if (interruptAt !== undefined && !interrupted && output.includes(interruptAt)) {
      interrupted = true;
      child.kill('SIGINT');
    }
  };
  child.stdout.on('data', listen);
  child.stderr.on('data', listen);
  return new Promise((resolve) => child.on('close', (code) => resolve({code, output})));
}

describe('the main job', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-'));
  });
  afterEach(() => {
    rmSync(folder, {recursive: true});
  });

  const noted = () => JSON.parse(readFileSync(join(folder, 'run.json'), 'utf8')) as {round: number; step: number};

  it('trains, measures, writes, saves, and goes on with a further round', async () => {
    const first = await run(['--steps', '3', '--out', folder]);
    expect(first.code).withContext(first.output).toBe(0);
    const heldOut = first.output.split('\n').filter((line) => line.includes('held-out'));
    expect(heldOut.at(-1)).toMatch(/^held-out loss \d\.\d\d nats per character$/);
    expect(first.output).toMatch(/^\d+ % of the words of a 2000-character sample occur in the corpus$/m);
    expect(first.output).toMatch(/To go on from it: npm start -- --from /);
    for (const file of ['config.json', 'model.safetensors', 'tokenizer.json', 'loss.svg']) {
      expect(existsSync(join(folder, file)))
        .withContext(file)
        .toBeTrue();
    }
    expect(noted()).toEqual({round: 0, step: 3, steps: 3} as never);

    const second = await run(['--steps', '2', '--from', folder]);
    expect(second.code).withContext(second.output).toBe(0);
    expect(noted()).toEqual({round: 1, step: 2, steps: 2} as never);
  });

  it('saves on Ctrl-C and says so, and resumes where it stopped', async () => {
    const stopped = await run(['--steps', '100000', '--out', folder], 'characters of text');
    expect(stopped.code).withContext(stopped.output).toBe(0);
    expect(stopped.output).toContain('Stopped before the end, and saved.');
    expect(stopped.output).toContain('npm start -- --from');
    expect(existsSync(join(folder, 'model.safetensors'))).toBeTrue();
    const {step} = noted();

    const resumed = await run(['--from', folder], 'training');
    expect(resumed.code).withContext(resumed.output).toBe(0);
    expect(noted()).toEqual({round: 0, step: jasmine.any(Number), steps: 100000} as never);
    expect(noted().step).toBeGreaterThanOrEqual(step);
  });

  it('asked again for the same, goes on with the run that was stopped, and leaves one that has ended alone', async () => {
    const stopped = await run(['--steps', '100000', '--out', folder], 'training');
    expect(stopped.code).withContext(stopped.output).toBe(0);
    const {step} = noted();
    const again = await run(['--out', folder], 'training');
    expect(again.code).withContext(again.output).toBe(0);
    expect(again.output).toMatch(/^Going on with the run in .* to 100000 steps/m);
    expect(noted()).toEqual({round: 0, step: jasmine.any(Number), steps: 100000} as never);
    expect(noted().step).toBeGreaterThanOrEqual(step);

    const ended = JSON.stringify({round: 0, step: 9, steps: 9});
    writeFileSync(join(folder, 'run.json'), ended);
    const refused = await run(['--out', folder]);
    expect([refused.code, readFileSync(join(folder, 'run.json'), 'utf8')]).toEqual([2, ended]);
    expect(refused.output).toMatch(/npm start: .* holds a run that has ended after 9 steps; --from .* --force/);
  });
});

describe('shareOfKnownWords', () => {
  it('counts words whatever their case, and leaves the last one out', () => {
    expect(shareOfKnownWords("To be, or not t'be. Xyzzy quux", "to be or not that: T'be")).toBeCloseTo(5 / 6, 12);
    expect(shareOfKnownWords('...', 'a b')).toBe(0);
  });
});

describe('the rounds of the main job', () => {
  it('begin anew without a saved run, whatever the folder holds', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-'));
    const first = await rounds(folder, false, 10);
    await first.write(4);
    expect(await rounds(folder, false, 10)).toEqual(jasmine.objectContaining({number: 0, rate: 1, resumes: false}));
    expect(await rounds(folder, true, 99)).toEqual(jasmine.objectContaining({number: 0, steps: 10, resumes: true}));
    await first.write(10);
    expect(await rounds(folder, true, 99)).toEqual(jasmine.objectContaining({number: 1, steps: 99, resumes: false}));
    rmSync(folder, {recursive: true});
  });
});
