/**
 * Training that is killed (SIGKILL) again and again, at random moments and in the middle of saves, and gone on with each time: the weights
 * at the end are those of a run that nobody disturbed, bit for bit.
 */
import {spawn} from 'node:child_process';
import {mkdtemp, readdir, rm} from 'node:fs/promises';
import {join} from 'node:path';
import {build} from 'esbuild';
import {seededRandom} from '../support/arrays';
import {quickFolder} from '../support/dyingDisk';

const KILLS = 30;
/** Runs, each killed several times, side by side. */
const RUNS = 2;
/** The longest time in ms from what a run says to its end: about that of a slow save. */
const PATIENCE = 50;
/** The most steps of a process that is to be killed: it then waits, so that no run ends before its kills, however late they come. */
const MOST = 18;
/** More than what runs come to while they are killed. */
const STEPS = 300;

describe('a training run that is killed', () => {
  let folder: string;
  let program: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(quickFolder(), 'tfjs-mamba-killed-'));
    program = join(folder, 'run.mjs');
    await build({
      entryPoints: [join(import.meta.dirname, 'killedRun.ts')],
      bundle: true,
      ignoreAnnotations: true, // `sideEffects` in package.json speaks of dist/
      outfile: program,
      format: 'esm',
      platform: 'node',
      banner: {js: "import {createRequire} from 'node:module'; const require = createRequire(import.meta.url);"},
      logLevel: 'error',
    });
  });
  afterAll(() => rm(folder, {recursive: true}));

  /** Runs until the end, or until it is killed, `patience` ms at most after what it says then; what it ended with. */
  function run(place: string, speed: 'fast' | 'slow', killAfter = Infinity) {
    return new Promise<{weights?: string; killed: boolean}>((resolve, reject) => {
      const most = killAfter < Infinity ? MOST : STEPS + 1;
      const args = [program, place, String(STEPS), speed, String(most)];
      const child = spawn(process.execPath, args, {stdio: ['ignore', 'pipe', 'pipe']});
      let text = '';
      let complaint = '';
      let timer: NodeJS.Timeout | undefined;
      child.stderr.on('data', (data: Buffer) => (complaint += data.toString()));
      child.stdout.on('data', (data: Buffer) => {
        text += data.toString();
        // Every process makes a checkpoint before it is killed, so that the run goes forward.
        const isTime = speed === 'slow' ? /^step \d+\n(.*\n)*saving\n/m : /^step \d+\n/m;
        if (killAfter < Infinity && isTime.test(text)) timer ??= setTimeout(() => child.kill('SIGKILL'), killAfter);
      });
      child.on('error', reject);
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        const killed = signal === 'SIGKILL';
        if (!killed && code !== 0) reject(new Error(`the run ended with ${code}: ${complaint.slice(-2000)}`));
        else resolve({weights: /^done (.*)$/m.exec(text)?.[1], killed});
      });
    });
  }

  /** Kills runs at random moments behind a checkpoint, until there have been enough kills; then lets them end. */
  async function killedRuns(speed: 'fast' | 'slow', seed: number) {
    const random = seededRandom(seed);
    const ends = Array.from({length: RUNS}, async (_, i) => {
      const place = join(folder, `${speed}-${i}`);
      let kills = 0;
      let unfinished = 0;
      while (kills < KILLS / RUNS) {
        const {killed} = await run(place, speed, PATIENCE * random());
        if (!killed) throw new Error(`the run ended after ${kills} kills`);
        kills++;
        unfinished += (await readdir(place)).includes('unfinished') ? 1 : 0;
      }
      return {weights: (await run(place, 'fast')).weights, unfinished};
    });
    return Promise.all(ends);
  }

  let undisturbed: string;

  beforeAll(async () => (undisturbed = (await run(join(folder, 'undisturbed'), 'fast')).weights!));

  it('at any moment after a checkpoint, ends with the weights of an undisturbed one', async () => {
    expect(undisturbed.length).toBeGreaterThan(100);
    for (const {weights} of await killedRuns('fast', 1)) expect(weights === undisturbed).toBeTrue();
  });

  it('in the middle of a save, ends with the weights of an undisturbed one', async () => {
    const runs = await killedRuns('slow', 2);
    for (const {weights} of runs) expect(weights === undisturbed).toBeTrue();
    // Most kills did meet a save.
    expect(runs.reduce((sum, {unfinished}) => sum + unfinished, 0)).toBeGreaterThan(KILLS / 3);
  });
});
