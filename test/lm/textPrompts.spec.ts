/** Text in, text out: the tokenizer that comes with a model, prompts of every kind, and how a row ends. */
import {mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {pathToFileURL} from 'node:url';
import * as tf from '@tensorflow/tfjs';
import {fromPretrained, savePretrained} from '../../src/lm/pretrained';
import type {GeneratedText, GenerateOptions, GenerationEnd} from '../../src/lm/generate';
import type {MambaLM} from '../../src/lm/model';
import {mambaLM} from '../../src/lm/model';
import {TextStream} from '../../src/lm/textStream';
import type {Tokenizer} from '../../src/lm/tokenizers';
import {byteTokenizer, characterTokenizer, loadTokenizer} from '../../src/lm/tokenizers';
import {nodeFiles} from '../../src/checkpoints/nodeFiles';
import {registerFilePlatform} from '../../src/checkpoints/platform';
import {Loopback} from '../checkpoints/loopback';
import {memorySource} from '../checkpoints/memoryFiles';
import {fixtureBytes} from '../support/fixtures';
import {smallModel} from './smallModel';

type Files = Record<string, Uint8Array<ArrayBuffer>>;

const letters = characterTokenizer('abcdefghijk');

async function saved(model: MambaLM): Promise<Files> {
  const files: Files = {};
  await savePretrained(model, {write: (name, bytes) => void (files[name] = bytes)});
  return files;
}

const parsed = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes)) as unknown;
const written = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

