/** Checkpoints of a whole model: saved and loaded again, the same; and loads that fail leave nothing behind. */
import * as tf from '@tensorflow/tfjs';
import type {ByteFile} from '../../src/checkpoints/bytes';
import {blobFile} from '../../src/checkpoints/bytes';
import type {LoadProgress} from '../../src/checkpoints/load';
import type {CheckpointSource} from '../../src/checkpoints/source';
import type {MambaConfig} from '../../src/config/config';
import type {MambaLM} from '../../src/lm/model';
import type {FromPretrainedOptions, SavePretrainedOptions} from '../../src/lm/pretrained';
import {fromPretrained, savePretrained} from '../../src/lm/pretrained';
import {weightValues} from './labelled';
import {smallModel} from './smallModel';

type Files = Record<string, Uint8Array<ArrayBuffer>>;
type Header = Record<string, {dtype: string; shape: number[]; data_offsets: [number, number]}>;

const weightFile = 'model.safetensors';

async function save(model: MambaLM, options?: SavePretrainedOptions): Promise<Files> {
  const files: Files = {};
  await savePretrained(model, {write: (name, bytes) => void (files[name] = bytes)}, options);
  return files;
}

/** Files in memory as a source; `opened` may put something else in their place. */
function source(files: Files, opened: (file: ByteFile) => ByteFile = (file) => file): CheckpointSource {
  return {
    name: 'memory',
    open: async (name, onBytes) => {
      if (!Object.hasOwn(files, name)) return undefined;
      const file = opened(blobFile(name, new Blob([files[name]])));
      const read = async (start: number, end: number) => {
        const bytes = await file.read(start, end);
        onBytes?.(bytes.length);
        return bytes;
      };
      return {name, size: file.size, read};
    },
  };
}

async function loadAndRead(files: Files, options?: FromPretrainedOptions) {
  const model = await fromPretrained(source(files), options);
  const [config, weights] = [model.config, await weightValues(model)];
  model.dispose();
  return {config, weights};
}

const without = (files: Files, name: string): Files =>
  Object.fromEntries(Object.entries(files).filter(([key]) => key !== name));

/** The weights' file with another header. */
function withHeader(files: Files, change: (header: Header) => void): Files {
  const bytes = files[weightFile];
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))) as Header;
  change(header);
  const text = new TextEncoder().encode(JSON.stringify(header));
  const data = bytes.subarray(8 + length);
  // What is no longer named must not stay as a gap, so the data ends with the last tensor.
  const end = Object.entries(header).reduce(
    (most, [name, entry]) => (name === '__metadata__' ? most : Math.max(most, entry.data_offsets[1])),
    0,
  );
  const changed = new Uint8Array(8 + text.length + end);
  new DataView(changed.buffer).setBigUint64(0, BigInt(text.length), true);
  changed.set(text, 8);
  changed.set(data.subarray(0, end), 8 + text.length);
  return {...files, [weightFile]: changed};
}

/** Rounds to a float of that many significant bits, to nearest, ties to even; below 2^smallest the spacing stays the same. */
function rounded(x: number, bits: number, smallest: number): number {
  if (x === 0) return x;
  const exponent = Math.max(Math.floor(Math.log2(Math.abs(x))), smallest);
  const spacing = 2 ** (exponent - bits + 1);
  const steps = x / spacing;
  const below = Math.floor(steps);
  const rest = steps - below;
  const up = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
  return (below + (up ? 1 : 0)) * spacing;
}

const roundings: Record<string, (x: number) => number> = {
  float32: (x) => x,
  float16: (x) => rounded(x, 11, -14),
  bfloat16: (x) => rounded(x, 8, -126),
};

/** Larger than what is read of a file for its header, so that its weights come later; in three shards or more. */
const sharded = {
  config: {dModel: 64, nLayer: 4, tieEmbeddings: false},
  options: {maxShardBytes: 200_000},
};

const shardNames = (files: Files) =>
  Object.keys(files)
    .filter((name) => name.endsWith('.safetensors'))
    .sort();

/** Nothing in them is a default. */
const variants: Array<Partial<MambaConfig>> = [
  {eosTokenIds: [3, 5], bosTokenId: 1, padTokenId: 2},
  {
    tieEmbeddings: false,
    useBias: true,
    convBias: false,
    dConv: 3,
    dtRank: 2,
    expand: 1.5,
    epsilon: 1e-4,
    dtMin: 0.002,
    dtMax: 0.2,
    dtInit: 'constant',
    dtScale: 0.5,
    dtInitFloor: 2e-4,
  },
  {dModel: 7, dInner: 10, eosTokenIds: [0]},
];

let before: tf.MemoryInfo;
beforeEach(() => {
  before = {...tf.memory()};
});

