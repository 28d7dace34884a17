/** Checkpoints in a folder: the last whole one is always there, whatever happened to a later one. */
import {mkdir, mkdtemp, readdir, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {CheckpointFiles} from '../../src/training/checkpoint';
import {memoryCheckpoints} from '../../src/training/checkpoint';
import {folderCheckpoints} from '../../src/training/nodeCheckpoints';
import {trained, windows} from './runs';

const files = (value: number): CheckpointFiles => ({
  'a.json': new TextEncoder().encode(`{"value":${value}}`),
  'b.bin': Uint8Array.from({length: 100_000}, (_, i) => (i * value) % 251),
});

describe('folderCheckpoints', () => {
  let parent: string;
  let folder: string;

  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'tfjs-mamba-checkpoints-'));
    folder = join(parent, 'runs', 'first');
  });
  afterEach(() => rm(parent, {recursive: true}));

  it('has none at first, and does not make the folder to say so', async () => {
    expect(await folderCheckpoints(folder).load()).toBeUndefined();
    expect(await readdir(parent)).toEqual([]);
  });

  it('gives back the last one saved, in this process and in another', async () => {
    const target = folderCheckpoints(folder);
    for (let value = 1; value <= 12; value++) {
      await target.save(files(value));
    }
    expect(await target.load()).toEqual(files(12));
    expect(await folderCheckpoints(folder).load()).toEqual(files(12));
  });

  it('keeps one only', async () => {
    const target = folderCheckpoints(folder);
    await target.save(files(1));
    await target.save(files(2));
    expect((await readdir(folder)).length).toBe(1);
  });

  it('keeps as many as it is told to, and gives the last; without that, the one before', async () => {
    const target = folderCheckpoints(folder, {keep: 3});
    for (let value = 1; value <= 5; value++) await target.save(files(value));
    expect(await readdir(folder)).toEqual(['3', '4', '5']);
    expect(await target.load()).toEqual(files(5));
    await rm(join(folder, '5'), {recursive: true});
    expect(await target.load()).toEqual(files(4));
    await folderCheckpoints(folder, {keep: 2}).save(files(6));
    expect(await readdir(folder)).toEqual(['4', '5']);
    expect(await target.load()).toEqual(files(6));
  });

  it('names the option that is wrong', () => {
    const wrong: [unknown, unknown, string][] = [
      [folder, {keep: 0}, 'folderCheckpoints: keep must be a positive whole number, but is 0'],
      [folder, {keep: 'all'}, 'folderCheckpoints: keep must be a positive whole number, but is "all"'],
      [folder, {last: 1}, 'folderCheckpoints: unknown argument last; expected keep'],
      [folder, null, 'folderCheckpoints: the argument must be an object with keep, but is null'],
      [undefined, {}, 'folderCheckpoints: folder must be a path, but is undefined'],
    ];
    for (const [path, options, message] of wrong) {
      expect(() => folderCheckpoints(path as string, options as object)).toThrowError(message);
    }
  });

  it('keeps the last whole one when a save fails half-way', async () => {
    const target = folderCheckpoints(folder);
    await target.save(files(1));
    const broken = {...files(2), 'no/such/folder.bin': new Uint8Array(3)};
    await expectAsync(target.save(broken)).toBeRejectedWithError(/ENOENT/);
    expect(await target.load()).toEqual(files(1));
    await target.save(files(3));
    expect(await target.load()).toEqual(files(3));
    expect((await readdir(folder)).length).toBe(1);
  });

  it('goes on where a process died before it removed the older one', async () => {
    const target = folderCheckpoints(folder);
    await target.save(files(1));
    await mkdir(join(folder, '2'));
    await writeFile(join(folder, '2', 'a.json'), 'newer');
    expect(Object.keys((await target.load())!)).toEqual(['a.json']);
    await target.save(files(3));
    expect(await target.load()).toEqual(files(3));
    expect(await readdir(folder)).toEqual(['3']);
  });

  it('touches nothing in a folder that holds something else', async () => {
    await mkdir(folder, {recursive: true});
    await writeFile(join(folder, 'thesis.txt'), 'irreplaceable');
    const target = folderCheckpoints(folder);
    const message = `folderCheckpoints: ${folder} must be a folder for nothing but checkpoints, but holds thesis.txt`;
    await expectAsync(target.save(files(1))).toBeRejectedWithError(message);
    await expectAsync(target.load()).toBeRejectedWithError(message);
    expect(await readdir(folder)).toEqual(['thesis.txt']);
  });

  it('finds out before the first step whether it can save, and leaves all as it was', async () => {
    const target = folderCheckpoints(folder);
    await target.prepare!();
    expect(await readdir(folder)).toEqual([]);
    await target.save(files(1));
    await target.prepare!();
    expect(await target.load()).toEqual(files(1));
    expect((await readdir(folder)).length).toBe(1);
    const inTheWay = join(folder, '1', 'a.json');
    const message = `folderCheckpoints: folder must be a folder, or a place for one, but at ${inTheWay} a file is in its way`;
    let steps = 0;
    const callbacks = {onStep: () => void steps++};
    const memory = memoryCheckpoints();
    const validation = {dataset: windows(), every: 4, batches: 1};
    for (const options of [
      {checkpoint: {target: folderCheckpoints(inTheWay)}},
      {checkpoint: {target: memory}, validation: {...validation, best: folderCheckpoints(inTheWay)}},
    ]) {
      await expectAsync(trained(windows, [{steps: 4, callbacks, ...options}])).toBeRejectedWithError(message);
    }
    expect(steps).toBe(0);
  });

  it('resumes a training run exactly', async () => {
    const straight = await trained(windows, [{steps: 4}]);
    const runs = [2, 4].map((steps) => ({steps, checkpoint: {target: folderCheckpoints(folder)}}));
    const resumed = await trained(windows, runs);
    expect(resumed.weights).toEqual(straight.weights);
    expect(resumed.state).toEqual(straight.state);
  });
});
