/** Valid checkpoints that say something odd: each loads with the numbers of the plain form, and a warning where it is due. */
import {mkdtempSync, mkdirSync, rmSync, symlinkSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {readCheckpoint} from '../../src/checkpoints/load';
import {nodeFiles} from '../../src/checkpoints/nodeFiles';
import {registerFilePlatform} from '../../src/checkpoints/platform';
import type {ResolvedMambaConfig} from '../../src/config/config';
import {
  collect,
  expectSameWeights,
  memorySource,
  numberedSafetensors,
  parseSafetensors,
  readFiles,
  safetensors,
  tinyConfig,
  tinyFiles,
  tinyShapes,
  type Files,
} from './memoryFiles';

const head = 'lm_head.weight';
const weights = 'model.safetensors';
const config = (changes: object) => JSON.stringify({...tinyConfig, ...changes});
const renamed = (rename: (name: string) => string): Files =>
  tinyFiles({
    [weights]: numberedSafetensors(
      Object.fromEntries(Object.entries(tinyShapes).map(([name, shape]) => [rename(name), shape])),
    ),
  });

/** The tiny checkpoint as a shard with an index; the shard may have a copy of the embedding as its head. */
function indexed(changes: Record<string, string | undefined>, withHead: boolean, configuration = {}): Files {
  const {header, data} = parseSafetensors(tinyFiles()[weights] as Uint8Array);
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const [begin, end] = header['backbone.embeddings.weight'].data_offsets;
  if (withHead) {
    header[head] = {dtype: 'F32', shape: [5, 4], data_offsets: [bytes.length, bytes.length + end - begin]};
  }
  const copy = withHead ? bytes.subarray(begin, end) : [];
  const map = Object.fromEntries(Object.keys(tinyShapes).map((name) => [name, 'a.safetensors']));
  return {
    'config.json': config(configuration),
    'model.safetensors.index.json': JSON.stringify({weight_map: {...map, ...changes}}),
    'a.safetensors': safetensors(header, Uint8Array.from([...bytes, ...copy])),
  };
}

/** The warnings of a load, and what it gave. */
async function load(files: Files) {
  const warn = jasmine.isSpy(console.warn) ? (console.warn as jasmine.Spy) : spyOn(console, 'warn');
  warn.calls.reset();
  const checkpoint = await readCheckpoint(memorySource(files));
  const read = await collect(checkpoint);
  return {config: checkpoint.config, weights: read, warnings: warn.calls.allArgs().map(([text]) => String(text))};
}

describe('odd but valid checkpoints', () => {
  const names: [string, (name: string) => string][] = [
    ['of torch.compile', (name) => `_orig_mod.${name}`],
    ['of DataParallel', (name) => `module.${name}`],
    ['of both', (name) => `module._orig_mod.${name}`],
    ['of a model without its head', (name) => name.replace('backbone.', '')],
    ['of such a model, compiled', (name) => name.replace('backbone.', '_orig_mod.')],
    ['of such a model of state-spaces', (name) => name.replace('backbone.', '').replace('embeddings.', 'embedding.')],
  ];
  for (const [what, rename] of names) {
    it(`have names ${what}`, async () => {
      const {weights: read, warnings} = await load(renamed(rename));
      expectSameWeights(read, await readFiles(tinyFiles()));
      expect(warnings).toEqual([]);
    });
  }

  it('have each name once, however it is wrapped', async () => {
    const twice = numberedSafetensors({...tinyShapes, 'module.backbone.norm_f.weight': [4]});
    await expectAsync(readFiles(tinyFiles({[weights]: twice}))).toBeRejectedWithError(
      /^model\.safetensors has both backbone\.norm_f\.weight and module\.backbone\.norm_f\.weight$/,
    );
    await expectAsync(readFiles(renamed((name) => `other.${name}`))).toBeRejectedWithError(/lacks the tensor/);
  });

  it('have an index and shards that do not agree on a tied head', async () => {
    const expected = await readFiles(tinyFiles());
    expectSameWeights((await load(indexed({[head]: 'a.safetensors'}, false))).weights, expected);
    expectSameWeights((await load(indexed({}, true))).weights, expected);
    const untied = {tie_word_embeddings: false};
    await expectAsync(readFiles(indexed({[head]: 'a.safetensors'}, false, untied))).toBeRejectedWithError(
      /index\.json has tensor lm_head\.weight in a\.safetensors, which lacks it/,
    );
    await expectAsync(readFiles(indexed({}, true, untied))).toBeRejectedWithError(/is in no shard/);
  });

  it('have no metadata, as null', async () => {
    const {header, data} = parseSafetensors(tinyFiles()[weights] as Uint8Array);
    const bytes = safetensors(
      {__metadata__: null, ...header},
      new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    );
    expectSameWeights((await load(tinyFiles({[weights]: bytes}))).weights, await readFiles(tinyFiles()));
  });

  const configurations: [object, Partial<ResolvedMambaConfig>, RegExp | undefined][] = [
    [
      {expand: 3, intermediate_size: 8},
      {dInner: 8, expand: 2},
      /^config\.json: intermediate_size 8 is not expand · .*12/,
    ],
    [{pad_token_id: -1}, {padTokenId: undefined}, /^config\.json: pad_token_id -1 is no token/],
    [{pad_token_id: 5}, {padTokenId: undefined}, /^config\.json: pad_token_id 5 is no token of a vocabulary of 5/],
    [{bos_token_id: [3, 1]}, {bosTokenId: 3}, undefined],
    [{bos_token_id: []}, {bosTokenId: undefined}, undefined],
    [{bos_token_id: 9}, {bosTokenId: undefined}, /^config\.json: bos_token_id 9 is no token/],
  ];
  for (const [changes, expected, warning] of configurations) {
    it(`have the configuration ${JSON.stringify(changes)}`, async () => {
      const {config: read, weights: values, warnings} = await load(tinyFiles({'config.json': config(changes)}));
      for (const [name, value] of Object.entries(expected)) {
        expect(read[name as keyof ResolvedMambaConfig])
          .withContext(name)
          .toEqual(value as never);
      }
      expectSameWeights(values, await readFiles(tinyFiles()));
      expect(warnings.length).toBe(warning ? 1 : 0);
      if (warning) expect(warnings[0]).toMatch(warning);
    });
  }

  it('have ids in generation_config.json that are beyond the vocabulary', async () => {
    const withEos = (eos: unknown) =>
      load(
        tinyFiles({
          'config.json': config({eos_token_id: 2}),
          'generation_config.json': JSON.stringify({eos_token_id: eos}),
        }),
      );
    const some = await withEos([3, 5, 4, 50279]);
    expect(some.config.eosTokenIds).toEqual([3, 4]);
    expect(some.warnings).toEqual([jasmine.stringMatching(/^generation_config\.json: eos_token_id \[3,5,4,50279\]/)]);
    const none = await withEos(50279);
    expect(none.config.eosTokenIds).toEqual([2]);
    expect(none.warnings.length).toBe(1);
    expect((await withEos([])).warnings).toEqual([]);
  });

  it('have tensors of types that no weight has, which are named', async () => {
    const sizes: [string, number][] = [['F8_E4M3', 1], ['F8_E5M2', 1], ['C64', 8], ['F64', 8], ['F4', 0.5]]; // prettier-ignore
    for (const [dtype, size] of sizes) {
      const {header, data} = parseSafetensors(tinyFiles()[weights] as Uint8Array);
      const from = data.byteLength;
      header['backbone.norm_f.weight'] = {dtype, shape: [4], data_offsets: [from - 16, from - 16 + 4 * size]};
      const length = Math.max(0, from - 16 + 4 * size);
      const bytes = safetensors(header, length);
      await expectAsync(readFiles(tinyFiles({[weights]: bytes}))).toBeRejectedWithError(
        `model.safetensors: backbone.norm_f.weight must be F32, F16 or BF16, but is ${dtype}`,
      );
    }
  });
});

describe('checkpoints in folders', () => {
  let folder: string;
  beforeEach(() => {
    registerFilePlatform(nodeFiles);
    folder = mkdtempSync(join(tmpdir(), 'variants-'));
  });
  afterEach(() => {
    rmSync(folder, {recursive: true});
  });

  it('may be made of links that lead elsewhere, as in the cache of Hugging Face', async () => {
    mkdirSync(join(folder, 'blobs'));
    mkdirSync(join(folder, 'snapshot'));
    for (const [name, content] of Object.entries(tinyFiles())) {
      writeFileSync(join(folder, 'blobs', name), content);
      symlinkSync(join('../blobs', name), join(folder, 'snapshot', name));
    }
    expectSameWeights(await collect(await readCheckpoint(join(folder, 'snapshot'))), await readFiles(tinyFiles()));
  });

  it('name what was to be read when the system refuses', async () => {
    const config = join(folder, 'config.json');
    symlinkSync('config.json', config);
    await expectAsync(readCheckpoint(folder)).toBeRejectedWithError(new RegExp(`^${config} cannot be read: ELOOP`));
    await expectAsync(readCheckpoint(config)).toBeRejectedWithError(new RegExp(`^${config} cannot be read: ELOOP`));
  });
});
