/**
 * GGUF: files that llama.cpp runs give the weights that they were made of and choose llama.cpp's tokens, every type that is read comes out bit
 * for bit, and what is wrong with a file is said by name.
 */
import {readFileSync} from 'node:fs';
import {join, resolve} from 'node:path';
import {blobFile} from '../../src/checkpoints/bytes';
import {openGguf} from '../../src/checkpoints/gguf';
import {readCheckpoint} from '../../src/checkpoints/load';
import {quantizeQ8} from '../../src/checkpoints/quantized/q8_0';
import {decodeBlocks, quantizedTypes} from '../../src/checkpoints/quantized';
import {openSafetensors} from '../../src/checkpoints/safetensors';
import {readBytes, readFloats} from '../../src/checkpoints/tensors';
import {countParameters, weightTable} from '../../src/config/weightTable';
import {fromPretrained} from '../../src/lm/pretrained';
import '../../src/node';
import {fixtureBytes} from '../support/fixtures';
import {ggufBytes, metadataOfTiny, tensorsOfTiny, type GgufContents} from './ggufFiles';
import {bits, collect, folderFiles, golden, memorySource, readFiles} from './memoryFiles';
import {expectHarmless, readMutated} from './mutate';

const folder = resolve(import.meta.dirname, '../fixtures/gguf');
const path = (type: string, model = 'mamba') => join(folder, `${model}_${type}.gguf`);
/** What llama.cpp, through node-llama-cpp 3.22, chose: bench/peers/llama.ts. */
const chosenByLlama = JSON.parse(readFileSync(join(folder, 'llama.json'), 'utf8')) as Record<
  'prompt' | 'mamba' | 'falcon',
  number[]
>;

const read = (contents: GgufContents | Uint8Array) => {
  const bytes = contents instanceof Uint8Array ? contents : ggufBytes(contents);
  return readCheckpoint(memorySource({'x.gguf': bytes}, 'x.gguf'));
};

describe('a GGUF file that llama.cpp runs', () => {
  for (const type of ['f32', 'q8_0']) {
    it(`of ${type} holds the weights that it was made of`, async () => {
      const original = await readFiles(folderFiles(join(golden, 'lm/mamba_v64_h32')));
      const {config, weights} = await readCheckpoint(path(type));
      const found = await collect({config, format: 'gguf', weights});
      expect([...found.keys()].sort()).toEqual([...original.keys()].sort());
      for (const {ours, layout, shape} of weightTable(config)) {
        const [values, expected] = [found.get(ours)!, original.get(ours)!];
        const width = layout === 'transposed' ? shape[0] : shape[shape.length - 1];
        const isQuantized =
          type === 'q8_0' && (layout === 'transposed' || ours === 'embeddings/weight') && width % 32 === 0;
        // exp and its logarithm, each rounded to float32; a rounding of 8 bits is at most half of the largest of 32 over 127.
        const tolerance = ours.endsWith('ALog') ? 3e-7 : isQuantized ? 0.5 / 126 : 0;
        const largest = expected.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
        expect(Math.max(...values.map((value, i) => Math.abs(value - expected[i])))).toBeLessThanOrEqual(
          tolerance * largest,
        );
        if (isQuantized) expect(values).not.toEqual(expected);
      }
    });
  }

  for (const [name, type, weights] of [
    ['mamba', 'f32', 'float32'],
    ['mamba', 'q8_0', 'float32'],
    ['mamba', 'q8_0', 'int8'],
    ['mamba', 'f32', 'int8'],
    ['falcon', 'f32', 'float32'],
  ] as const) {
    it(`of ${type}, a ${name} held as ${weights}, chooses its tokens`, async () => {
      const model = await fromPretrained(path(type, name), {weights});
      const {prompt, [name]: tokens} = chosenByLlama;
      const chosen: number[] = [];
      const options = {temperature: 0, maxNewTokens: tokens.length, stopTokens: []};
      for await (const {id} of model.generate(prompt, options)) chosen.push(id);
      expect(chosen).toEqual(tokens);
      expect(model.config.eosTokenIds).toEqual([63]);
      model.dispose();
    });
  }

  it('of Q8_0 is held byte for byte', async () => {
    const {tensors} = await openGguf(blobFile('x.gguf', new Blob([readFileSync(path('q8_0'))])));
    const {weights} = await readCheckpoint(path('q8_0'));
    for await (const weight of weights((name) => name === 'layers.1/mixer/inProj/kernel')) {
      if ('blocks' in weight) expect(weight.blocks).toEqual(await readBytes(tensors.get('blk.1.ssm_in.weight')!));
    }
  });
});

