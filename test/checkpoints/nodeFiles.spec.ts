/** Checkpoints on disk, as other programs lay them out. */
import {mkdir, mkdtemp, rm, symlink, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {readCheckpoint} from '../../src/checkpoints/load';
import {nodeFiles} from '../../src/checkpoints/nodeFiles';
import {registerFilePlatform} from '../../src/checkpoints/platform';
import {collect, expectSameWeights, readFiles, tinyFiles} from './memoryFiles';

describe('folders', () => {
  let folder: string;

  beforeEach(async () => {
    registerFilePlatform(nodeFiles);
    folder = await mkdtemp(join(tmpdir(), 'tfjs-mamba-'));
  });
  afterEach(() => rm(folder, {recursive: true}));

  it("may be made of links that lead out of them, as Hugging Face's cache is", async () => {
    const [blobs, snapshot] = [join(folder, 'blobs'), join(folder, 'snapshots/main')];
    await mkdir(blobs);
    await mkdir(snapshot, {recursive: true});
    for (const [i, [name, content]] of Object.entries(tinyFiles()).entries()) {
      await writeFile(join(blobs, String(i)), content);
      await symlink(`../../blobs/${i}`, join(snapshot, name));
    }
    for (const source of [snapshot, join(snapshot, 'model.safetensors')]) {
      expectSameWeights(await collect(await readCheckpoint(source)), await readFiles(tinyFiles()));
    }
  });

  it('have an index that names no file outside', async () => {
    const {'model.safetensors': weights, ...rest} = tinyFiles();
    await mkdir(join(folder, 'model'));
    await writeFile(join(folder, 'outside.safetensors'), weights);
    await writeFile(join(folder, 'model/config.json'), rest['config.json']);
    for (const name of ['../outside.safetensors', join(folder, 'outside.safetensors'), 'a/../../outside.safetensors']) {
      const index = JSON.stringify({weight_map: {'backbone.norm_f.weight': name}});
      await writeFile(join(folder, 'model/model.safetensors.index.json'), index);
      await expectAsync(readCheckpoint(join(folder, 'model'))).toBeRejectedWithError(
        /which is no weight file beside it/,
      );
    }
  });
});