function expectNothingLeft(): void {
  expect(tf.memory().numTensors).toBe(before.numTensors);
  expect(tf.memory().numBytes).toBe(before.numBytes);
}

describe('savePretrained and fromPretrained', () => {
  for (const variant of variants) {
    for (const [dtype, round] of Object.entries(roundings) as Array<['float32', (x: number) => number]>) {
      it(`give the same weights, rounded once to ${dtype}, and the same configuration: ${JSON.stringify(variant)}`, async () => {
        const model = smallModel(variant);
        const weights = await weightValues(model);
        const {config} = model;
        const files = await save(model, {dtype});
        model.dispose();
        expectNothingLeft();

        const loaded = await loadAndRead(files);
        // The vocabulary is padded by now; to what multiple is forgotten.
        expect(loaded.config).toEqual({...config, padVocabMultiple: 1});
        const expected = Object.fromEntries(
          Object.entries(weights).map(([name, values]) => [name, values.map((value) => round(value))]),
        );
        expect(loaded.weights).toEqual(expected);
        if (dtype !== 'float32') expect(loaded.weights).not.toEqual(weights);
        expectNothingLeft();
      });
    }
  }

  it('rounds no second time', async () => {
    for (const dtype of ['float16', 'bfloat16'] as const) {
      const model = smallModel();
      const files = await save(model, {dtype});
      const loaded = await fromPretrained(source(files));
      expect(await save(loaded, {dtype})).toEqual(files);
      model.dispose();
      loaded.dispose();
    }
  });

  it('keep the weights in shards as well', async () => {
    const model = smallModel(sharded.config);
    const weights = await weightValues(model);
    const files = await save(model, sharded.options);
    model.dispose();
    const shards = shardNames(files);
    expect(shards.length).toBeGreaterThan(2);
    expect(Object.keys(files)).toContain('model.safetensors.index.json');
    const progress: LoadProgress[] = [];
    expect((await loadAndRead(files, {onProgress: (now) => progress.push(now)})).weights).toEqual(weights);
    expect(new Set(progress.map(({file}) => file)).size).toBe(shards.length);
    expectNothingLeft();
  });

  it('tells of the progress, which only grows and ends at the total', async () => {
    const model = smallModel();
    const files = await save(model);
    model.dispose();
    const progress: LoadProgress[] = [];
    await loadAndRead(files, {onProgress: (now) => progress.push({...now})});
    const total = files[weightFile].length;
    expect(progress.length).toBeGreaterThan(1);
    progress.forEach(({loadedBytes, totalBytes}, i) => {
      expect(totalBytes).toBe(total);
      expect(loadedBytes).toBeGreaterThanOrEqual(i === 0 ? 0 : progress[i - 1].loadedBytes);
    });
    expect(progress[progress.length - 1].loadedBytes).toBe(total);
  });

  it('give a model that trains and generates', async () => {
    const model = smallModel();
    const loaded = await fromPretrained(source(await save(model)));
    const greedy = async (of: MambaLM) => {
      const ids: number[] = [];
      for await (const {id} of of.generate([1, 2], {temperature: 0, maxNewTokens: 8})) ids.push(id);
      return ids;
    };
    expect(await greedy(loaded)).toEqual(await greedy(model));
    const optimizer = tf.train.sgd(1e-3);
    loaded.compile({optimizer});
    const [xs, ys] = [tf.tensor2d([[1, 2, 3]], undefined, 'int32'), tf.tensor2d([[2, 3, 4]], undefined, 'int32')];
    const losses = [await loaded.trainOnBatch(xs, ys), await loaded.trainOnBatch(xs, ys)] as number[];
    expect(losses[1]).toBeLessThan(losses[0]);
    tf.dispose([xs, ys]);
    for (const one of [optimizer, model, loaded]) one.dispose();
    expectNothingLeft();
  });

  it('refuse a wrong model, option or target', async () => {
    const model = smallModel();
    const target = {write: () => fail('nothing may be written')};
    const wrong: Array<[MambaLM, object, RegExp]> = [
      [{} as MambaLM, {}, /^savePretrained: model must be a MambaLM/],
      [model, {dtype: 'int4'}, /^savePretrained: dtype must be float32, float16, bfloat16, int8, but is "int4"/],
      [model, {maxShardBytes: 0}, /^savePretrained: maxShardBytes must be a positive number, but is 0/],
      [model, {shards: 2}, /^savePretrained: unknown argument shards; expected dtype, maxShardBytes, layout, signal/],
      [model, {signal: AbortSignal.abort(new Error('no more'))}, /^no more$/],
    ];
    for (const [what, options, message] of wrong) {
      await expectAsync(savePretrained(what, target, options)).toBeRejectedWithError(message);
    }
    await expectAsync(fromPretrained(source({}), {onprogress: () => {}} as never)).toBeRejectedWithError(
      /^fromPretrained: unknown argument onprogress; expected onProgress, signal, revision, cache/,
    );
    model.dispose();
  });
});