describe('a tokenizer with its model', () => {
  let model: MambaLM;

  beforeEach(() => {
    registerFilePlatform(nodeFiles); // other specs take it away
    model = smallModel({vocabSize: 11, padVocabMultiple: 1});
  });
  afterEach(() => model.dispose());

  it('is saved and found again, with its config', async () => {
    expect(Object.keys(await saved(model))).not.toContain('tokenizer.json');
    model.tokenizer = {...letters, config: {eos_token: 'k'}};
    const files = await saved(model);
    expect(parsed(files['tokenizer.json'])).toEqual(letters.toJSON());
    expect(parsed(files['tokenizer_config.json'])).toEqual({eos_token: 'k'});
    expect(Object.keys(files).at(-1)).toBe('model.safetensors');

    const loaded = await fromPretrained(memorySource(files));
    expect(loaded.tokenizer!.encode('cab')).toEqual([2, 0, 1]);
    expect(loaded.tokenizer!.config).toEqual({eos_token: 'k'});
    const again = await saved(loaded);
    loaded.dispose();
    expect(parsed(again['tokenizer.json'])).toEqual(letters.toJSON());
    expect(parsed(again['tokenizer_config.json'])).toEqual({eos_token: 'k'});
  });

  it('comes from a folder, its URL, a file in it, and a server', async () => {
    model.tokenizer = letters;
    const folder = await mkdtemp(join(tmpdir(), 'tfjs-mamba-'));
    const server = await Loopback.start();
    try {
      await savePretrained(model, folder);
      await writeFile(join(folder, 'other.json'), JSON.stringify(byteTokenizer()));
      server.reset(await saved(model));
      const url = pathToFileURL(`${folder}/`);
      for (const source of [folder, url, server.origin, new URL(`${server.origin}/model.safetensors`)]) {
        const loaded = await fromPretrained(source);
        expect(loaded.tokenizer?.vocabSize).withContext(String(source)).toBe(11);
        loaded.dispose();
        expect((await loadTokenizer(source)).encode('b'))
          .withContext(String(source))
          .toEqual([1]);
      }
      for (const [source, vocabSize] of [
        [join(folder, 'tokenizer.json'), 11],
        [new URL('other.json', url), 256],
        [memorySource(await saved(model)), 11],
        [`${server.origin}/tokenizer.json`, 11],
      ] as const) {
        expect((await loadTokenizer(source)).vocabSize)
          .withContext(JSON.stringify(source))
          .toBe(vocabSize);
      }
    } finally {
      await rm(folder, {recursive: true});
      await server.stop();
    }
  });

  it('that cannot be used does not keep the model from loading, is saved again, and is told of when text comes', async () => {
    model.tokenizer = letters;
    const files = await saved(model);
    const odd = {model: {type: 'WordLevel'}};
    for (const [content, message, kept] of [
      [written(odd), /tokenizer\.json cannot be used \(loadTokenizer: model\.type "WordLevel" cannot/, odd],
      [new TextEncoder().encode('{'), /tokenizer\.json cannot be used \(tokenizer\.json is not JSON/, undefined],
    ] as const) {
      const loaded = await fromPretrained(memorySource({...files, 'tokenizer.json': content}));
      expect(loaded.tokenizer).toBeUndefined();
      await expectAsync(collect(loaded.generate('ab'))).toBeRejectedWithError(message);
      expect((await collect(loaded.generate([1], {maxNewTokens: 2}))).length).toBe(2);
      const again = await saved(loaded);
      loaded.dispose();
      expect('tokenizer.json' in again ? parsed(again['tokenizer.json']) : undefined).toEqual(kept);
    }
  });

  it('is loaded with errors that name loadTokenizer and what is wrong', async () => {
    const wrong: Array<[unknown, object | undefined, RegExp]> = [
      [memorySource({}), {}, /^loadTokenizer: memory has no tokenizer\.json$/],
      [
        '/nowhere',
        {},
        /^loadTokenizer: source must be a URL, a Hub id \(owner\/name\) or a path, but is "\/nowhere"; there is no/,
      ],
      [5, {}, /^loadTokenizer: source must be a path, a URL, a Hub id or the parsed content .*, but is number 5$/],
      [{}, {}, /^loadTokenizer: json must be .*; a path, a URL or a Hub id will do as well$/],
      [memorySource({}), {revision: 'main'}, /^loadTokenizer: revision is for models on the Hub/],
      [memorySource({}), {timeout: -1}, /^loadTokenizer: timeout must be a positive number/],
      ['a/b', {revison: 'main'}, /^loadTokenizer: unknown argument revison; expected signal, revision, cache, timeout/],
    ];
    for (const [source, options, message] of wrong) {
      await expectAsync(loadTokenizer(source as string, options)).toBeRejectedWithError(message);
    }
  });
});

describe('generate from text', () => {
  let model: MambaLM;
  const options: GenerateOptions = {seed: 2, maxNewTokens: 9, stopTokens: []};

  beforeAll(() => {
    model = smallModel({vocabSize: 11, padVocabMultiple: 1});
  });
  afterAll(() => model.dispose());

  it('streams tokens with their text from a text, or several', async () => {
    model.tokenizer = letters;
    const fromIds = await collect(model.generate([[2, 0, 1], [3]], options));
    const fromText: GeneratedText[] = await collect(model.generate(['cab', 'd'], options));
    expect(fromText).toEqual(fromIds.map((token) => ({...token, text: letters.decode([token.id])})));
    const alone: GeneratedText[] = await collect(model.generate('cab', options));
    const shown = (tokens: GeneratedText[]) => tokens.map(({id, index, text}) => ({id, index, text}));
    expect(shown(alone)).toEqual(shown(fromText.filter(({row}) => row === 0)));
  });

  it('takes int32 tensors, as prefill does', async () => {
    const [one, two] = [tf.tensor1d([2, 0, 1], 'int32'), tf.tensor2d([[1, 2], [3, 4]], [2, 2], 'int32')]; // prettier-ignore
    const before = tf.memory().numTensors;
    expect(await collect(model.generate(one, options))).toEqual(await collect(model.generate([2, 0, 1], options)));
    expect(await collect(model.generate(two, options))).toEqual(
      await collect(model.generate([[1, 2], [3, 4]], options)), // prettier-ignore
    );
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose([one, two]);
  });

  it('tells when each row has ended, and why', async () => {
    model.tokenizer = letters;
    const told: GenerationEnd[] = [];
    const onEnd = (end: GenerationEnd) => void told.push(end);
    const free = await collect(model.generate(['cab', 'd'], options));
    // A token that one row comes to and the other does not.
    const idsOf = (row: number) => free.filter((token) => token.row === row).map(({id}) => id);
    const stop = idsOf(0).find((id, i) => i > 0 && !idsOf(1).includes(id))!;
    expect(stop).toBeDefined();
    const stopped = await collect(model.generate(['cab', 'd'], {...options, stopTokens: [stop], onEnd}));
    const texts = [0, 1].map((row) => stopped.filter((token) => token.row === row).map(({text}) => text).join('')); // prettier-ignore
    expect(told).toEqual([
      {row: 0, reason: 'stop', tokens: idsOf(0).indexOf(stop), text: texts[0]},
      {row: 1, reason: 'length', tokens: 9, text: texts[1]},
    ]);

    told.length = 0;
    const controller = new AbortController();
    const aborted = async () => {
      for await (const {index} of model.generate([1], {...options, onEnd, signal: controller.signal})) {
        if (index === 2) controller.abort(new Error('enough'));
      }
    };
    await expectAsync(aborted()).toBeRejectedWithError('enough');
    expect(told).toEqual([{row: 0, reason: 'abort', tokens: 3}]);
  });

  it('never splits a character, whatever the tokens', async () => {
    const bytes = mambaLM({vocabSize: 256, dModel: 8, nLayer: 1, dState: 2}, {seed: 1});
    bytes.tokenizer = byteTokenizer();
    let end: GenerationEnd | undefined;
    const onEnd = (told: GenerationEnd) => void (end = told);
    const tokens = await collect(bytes.generate('é', {seed: 4, maxNewTokens: 60, onEnd}));
    bytes.dispose();
    const whole = byteTokenizer().decode(tokens.map(({id}) => id));
    expect(end!.text).toBe(whole);
    expect(whole.startsWith(tokens.map(({text}) => text).join(''))).toBeTrue();
  });

  it('says what is wrong with a prompt, and how to get a tokenizer', async () => {
    const wrong: Array<[unknown, Tokenizer | undefined, RegExp]> = [
      ['abc', undefined, /^generate: prompt is a text, but the model has no tokenizer, as no tokenizer\.json came with it; set model\.tokenizer to what loadTokenizer\(source\)/],
      ['', letters, /^generate: prompt 0 must have one or more tokens, but is ""$/],
      [['a', 5], letters, /^generate: prompt 1 must be a text, as the first one is$/],
      ['xyz', letters, /^characterTokenizer: text has "x", which is not in the vocabulary; leave it out, or .* byteTokenizer\(\)/],
      ['zebra', byteTokenizer(), /^generate: prompt must hold integers in \[0, 11\), but has 122$/],
      [tf.tensor1d([1]), letters, /^generate: prompt must have dtype int32, but has float32; toInt\(\) casts it$/],
      [tf.scalar(1, 'int32'), letters, /^generate: prompt must have shape \[length\] or \[batch,length\], not empty, but has \[\]$/],
      [tf.tensor1d([11], 'int32'), letters, /^generate: prompt must hold integers in \[0, 11\), but has 11$/],
    ]; // prettier-ignore
    for (const [prompt, tokenizer, message] of wrong) {
      model.tokenizer = tokenizer;
      await expectAsync(collect(model.generate(prompt as string))).toBeRejectedWithError(message);
    }
    tf.dispose(wrong.map(([prompt]) => prompt as tf.Tensor));
    const onEnd = 5 as never;
    await expectAsync(collect(model.generate([1], {onEnd}))).toBeRejectedWithError(
      /^generate: onEnd must be a function/,
    );
  });
});

describe('TextStream', () => {
  it('gives whole characters, and all of them, from every kind of tokenizer', async () => {
    const text = 'naïve café – 日本語 👩‍👩‍👧 and 😀!';
    const neox = await loadTokenizer(parsed(new Uint8Array(await fixtureBytes('golden/tokenizer/tokenizer.json'))));
    for (const tokenizer of [neox, byteTokenizer(), characterTokenizer(text)]) {
      const [prompt, ids] = [tokenizer.encode('naï'), tokenizer.encode(text)];
      const stream = new TextStream(tokenizer, prompt);
      const pieces = ids.map((id) => stream.add(id));
      expect(pieces.join('')).toBe(text);
      expect(stream.all()).toBe(text);
      // Code points, not halves of them.
      expect(pieces.every((piece) => !/[\p{Surrogate}\ufffd]/u.test(piece))).toBeTrue();
    }
  });

  it('decodes bytes that stand for characters together, where one alone changes the others', () => {
    // As ByteFallback does: bytes that are no text as a whole are each U+FFFD.
    const fatal = new TextDecoder('utf-8', {fatal: true});
    const decode = (ids: readonly number[]) => {
      try {
        return fatal.decode(Uint8Array.from(ids));
      } catch {
        return '\ufffd'.repeat(ids.length);
      }
    };
    const stream = new TextStream({...byteTokenizer(), decode}, byteTokenizer().encode('ä'));
    const pieces = byteTokenizer().encode('éü€😀').map((id) => stream.add(id)); // prettier-ignore
    expect(pieces).toEqual(['', 'é', '', 'ü', '', '', '€', '', '', '', '😀']);
  });
});
