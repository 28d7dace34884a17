/** Saving over an older checkpoint, cut short at every call of the file system: the folder reads as the old one or the new, whole. */
import {access, cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {join} from 'node:path';
import {readCheckpoint, type Checkpoint} from '../../src/checkpoints/load';
import {nodeFiles} from '../../src/checkpoints/nodeFiles';
import {registerFilePlatform} from '../../src/checkpoints/platform';
import {writeCheckpoint, type SaveOptions} from '../../src/checkpoints/save';
import {onDyingDisk, quickFolder} from '../support/dyingDisk';
import {collect, expectSameWeights, folderFiles, memorySource, tinyFiles} from './memoryFiles';

type Weights = Map<string, Float32Array>;
const sharded: SaveOptions = {maxShardBytes: 600};
const whole: SaveOptions = {};

describe('a save over an older checkpoint', () => {
  let config: Checkpoint['config'];
  let older: Weights;
  let newer: Weights;
  let folder: string;

  beforeAll(async () => {
    const tiny = await readCheckpoint(memorySource(tinyFiles()));
    config = tiny.config;
    older = await collect(tiny);
    newer = new Map([...older].map(([name, values]) => [name, values.map((value) => -value - 1)]));
  });
  beforeEach(async () => {
    registerFilePlatform(nodeFiles);
    folder = await mkdtemp(join(quickFolder(), 'tfjs-mamba-'));
  });
  afterEach(() => rm(folder, {recursive: true}));

  const save = (weights: Weights, place: string, options: SaveOptions, epsilon = config.epsilon) =>
    writeCheckpoint({...config, epsilon}, async (name) => weights.get(name)!, place, options);

  for (const [name, before, after] of [
    ['shards over shards', sharded, sharded],
    ['one file over one', whole, whole],
    ['shards over one file', whole, sharded],
    ['one file over shards', sharded, whole],
  ] as const) {
    it(`cut short anywhere: ${name}`, async () => {
      const old = join(folder, 'old');
      await save(older, old, before, 1e-6);
      await writeFile(join(old, 'README.md'), 'mine');
      const seen = {old: 0, new: 0};
      let place = '';
      for (let k = 1; ; k++) {
        place = join(folder, String(k));
        await cp(old, place, {recursive: true});
        const {died} = await onDyingDisk(k, () => save(newer, place, after, 1e-4));
        const copy = `${place} as it was`;
        await cp(place, copy, {recursive: true});
        // The reader may die, too, while it finishes the move.
        await onDyingDisk(1 + (k % 5), () => readCheckpoint(copy));
        for (const path of [place, copy]) {
          const read = await readCheckpoint(path);
          const isNew = read.config.epsilon === 1e-4;
          expectSameWeights(await collect(read), isNew ? newer : older);
          expect(died || isNew).toBeTrue();
          seen[isNew ? 'new' : 'old']++;
        }
        expect(await readFile(join(place, 'README.md'), 'utf8')).toBe('mine');
        // The next save is not disturbed by what is left, and takes it away.
        await save(older, place, after, 1e-6);
        expectSameWeights(await collect(await readCheckpoint(place)), older);
        expect((await readdir(place)).filter((file) => file.startsWith('.'))).toEqual([]);
        if (!died) break;
      }
      expect(seen.old).toBeGreaterThan(10);
      expect(seen.new).toBeGreaterThan(4);
    });
  }

  it('gives shards names that are not in use, and takes the older ones away', async () => {
    const shards = async () => (await readdir(folder)).filter((name) => name.endsWith('.safetensors')).sort();
    await save(older, folder, sharded);
    const first = await shards();
    expect(first[0]).toMatch(/^model-00001-of-\d{5}\.safetensors$/);
    await save(newer, folder, sharded);
    expect(await shards()).toEqual(first.map((name) => name.replace('model-', 'model-v2-')));
    expectSameWeights(await collect(await readCheckpoint(folder)), newer);
    await save(older, folder, sharded);
    expect(await shards()).toEqual(first);
  });

  it('hands the deciding file to a function last', async () => {
    for (const [options, last] of [
      [whole, 'model.safetensors'],
      [sharded, 'model.safetensors.index.json'],
    ] as const) {
      const names: string[] = [];
      const write = (name: string) => void names.push(name);
      await writeCheckpoint(config, async (name) => older.get(name)!, {write}, options);
      expect(names.at(-1)).toBe(last);
      expect(names.filter((name) => name.startsWith('model')).length).toBe(names.length - 2);
    }
  });

  it('is not finished from a list that leads elsewhere', async () => {
    await save(older, join(folder, 'model'), whole);
    await writeFile(join(folder, 'secret.txt'), 'mine');
    const saved = join(folder, 'model', '.saved');
    await mkdir(saved);
    for (const list of ['["../secret.txt"]', '["../../x"]', '[1]', '{}', 'null', 'no JSON', '["README.md"]']) {
      await writeFile(join(saved, 'files.json'), list);
      const before = folderFiles(join(folder, 'model'));
      await expectAsync(readCheckpoint(join(folder, 'model'))).toBeRejectedWithError(
        /has a complete save in \.saved that cannot be moved to its place: /,
      );
      expect(folderFiles(join(folder, 'model'))).toEqual(before);
      await access(join(folder, 'secret.txt'));
    }
  });

  it('names a target that is none', async () => {
    for (const [target, given] of [
      [{}, '{}'],
      [null, 'null'],
      [undefined, 'undefined'],
      ['', '""'],
      [5, '5'],
    ] as [never, string][]) {
      await expectAsync(save(older, target, whole)).toBeRejectedWithError(
        `savePretrained: target must be a folder or an object {write(name, bytes)}, but is ${given}`,
      );
    }
  });
});