describe('a load that fails', () => {
  let files: Files;

  beforeEach(async () => {
    const model = smallModel();
    files = await save(model);
    model.dispose();
  });
  afterEach(expectNothingLeft);

  const inProj = 'backbone.layers.1.mixer.in_proj.weight';

  /** What is wrong with the files, and what is said about it. */
  const broken: Array<[string, (good: Files) => Files, RegExp]> = [
    ['a cut-off file', (good) => ({...good, [weightFile]: good[weightFile].slice(0, -5)}), /model\.safetensors/],
    ['no weights', (good) => without(good, weightFile), /memory has no weights; looked for model\.safetensors, /],
    ['no config.json', (good) => without(good, 'config.json'), /memory has no config\.json/],
    [
      'a missing tensor',
      (good) => withHeader(good, (header) => delete header['backbone.norm_f.weight']),
      /model\.safetensors lacks the tensor backbone\.norm_f\.weight/,
    ],
    [
      'a tensor of another name',
      (good) =>
        withHeader(good, (header) => {
          header['backbone.layers.7.D'] = header['backbone.norm_f.weight'];
          delete header['backbone.norm_f.weight'];
        }),
      /model\.safetensors lacks the tensor backbone\.norm_f\.weight/,
    ],
    [
      'one tensor too many',
      (good) =>
        withHeader(good, (header) => {
          const end = Math.max(...Object.values(header).map((entry) => entry.data_offsets?.[1] ?? 0));
          header['backbone.extra'] = {dtype: 'F32', shape: [0], data_offsets: [end, end]};
        }),
      /model\.safetensors has the tensor backbone\.extra, which a model of this configuration has no place for/,
    ],
    [
      'a transposed shape',
      (good) => withHeader(good, (header) => void header[inProj].shape.reverse()),
      new RegExp(
        `model\\.safetensors: ${inProj.replaceAll('.', '\\.')} must have the shape \\[24,6\\].*has \\[6,24\\]`,
      ),
    ],
  ];

  for (const [what, breakIt, message] of broken) {
    it(`because of ${what} says so`, async () => {
      await expectAsync(fromPretrained(source(breakIt(files)))).toBeRejectedWithError(message);
    });
  }

  describe('in the middle of the weights', () => {
    /** The most tensors there were while bytes came: those of the half-filled model. */
    let held: number;
    let shards: Files;
    let onProgress: (progress: LoadProgress) => void;

    beforeEach(async () => {
      const model = smallModel(sharded.config);
      shards = await save(model, sharded.options);
      model.dispose();
      held = 0;
      onProgress = () => (held = Math.max(held, tf.memory().numTensors));
    });
    afterEach(() => {
      expect(held).toBeGreaterThan(before.numTensors);
    });

    it('throws what went wrong', async () => {
      const last = shardNames(shards).at(-1);
      const cut = (file: ByteFile): ByteFile => ({
        name: file.name,
        size: file.size,
        read: (start, end) =>
          file.name === last && end === file.size ? Promise.reject(new Error('cable cut')) : file.read(start, end),
      });
      await expectAsync(fromPretrained(source(shards, cut), {onProgress})).toBeRejectedWithError('cable cut');
    });

    it('throws the reason of an abort', async () => {
      const reason = new Error('enough');
      const controller = new AbortController();
      const abort = (progress: LoadProgress) => {
        onProgress(progress);
        if (progress.loadedBytes > progress.totalBytes / 2) controller.abort(reason);
      };
      const loading = fromPretrained(source(shards), {signal: controller.signal, onProgress: abort});
      await expectAsync(loading).toBeRejectedWith(reason);
    });

    it('throws what onProgress throws', async () => {
      const breakDown = (progress: LoadProgress) => {
        onProgress(progress);
        if (progress.loadedBytes > progress.totalBytes / 2) throw new Error('the bar broke');
      };
      await expectAsync(fromPretrained(source(shards), {onProgress: breakDown})).toBeRejectedWithError('the bar broke');
    });
  });

  it('because it is aborted from the start throws the reason', async () => {
    const reason = new Error('enough');
    await expectAsync(fromPretrained(source(files), {signal: AbortSignal.abort(reason)})).toBeRejectedWith(reason);
  });

  it('because it is of no known family names it, and those that are known', async () => {
    const config = JSON.parse(new TextDecoder().decode(files['config.json'])) as object;
    const other = new TextEncoder().encode(JSON.stringify({...config, model_type: 'llama'}));
    await expectAsync(fromPretrained(source({...files, 'config.json': other}))).toBeRejectedWithError(
      /model_type "llama" is not supported, only "mamba", "falcon_mamba".*"mamba2".* are/,
    );
  });
});
