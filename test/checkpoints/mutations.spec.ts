/** Valid files with bytes and values changed at random, 5,000 of each format: see mutate.ts. */
import {readFileSync} from 'node:fs';
import {resolve} from 'node:path';
import type {ByteFile} from '../../src/checkpoints/bytes';
import {readCheckpoint} from '../../src/checkpoints/load';
import {countParameters} from '../../src/config/weightTable';
import {loadTokenizer} from '../../src/lm/tokenizers';
import {collect, parseSafetensors, safetensors, tinyConfig, tinyFiles, tinyShapes, type Files} from './memoryFiles';
import {expectHarmless, readMutated, type Subject} from './mutate';
import {archive, stateDict, tensor} from './torchFiles';

const encoded = (text: string) => new TextEncoder().encode(text);
const saved = (name: string) =>
  new Uint8Array(readFileSync(resolve(import.meta.dirname, `../fixtures/torch/${name}.bin`)));

/** A checkpoint one file of which is changed; read whole. */
function checkpoint(files: Files, name: string, json?: Subject['json']): Subject {
  const contents = new Map(
    Object.entries(files).map(([key, content]) => [key, typeof content === 'string' ? encoded(content) : content]),
  );
  const original = contents.get(name)!;
  return {
    bytes: original,
    json,
    named: /(config|index)\.json|\.safetensors|\.bin/,
    async read(bytes) {
      const open = async (key: string): Promise<ByteFile | undefined> => {
        const content = key === name ? bytes : contents.get(key);
        const read = async (start: number, end: number) => content!.subarray(start, end);
        return content && {name: key, size: content.length, read};
      };
      const {config, weights} = await readCheckpoint({name: 'memory', open});
      const values = [...(await collect({config, format: 'huggingface', weights})).values()];
      const count = values.reduce((sum, {length}) => sum + length, 0);
      return count === countParameters(config)
        ? undefined
        : `${count} values for ${countParameters(config)} parameters`;
    },
  };
}

function pickled(bytes: Uint8Array): Subject {
  return checkpoint({'config.json': JSON.stringify(tinyConfig), 'pytorch_model.bin': bytes}, 'pytorch_model.bin');
}

function header(): Subject {
  const files = tinyFiles();
  const {header: value, data} = parseSafetensors(files['model.safetensors'] as Uint8Array);
  const rest = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const write = (text: string) => safetensors(text, rest);
  return checkpoint(files, 'model.safetensors', {value: {__metadata__: {format: 'pt'}, ...value}, write});
}

function json(files: Files, name: string, value: object): Subject {
  return checkpoint({...files, [name]: JSON.stringify(value)}, name, {value, write: encoded});
}

function index(): Subject {
  const {'config.json': config, 'model.safetensors': weights} = tinyFiles();
  const value = {
    metadata: {total_size: 944},
    weight_map: Object.fromEntries(Object.keys(tinyShapes).map((name) => [name, 'a.safetensors'])),
  };
  return json({'config.json': config, 'a.safetensors': weights}, 'model.safetensors.index.json', value);
}

/** The pieces of a tokenizer.json that is small. */
const tokenizerFile = {
  version: '1.0',
  truncation: null,
  padding: null,
  added_tokens: [
    {id: 0, content: '<unk>', single_word: false, lstrip: false, rstrip: false, normalized: false, special: true},
    {id: 9, content: '<end>', single_word: false, lstrip: false, rstrip: false, normalized: true, special: false},
  ],
  normalizer: {type: 'Sequence', normalizers: [{type: 'NFC'}, {type: 'Replace', pattern: {String: 'é'}, content: 'e'}]},
  pre_tokenizer: {
    type: 'Sequence',
    pretokenizers: [
      {type: 'Split', pattern: {Regex: ' ?\\p{L}+|\\s+'}, behavior: 'Isolated', invert: false},
      {type: 'Metaspace', replacement: '▁', prepend_scheme: 'first', split: false},
    ],
  },
  post_processor: null,
  decoder: {type: 'Sequence', decoders: [{type: 'Replace', pattern: {String: '▁'}, content: ' '}, {type: 'Fuse'}]},
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: '<unk>',
    fuse_unk: false,
    byte_fallback: false,
    vocab: {'<unk>': 0, a: 1, b: 2, c: 3, '▁': 4, ab: 5, '▁a': 6, '▁ab': 7, abc: 8},
    merges: [['a', 'b'], '▁ a', ['▁', 'ab'], ['ab', 'c']],
  },
};

const tokenizer: Subject = {
  bytes: encoded(JSON.stringify(tokenizerFile)),
  json: {value: tokenizerFile, write: encoded},
  named: /^loadTokenizer: /,
  async read(bytes) {
    let content: unknown;
    try {
      content = JSON.parse(new TextDecoder().decode(bytes));
    } catch {
      throw new Error('loadTokenizer: what is no JSON does not come to it');
    }
    const {encode, decode, vocabSize} = await loadTokenizer(content);
    for (const text of ['', 'ab abc', 'é<end> xyz <unk>']) {
      const ids = encode(text);
      if (!ids.every((id) => Number.isSafeInteger(id) && id >= 0 && id < vocabSize))
        return `ids ${ids.join()} of ${text}`;
      if (typeof decode(ids) !== 'string') return 'no text';
    }
    return undefined;
  },
};

/** A view of another stride, which no archive above has. */
const strided = archive(
  stateDict(
    Object.fromEntries(
      Object.entries(tinyShapes).map(([name, shape]) => [
        name,
        tensor({shape, length: 400, strides: shape.length === 2 ? [1, shape[0]] : undefined}),
      ]),
    ),
  ),
  {'0': new Float32Array(400)},
);

const config = {...tinyConfig, expand: 2, intermediate_size: 8, use_bias: false, pad_token_id: 0, bos_token_id: [1, 2]};
const subjects: [string, () => Subject][] = [
  ['safetensors', header],
  ['an index of shards', index],
  ['a torch archive of views', () => pickled(saved('views'))],
  ['a torch archive of parameters', () => pickled(saved('parameters'))],
  ['a torch archive without checksums', () => pickled(strided)],
  ['config.json', () => json(tinyFiles(), 'config.json', config)],
  ['generation_config.json', () => json(tinyFiles(), 'generation_config.json', {eos_token_id: [1, 2, 9]})],
  ['tokenizer.json', () => tokenizer],
];

describe('damaged files', () => {
  for (const [name, subject] of subjects) {
    it(`${name}: an error or the right thing, nothing else`, async () => {
      spyOn(console, 'warn');
      expectHarmless(await readMutated(subject()));
    });
  }
});
