/** From files to batches: what is read, in which tokens, and in which order. */
import {mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {build} from 'esbuild';
import type {OpenDataOptions} from '../../src/data';
import {openData} from '../../src/data';
import {ahead, thread} from '../../src/data/encoding';
import {cutAtSpaces} from '../../src/data/streams';
import {byteTokenizer, loadTokenizer, type Tokenizer} from '../../src/lm/tokenizers';
import {trainer} from '../../src';
import {smallLM} from '../training/models';
import {tokenWindows, type BatchDataset, type TokenBatch} from '../../src/training/data';

const chatml = "{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"; // prettier-ignore
const chatting: Tokenizer = {...byteTokenizer(), config: {chat_template: chatml}};
const options: OpenDataOptions = {tokenizer: byteTokenizer(), batchSize: 2, length: 8};

/** The rows of so many batches: inputs and labels. */
async function rows(
  dataset: BatchDataset<TokenBatch>,
  batches: number,
  state?: never,
): Promise<[number[], number[]][]> {
  const iterator = await dataset.iterator(state);
  const all: [number[], number[]][] = [];
  for (let i = 0; i < batches; i++) {
    const {done, value} = await iterator.next();
    if (done) break;
    const [xs, ys] = await Promise.all([value.xs, value.ys].map((tensor: tf.Tensor2D) => tensor.array()));
    xs.forEach((row, r) => all.push([row, ys[r]]));
    value.xs.dispose();
    value.ys.dispose();
  }
  return all;
}

/** The text of labels that count. */
const learned = (labels: number[]) => byteTokenizer().decode(labels.filter((label) => label !== -100));

describe('openData', () => {
  let folder: string;
  const file = (name: string, content: string | Uint8Array) => {
    const path = join(folder, name);
    mkdirSync(join(path, '..'), {recursive: true});
    writeFileSync(path, content);
    return path;
  };
  const lines = (name: string, ...values: object[]) => file(name, `${values.map((value) => JSON.stringify(value)).join('\n')}\n`); // prettier-ignore

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-data-'));
  });
  afterAll(() => rmSync(folder, {recursive: true}));

  it('cuts a text of any length where its tokens end, whatever the chunks it comes in', async () => {
    const tokenizer = await loadTokenizer(
      JSON.parse(readFileSync('test/fixtures/golden/tokenizer/tokenizer.json', 'utf8')),
    );
    const text = readFileSync('README.md', 'utf8').slice(0, 6000) + '\n\n \n\tx  y\r\n 1 2,  「你好」 🙂🙂 end';
    const inChunks = async function* () {
      for (let at = 0; at < text.length; at += 7) yield text.slice(at, at + 7);
    };
    const pieces: string[] = [];
    for await (const piece of cutAtSpaces(inChunks(), 100)) pieces.push(piece);
    expect(pieces.length).toBeGreaterThan(25);
    expect(pieces.join('')).toBe(text);
    expect(pieces.flatMap((piece) => tokenizer.encode(piece))).toEqual(tokenizer.encode(text));
  });

  it('gives the windows of a text on the disk that a list of its tokens gives', async () => {
    const text = 'It was the best of times, it was the worst of times. ';
    const data = await openData(file('text.txt', text), {...options, seed: 4});
    const tokens = byteTokenizer().encode(text);
    for (const order of ['random', 'sequential'] as const) {
      const expected = tokenWindows(tokens, {batchSize: 2, length: 8, seed: order === 'random' ? 4 : 0, order});
      const part = order === 'random' ? data.train!.training : data.train!.evaluation;
      expect(await rows(part, 4)).toEqual(await rows(expected, 4));
    }
    expect([data.train!.tokens, data.valid]).toEqual([tokens.length, undefined]);
    await data.close();
  });

  it('reads a folder of texts in the order of their paths, each with an end, and holds out the last part', async () => {
    file('texts/b.txt', 'bbbb');
    file('texts/a/x.md', 'aaaa');
    file('texts/.hidden', 'no');
    file('texts/picture.png', new Uint8Array([137, 80, 0, 1]));
    const data = await openData(join(folder, 'texts'), {...options, length: 3, endOfText: 0, heldOut: 0.4});
    const whole = await rows(data.train!.evaluation, 9);
    expect(learned(whole.flatMap(([, ys]) => ys))).toBe('aaa\0b');
    expect(learned((await rows(data.valid!.evaluation, 9)).flatMap(([, ys]) => ys))).toBe('bb\0');
    await data.close();
  });

  it('reads a stream, once', async () => {
    const stream = async function* () {
      yield new TextEncoder().encode('häl').subarray(0, 2); // within a character
      yield new TextEncoder().encode('häl').subarray(2);
    };
    const data = await openData(stream(), {...options, length: 3});
    expect(learned((await rows(data.train.evaluation, 9)).flatMap(([, ys]) => ys))).toBe('äl');
    await data.close();
  });

  it('reads the three forms of JSON lines, with the prompt masked or not', async () => {
    const path = lines(
      'forms.jsonl',
      {text: 'abc'},
      {prompt: 'abc', completion: 'de'},
      {messages: [{role: 'user', content: 'hi'}, {role: 'assistant', content: 'ho'}]},
    ); // prettier-ignore
    const cases: [Partial<OpenDataOptions>, string[]][] = [
      [{tokenizer: chatting, endOfText: 10}, ['bc\n', 'user>abc\n<assistant>de\n', 'user>hi\n<assistant>ho\n']],
      [{tokenizer: chatting, endOfText: 10, maskPrompt: true}, ['bc\n', 'de\n', 'ho\n']],
    ];
    for (const [more, expected] of cases) {
      const data = await openData(path, {...options, length: 64, ...more});
      const all = await rows(data.train!.evaluation, 9);
      expect(all.map(([, ys]) => learned(ys)).sort()).toEqual(expected.sort());
      for (const [xs, ys] of all) {
        // A label is the input after it.
        expect(ys.slice(0, -1).every((y, t) => y === -100 || xs[t + 1] === y || xs[t + 1] === 0)).toBeTrue();
      }
      await data.close();
    }
    const plain = await openData(lines('plain.jsonl', {prompt: 'abc', completion: 'de'}), {
      ...options,
      maskPrompt: true,
    });
    expect(learned((await rows(plain.train!.evaluation, 9))[0][1])).toBe('de');
    await plain.close();
  });

  it('takes every example once a pass, its order from the seed, and goes on from a saved position', async () => {
    const examples = Array.from({length: 11}, (_, i) => ({
      text: String.fromCharCode(97 + i).repeat(3 + ((i * 5) % 7)),
    }));
    const path = lines('many.jsonl', ...examples);
    const open = (more: Partial<OpenDataOptions>) => openData(path, {...options, length: 5, heldOut: 0.2, ...more});
    const data = await open({seed: 3});
    expect([data.train!.examples, data.valid!.examples, data.train!.cut]).toEqual([9, 2, 4]);
    const pass = await rows(data.train!.training, 5);
    const names = (all: [number[], number[]][]) => all.map(([xs]) => xs[0]);
    expect(names(pass).sort((a, b) => a - b)).toEqual(Array.from({length: 9}, (_, i) => 97 + i));
    expect(pass.every(([xs]) => xs.length <= 5)).toBeTrue();
    const twelve = await rows(data.train!.training, 12);
    expect(names(twelve).slice(9, 18)).not.toEqual(names(twelve).slice(0, 9));
    const iterator = await data.train!.training.iterator();
    for (let i = 0; i < 7; i++) (await iterator.next()).value.xs.dispose();
    const rest = await rows(data.train!.training, 5, iterator.state!() as never);
    expect(rest).toEqual(twelve.slice(-rest.length));
    expect(await rows(data.train!.training, 12)).toEqual(twelve);
    const other = await open({seed: 4});
    expect(names(await rows(other.train!.training, 5))).not.toEqual(names(pass));
    await expectAsync(data.train!.training.iterator({pass: 0, batch: 99})).toBeRejectedWithError(
      /^openData: the position must be/,
    );
    const position = iterator.state!() as never;
    for (const [name, changed] of Object.entries({batchSize: [2, 3], length: [5, 6]})) {
      const otherwise = await open({seed: 3, [name]: changed[1]});
      await expectAsync(otherwise.train!.training.iterator(position)).toBeRejectedWithError(
        new RegExp(`^openData: the position is of data with ${name} ${changed[0]}, but here it is ${changed[1]};`),
      );
      await otherwise.close();
    }
    await expectAsync(open({order: 'continuous'})).toBeRejectedWithError(
      /^openData: order must be random, .*many\.jsonl do not follow .*stateful training, which takes 'continuous', is for text$/,
    );
    const stateful = trainer(smallLM(), {optimizer: tf.train.sgd(1), stateful: true});
    await expectAsync(stateful.fit(data.train!.training, {steps: 1})).toBeRejectedWithError(
      /^trainer: stateful carries states from batch to batch, .* but dataset has rows that do not$/,
    );
    await Promise.all([data.close(), other.close()]);
  });

  it('packs examples into rows, each once a pass and apart from the others', async () => {
    const examples = Array.from({length: 9}, (_, i) => ({text: String.fromCharCode(97 + i).repeat(2 + ((i * 5) % 7))}));
    const path = lines('pack.jsonl', ...examples);
    const data = await openData(path, {...options, length: 8, pack: true});
    const iterator = await data.train!.evaluation.iterator();
    const found: string[] = [];
    let positions = 0;
    for (let i = 0; i < data.train!.evaluation.size; i++) {
      const {value} = (await iterator.next()) as IteratorResult<TokenBatch & {sequenceIds: tf.Tensor2D}>;
      const [xs, ys, ids] = await Promise.all(
        [value.xs, value.ys, value.sequenceIds].map((tensor: tf.Tensor2D) => tensor.array()),
      );
      xs.forEach((row, r) => {
        positions += row.length;
        for (const id of new Set(ids[r].filter((own) => own >= 0))) {
          const places = row.map((_, t) => t).filter((t) => ids[r][t] === id);
          const [first] = places;
          expect(places).toEqual(places.map((_, k) => first + k));
          expect(places.slice(1).map((t) => row[t])).toEqual(places.slice(0, -1).map((t) => ys[r][t]));
          found.push(byteTokenizer().decode([row[first], ...places.map((t) => ys[r][t])]));
        }
        expect(row.every((_, t) => ids[r][t] >= 0 || ys[r][t] === -100)).toBeTrue();
      });
      Object.values(value).forEach((tensor) => (tensor as tf.Tensor).dispose());
    }
    expect(found.sort()).toEqual(examples.map(({text}) => text));
    expect(positions).toBeLessThan(9 * 8);
    await data.close();
  });

  it('reads a folder as mlx_lm does', async () => {
    for (const split of ['train', 'valid', 'test']) lines(`mlx/${split}.jsonl`, {text: `${split}!`});
    const data = await openData(join(folder, 'mlx'), {...options, heldOut: 0.5});
    for (const split of ['train', 'valid', 'test'] as const) {
      expect(learned((await rows(data[split]!.evaluation, 9))[0][1])).toBe(`${split}!`.slice(1));
    }
    await data.close();
  });

  describe('with a tokenizer of Hugging Face', () => {
    let tokenizer: Tokenizer;
    const text = `${readFileSync('README.md', 'utf8').slice(0, 3000)} 「你好」 🙂 `;

    const {program} = thread;
    beforeAll(async () => {
      const json = readFileSync('test/fixtures/golden/tokenizer/tokenizer.json', 'utf8');
      tokenizer = await loadTokenizer(JSON.parse(json));
      // As the package has it.
      thread.program = join(folder, 'tokenizerWorker.mjs');
      const entryPoints = ['src/data/tokenizerWorker.ts'];
      await build({entryPoints, bundle: true, format: 'esm', platform: 'node', outfile: thread.program});
    });
    afterAll(() => (thread.program = program));

    it('encodes in a thread, in order: texts and examples', async () => {
      const own = tokenizer.encode;
      let asked = 0;
      // Somebody's own `encode` is asked here.
      const here = {...tokenizer, encode: (text: string) => own(text.slice(0, ++asked && text.length))};
      const whole = text.repeat(60);
      const data = await openData(file('long.txt', whole), {...options, tokenizer});
      expect(data.train!.tokens).toBe(own(whole).length);
      const start = (await rows(data.train!.evaluation, 1))[0][0];
      expect(start).toEqual(own(whole).slice(0, 8));
      await data.close();
      const path = lines('threaded.jsonl', ...Array.from({length: 30}, (_, i) => ({prompt: `${i} and`, completion: ' so on'.repeat(i % 4 + 1)}))); // prettier-ignore
      const [there, again] = await Promise.all(
        [tokenizer, here].map((of) => openData(path, {...options, tokenizer: of, maskPrompt: true})),
      );
      expect(await rows(there.train!.evaluation, 15)).toEqual(await rows(again.train!.evaluation, 15));
      expect(asked).toBe(60); // each prompt and each completion
      await Promise.all([there.close(), again.close()]);
    });

    it('ends the thread on an abort, on an error of the reader, and on one of its own', async () => {
      const threads = () => process.getActiveResourcesInfo().filter((name) => name === 'MessagePort').length;
      const before = threads();
      const stop = new AbortController();
      const path = file('aborted.txt', text.repeat(120));
      const aborted = openData(path, {...options, tokenizer, signal: stop.signal, onProgress: () => stop.abort(new Error('enough'))}); // prettier-ignore
      await expectAsync(aborted).toBeRejectedWithError('enough');
      const broken = file('broken.txt', Buffer.concat([Buffer.from(text.repeat(90)), Buffer.from([255, 255])]));
      await expectAsync(openData(broken, {...options, tokenizer})).toBeRejectedWithError(
        /broken\.txt is not UTF-8 text$/,
      );
      const failing = {...tokenizer, toJSON: () => ({model: {type: 'none'}})};
      await expectAsync(openData(path, {...options, tokenizer: failing})).toBeRejectedWithError(
        /^loadTokenizer: .*model/,
      );
      expect(threads()).toBe(before);
    });

    it('reads no further ahead than some texts', async () => {
      let read = 0;
      const taken: number[] = [];
      const items = async function* () {
        for (; read < 50; read++) yield read;
      };
      for await (const result of ahead(items(), async (item) => 2 * item, 4)) {
        expect(result).toBe(2 * taken.length);
        taken.push(result);
        expect(read - taken.length).toBeLessThanOrEqual(4);
      }
      expect(taken.length).toBe(50);
    });
  });

  it('names the file and line, or the option, that is wrong', async () => {
    mkdirSync(join(folder, 'empty'));
    const cases: [string, Partial<OpenDataOptions>, RegExp][] = [
      [join(folder, 'nowhere'), {}, /^openData: .*nowhere cannot be read: /],
      [join(folder, 'empty'), {}, /^openData: .*empty has no train\.jsonl and no text files$/],
      [file('latin.txt', new Uint8Array([72, 228, 104])), {}, /latin\.txt is not UTF-8 text$/],
      [file('short.txt', 'abc'), {}, /short\.txt gives 3 tokens, but a row takes 9; a smaller length takes fewer$/],
      [file('broken.jsonl', '{"text": "a b"}\n\n{"text": '), {}, /broken\.jsonl:3 must be an object of JSON, but is \{"text": $/],
      [lines('other.jsonl', {story: 'x'}), {}, /other\.jsonl:1 must have "text", or "prompt" and "completion", or "messages" .* but has story$/],
      [lines('chat.jsonl', {messages: [{role: 'user', content: 'x'}]}), {}, /^applyChatTemplate: the tokenizer's tokenizer_config\.json has no chat_template$/],
      [lines('none.jsonl', {text: 'a'}), {}, /none\.jsonl has no examples/],
      [folder, {heldOut: 1}, /^openData: heldOut must be from 0 to below 1, but is 1$/],
      [folder, {batchSize: 0}, /^openData: batchSize must be/],
      [folder, {maskPrompts: true} as never, /^openData: unknown argument maskPrompts; .*did you mean maskPrompt\?$/],
    ]; // prettier-ignore
    for (const [source, more, message] of cases) {
      await expectAsync(openData(source, {...options, ...more}))
        .withContext(String(message))
        .toBeRejectedWithError(message);
    }
  });
});