describe('a tensor of GGUF', () => {
  it('of each type is read bit for bit', async () => {
    const recorded = await openSafetensors(
      blobFile('blocks', new Blob([await fixtureBytes('golden/gguf/blocks.safetensors')])),
    );
    const contents: GgufContents = {metadata: {}, tensors: []};
    for (const [type, number] of [
      ['Q4_0', 2],
      ['Q8_0', 8],
      ['Q4_K', 12],
      ['Q6_K', 14],
    ] as const) {
      const bytes = await readBytes(recorded.tensors.get(`${type}.blocks`)!);
      contents.tensors.push({name: type, shape: [24, 256], type: number, bytes});
    }
    const halves = new Uint8Array(Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7bff).buffer);
    contents.tensors.push({name: 'F16', shape: [2, 2], type: 1, bytes: halves});
    contents.tensors.push({
      name: 'BF16',
      shape: [4],
      type: 30,
      bytes: new Uint8Array(Uint16Array.of(0x3f80, 0xc000, 1, 2).buffer),
    });
    const {tensors} = await openGguf(blobFile('x.gguf', new Blob([ggufBytes(contents)])));
    for (const type of Object.keys(quantizedTypes)) {
      const expected = await readFloats(recorded.tensors.get(`${type}.values`)!);
      expect(bits(await readFloats(tensors.get(type)!)))
        .withContext(type)
        .toEqual(bits(expected));
    }
    expect([...(await readFloats(tensors.get('F16')!))]).toEqual([1, -2, 2 ** -24, 65504]);
    expect([...(await readFloats(tensors.get('BF16')!))].slice(0, 2)).toEqual([1, -2]);
  });
});

const change = (metadata: object) => ({
  metadata: {...metadataOfTiny, ...metadata} as GgufContents['metadata'],
  tensors: tensorsOfTiny(),
});
const changed = (name: string, tensor: object) => ({
  metadata: metadataOfTiny,
  tensors: tensorsOfTiny().map((given) => (given.name === name ? {...given, ...tensor} : given)),
});
const cut = (bytes: number) => ggufBytes(change({})).slice(0, bytes);

