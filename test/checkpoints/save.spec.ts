import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {readCheckpoint} from '../../src/checkpoints/load';
import {weightTable} from '../../src/config/weightTable';
import {nodeFiles} from '../../src/checkpoints/nodeFiles';
import {registerFilePlatform} from '../../src/checkpoints/platform';
import {writeCheckpoint, type SaveOptions} from '../../src/checkpoints/save';
import {resolveConfig} from '../../src/config/config';
import {countParameters} from '../../src/config/weightTable';
import {collect, expectSameWeights, folderFiles, golden, memorySource, type Files} from './memoryFiles';

const source = join(golden, 'lm/mamba_untied_bias_k3');
const indexFile = 'model.safetensors.index.json';

describe('writeCheckpoint', () => {
  let folder: string;
  let weights: Map<string, Float32Array>;
  const get = async (name: string) => weights.get(name)!;
  const config = async () => (await readCheckpoint(source)).config;

  beforeEach(async () => {
    registerFilePlatform(nodeFiles);
    folder = await mkdtemp(join(tmpdir(), 'tfjs-mamba-'));
    weights = await collect(await readCheckpoint(source));
  });

  afterEach(() => rm(folder, {recursive: true}));

  const save = async (options?: SaveOptions, target = folder) => writeCheckpoint(await config(), get, target, options);
  const load = async () => readCheckpoint(folder);

  it('writes what reads back the same, in one file and in shards', async () => {
    await save();
    expect((await readdir(folder)).sort()).toEqual(['config.json', 'generation_config.json', 'model.safetensors']);
    const read = await load();
    expect(read.config).toEqual(await config());
    expectSameWeights(await collect(read), weights);
    const original = folderFiles(source);
    const saved = folderFiles(folder);
    expect(saved['model.safetensors'].length).toBeLessThan(original['model.safetensors'].length + 4096);

    await save({maxShardBytes: 20_000});
    const files = (await readdir(folder)).filter((name) => name.startsWith('model'));
    expect(files).toContain(indexFile);
    const shards = files.filter((name) => name !== indexFile).sort();
    expect(shards[0]).toBe(`model-00001-of-0000${shards.length}.safetensors`);
    expect(shards.length).toBeGreaterThan(2);
    const index = JSON.parse(await readFile(join(folder, indexFile), 'utf8')) as {metadata: {total_size: number}};
    expect(index.metadata.total_size).toBe(4 * countParameters(await config()));
    expectSameWeights(await collect(await load()), weights);

    // Back to one file: nothing of the shards may stay, as it would be taken for this model.
    await save();
    expect((await readdir(folder)).filter((name) => name.startsWith('model'))).toEqual(['model.safetensors']);
  });

  it('writes floats with a point and integers without, as Hugging Face demands', async () => {
    await save();
    const text = await readFile(join(folder, 'config.json'), 'utf8');
    expect((await config()).dtScale).toBe(1);
    expect(text).toContain('"time_step_scale": 1.0,\n');
    expect(text).toMatch(/"state_size": \d+,\n/);
  });

  it('rounds to half floats, which then read and write unchanged', async () => {
    for (const dtype of ['float16', 'bfloat16'] as const) {
      await save({dtype});
      const rounded = await collect(await load());
      const scale = dtype === 'float16' ? 2 ** -11 : 2 ** -8;
      for (const [name, values] of weights) {
        const far = values.findIndex((x, i) => Math.abs(x - rounded.get(name)![i]) > Math.abs(x) * scale + 2 ** -25);
        expect(far).withContext(`${dtype} ${name}`).toBe(-1);
      }
      const first = await readFile(join(folder, 'model.safetensors'));
      weights = rounded;
      await save({dtype});
      expect((await readFile(join(folder, 'model.safetensors'))).equals(first)).toBeTrue();
    }
  });

  it('hands whole files to a function, and keeps the padding of the vocabulary in mind', async () => {
    const files: Files = {};
    const padded = resolveConfig({
      ...{vocabSize: 61, padVocabMultiple: 8, dModel: 4, nLayer: 2, dtRank: 3, useBias: true, tieEmbeddings: false},
      ...{eosTokenIds: [1, 2]},
    });
    weights = new Map(
      Array.from(weightTable(padded), ({ours, shape}, i) => [
        ours,
        Float32Array.from({length: shape.reduce((a, b) => a * b, 1)}, (_, j) => i + j / 1024),
      ]),
    );
    await writeCheckpoint(padded, get, {write: (name, bytes) => void (files[name] = bytes)}, {maxShardBytes: 1000});
    const read = await readCheckpoint(memorySource(files));
    expect(read.config).toEqual({...padded, padVocabMultiple: 1});
    expectSameWeights(await collect(read), weights);
  });

  it('leaves the earlier checkpoint as it was when it fails or is stopped', async () => {
    await save();
    await writeFile(join(folder, 'README.md'), 'mine');
    const before = folderFiles(folder);
    const good = weights;
    const controller = new AbortController();
    const failures: [() => Promise<void>, RegExp][] = [
      [() => save({dtype: 'float64' as never}), /dtype must be float32, float16, bfloat16, int8, but is "float64"/],
      [() => save({maxShardBytes: 0}), /maxShardBytes must be a positive number, but is 0/],
      [
        () => {
          weights = new Map(good).set('normF/weight', new Float32Array(3));
          return save();
        },
        /weight normF\/weight must be 24 float32 values, but has 3/,
      ],
      [
        () => {
          weights = new Map(good).set('normF/weight', new Float32Array(24).fill(1e5));
          return save({dtype: 'float16'});
        },
        /weight normF\/weight has values too large for float16; bfloat16/,
      ],
      [
        async () => {
          const stopping = async (name: string) => {
            if (name === 'normF/weight') controller.abort(new Error('stopped'));
            return good.get(name)!;
          };
          await writeCheckpoint(await config(), stopping, folder, {signal: controller.signal, maxShardBytes: 20_000});
        },
        /stopped/,
      ],
    ];
    for (const [attempt, message] of failures) {
      await expectAsync(attempt()).toBeRejectedWithError(message);
      expect(folderFiles(folder)).toEqual(before);
      expect(await readdir(folder)).toEqual(Object.keys(before));
    }
  });

  it('needs the Node entry point for folders', async () => {
    const small = await config();
    registerFilePlatform(undefined as never);
    await expectAsync(writeCheckpoint(small, get, folder)).toBeRejectedWithError(
      /entry point tfjs-mamba\/node.*\{write\(name, bytes\)\}/,
    );
  });
});