const wrong: Array<[string, GgufContents | Uint8Array, RegExp]> = [
  ['what is none', new Uint8Array(64), /x\.gguf does not begin as a GGUF file/],
  ['an empty file', new Uint8Array(0), /x\.gguf: the table of contents goes on to byte 4, but the file ends at 0/],
  ['another version', {...change({}), version: 1}, /GGUF version 1 is not supported, only 2 and 3 are/],
  ['a table that is cut off', cut(300), /x\.gguf: .* ends at 300; is it cut off\?/],
  ['tensors that are cut off', cut(ggufBytes(change({})).length - 4), /tensor "output_norm\.weight" ends at byte/],
  ['more tensors than any model has', {...change({}), tensorCount: 2n ** 40n}, /1099511627776 tensors are more than/],
  [
    'another architecture',
    change({'general.architecture': 'llama'}),
    /general\.architecture "llama" is not supported, only "mamba"/,
  ],
  [
    'a missing size',
    change({'mamba.ssm.state_size': undefined}),
    /mamba\.ssm\.state_size must be a number, but is not there/,
  ],
  ['a size that is none', change({'mamba.block_count': 'two'}), /mamba\.block_count must be a number, but is "two"/],
  ['a size of nought', change({'mamba.embedding_length': 0}), /x\.gguf: .*dModel must be a positive integer/],
  [
    'a size that the tensors have not',
    change({'mamba.ssm.state_size': 3}),
    /blk\.0\.ssm_x\.weight must have the shape \[7,8\] according to the configuration, but has \[5,8\]/,
  ],
  ['an alignment of nought', change({'general.alignment': 0}), /general\.alignment must be a small number, but is 0/],
  [
    'a tensor too few',
    {...change({}), tensors: tensorsOfTiny().slice(0, -1)},
    /x\.gguf lacks the tensor backbone\.norm_f\.weight/,
  ],
  [
    'a tensor too many',
    changed('blk.0.ssm_d', {name: 'blk.0.ffn_up.weight'}),
    /has the tensor "blk\.0\.ffn_up\.weight", which a Mamba has no place for/,
  ],
  [
    'a tensor twice',
    changed('output_norm.weight', {name: 'blk.0.attn_norm.weight'}),
    /"blk\.0\.attn_norm\.weight" twice/,
  ],
  [
    'a type that is not read',
    changed('blk.0.ssm_in.weight', {type: 13}),
    /"blk\.0\.ssm_in\.weight" is of Q5_K, which is not supported; F32, F16, BF16, Q8_0/,
  ],
  [
    'rows that blocks do not divide',
    changed('blk.0.ssm_in.weight', {type: 8}),
    /has rows of 4, which Q8_0 cannot cut into blocks of 32/,
  ],
  [
    'tensors that lie in one another',
    changed('output_norm.weight', {offset: 32}),
    /lies at \d+, in another or off the alignment of 32/,
  ],
  ['a tensor off the alignment', changed('output_norm.weight', {offset: 2001}), /lies at 2001, in another or off/],
];

describe('readCheckpoint of a GGUF file', () => {
  it('reads a small one', async () => {
    const {config, weights} = await read(change({}));
    const found = await collect({config, format: 'gguf', weights});
    expect([...found.values()].reduce((sum, {length}) => sum + length, 0)).toBe(countParameters(config));
    expect(found.get('layers.0/mixer/ALog')).toEqual(new Float32Array(16).fill(Math.fround(Math.log(0.5))));
  });

  for (const [name, contents, message] of wrong) {
    it(`refuses ${name}`, async () => {
      await expectAsync(read(contents)).toBeRejectedWithError(message);
    });
  }

  it('refuses a decay that is none while it is read', async () => {
    const {weights} = await read(changed('blk.0.ssm_a', {bytes: new Uint8Array(4 * 16)}));
    const all = async () => {
      for await (const {name} of weights()) expect(name).toBeDefined();
    };
    await expectAsync(all()).toBeRejectedWithError(/x\.gguf: blk\.0\.ssm_a must be negative, but has 0/);
  });

  it('takes mutated files harmlessly', async () => {
    const outcome = await readMutated(
      {
        bytes: ggufBytes(change({})),
        named: /x\.gguf/,
        async read(bytes) {
          const {config, weights} = await read(bytes);
          const count = [...(await collect({config, format: 'gguf', weights})).values()].reduce(
            (sum, {length}) => sum + length,
            0,
          );
          return count === countParameters(config) ? undefined : `${count} values`;
        },
      },
      1000,
    );
    expectHarmless(outcome, 1000);
  });
});

it('makes of rounded values the blocks that they came from', () => {
  const blocks = quantizeQ8(Float32Array.from({length: 64}, (_, i) => Math.sin(i)));
  const values = new Float32Array(64);
  decodeBlocks(quantizedTypes['Q8_0'], blocks, values, 0);
  expect(values.every((value, i) => Math.abs(value - Math.sin(i)) < 1 / 250)).toBeTrue();
});
