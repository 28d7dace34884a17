/** The commands that make and use models, on very small ones: each does what the library does. */
import {execFileSync} from 'node:child_process';
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {blobFile} from '../../src/checkpoints/bytes';
import {openTorchArchive} from '../../src/checkpoints/torchArchive';
import {readQuestions} from '../../src/cli/multipleChoice';
import type {MambaLM} from '../../src/node';
import {byteTokenizer, fromPretrained, savePretrained, tokenWindows, trainer, adamW} from '../../src/node';
import {mambaLM} from '../../src/lm/model';
import {call} from './call';

const text = 'To be, or not to be, that is the question. '.repeat(12);
const small = [
  '--tokenizer',
  'character',
  '--d-model',
  '8',
  '--n-layer',
  '2',
  '--max-seq-length',
  '12',
  '--batch-size',
  '2',
  '--learning-rate',
  '0.02',
];

describe('the commands', () => {
  let root: string;
  let model: string;
  let data: string;
  const at = (name: string) => join(root, name);
  const train = (out: string, ...more: string[]) => ['train', '--data', data, '--out', at(out), '--save-every', '4', ...small, ...more]; // prettier-ignore
  const weights = (folder: string) => readFileSync(join(folder, 'model.safetensors'));

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'tfjs-mamba-commands-'));
    data = at('text.txt');
    writeFileSync(data, text);
    model = at('model');
    const {code, err, out} = await call(train('model', '--iters', '12', '--steps-per-eval', '6'));
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/^[\d,]+ parameters, on cpu\ntrain: 464 tokens\nvalid: 52 tokens\n/);
    expect(out).toMatch(/^step 10 of 12 \| loss \d\.\d+ \| [\d,]+ labels\/s \| .* left \| [\d,]+ MB$/m);
    expect(out).toMatch(/^step 12: validation loss \d\.\d{4}, perplexity \d+\.\d\d$/m);
    expect(out).toMatch(/^loss \d\.\d\d [▁-█]+ \d\.\d\d {3}\(.*loss\.svg\)$/m);
  });
  afterAll(() => rmSync(root, {recursive: true}));

  /** Runs what needs the model that was trained. */
  async function withModel<T>(use: (model: MambaLM) => Promise<T>): Promise<T> {
    const loaded = await fromPretrained(model);
    try {
      return await use(loaded);
    } finally {
      loaded.dispose();
    }
  }

  describe('train', () => {
    it('stopped by Ctrl-C goes on as if it had not been, and to the same bits', async () => {
      const stopped = await call(train('stopped', '--iters', '12', '--steps-per-report', '1'), {stopAt: 'step 5 '});
      expect(stopped.code).toBe(0);
      expect(stopped.out).toMatch(
        /Stopped after step 5 of 12, and saved\. To go on: npx tfjs-mamba train --data .*text\.txt --out .*stopped\n$/,
      );
      const other = await call(train('stopped', '--preset', 'mamba-130m'));
      expect([other.code, other.out]).toEqual([2, '']);
      expect(other.err).toMatch(/begun without --preset and stopped; leave out --preset mamba-130m to go on/);
      const went = await call(train('stopped', '--iters', '12'));
      expect(went.out).toMatch(/^Going on with the run in .*stopped, which was stopped on its way to 12 steps\.$/m);
      expect(weights(at('stopped'))).toEqual(weights(model));
      expect(existsSync(at('stopped/loss.svg'))).toBeTrue();
    });

    it('leaves a finished run alone unless told otherwise', async () => {
      const refused = await call(train('model'));
      expect([refused.code, refused.out]).toEqual([2, '']);
      expect(refused.err).toMatch(
        /holds a run that has ended after 12 steps; --resume trains it .*, --force starts anew over it, --out/,
      );
    });

    it('tells in JSON what happens, and takes standard input', async () => {
      const args = train('piped', '--iters', '3', '--json', '--steps-per-report', '2', '--tokenizer', 'byte', '--mixer', 'mamba2', '--d-model', '32', '--d-state', '4'); // prettier-ignore
      args[2] = '-';
      const {code, events, err} = await call(args, {stdin: text});
      expect([code, err]).toEqual([0, '']);
      expect(events().map(({event}) => event)).toEqual(['model', 'data', 'step', 'step', 'validation', 'end']);
      expect(events()[2]).toEqual(jasmine.objectContaining({step: 2, loss: jasmine.any(Number), gradientNorm: jasmine.any(Number)})); // prettier-ignore
      const config = JSON.parse(readFileSync(at('piped/config.json'), 'utf8')) as object;
      expect(config).toEqual(jasmine.objectContaining({vocab_size: 256, state_size: 4}));
    });
  });

  describe('generate', () => {
    it('writes what the model writes, from an argument, a file or standard input', async () => {
      const expected = await withModel(async (loaded) => {
        let written = '';
        for await (const part of loaded.generate('To be', {maxNewTokens: 9, temperature: 0.8, seed: 5}))
          written += part.text;
        return written;
      });
      writeFileSync(at('prompt.txt'), 'To be');
      const options = ['--model', model, '--max-tokens', '9', '--seed', '5'];
      for (const [args, stdin] of [
        [['To be']],
        [['--prompt', 'To be']],
        [['--prompt-file', at('prompt.txt')]],
        [[], 'To be'],
      ] as [string[], string?][]) {
        const {code, out, err} = await call(['generate', ...options, ...args], {stdin});
        expect([code, out]).toEqual([0, `To be${expected}\n`]);
        expect(err).toMatch(/^9 tokens in \d+\.\d s, \d+\.\d\d s of them for the prompt, \d+\.\d tokens\/s, on cpu\n$/);
      }
      const json = await call(['generate', ...options, '--json', 'To be']);
      expect(json.events()).toEqual([jasmine.objectContaining({prompt: 'To be', text: expected, tokens: 9, reason: 'length'})]); // prettier-ignore
    });

    it('ends with 1 and a line where it cannot', async () => {
      const strange = await call(['generate', '--model', model, 'Zürich']);
      expect(strange.code).toBe(1);
      expect(strange.err).toMatch(
        /^tfjs-mamba generate: characterTokenizer: text has "Z", which is not in the vocabulary; leave it out, .*\n$/,
      );
      const none = await call(['generate', '--model', at('nowhere'), 'a']);
      expect([none.code, none.err.match(/\n/g)!.length]).toEqual([1, 1]);
    });
  });

  describe('finetune', () => {
    const other = 'that is not the other, so be it or not. ';
    const open = (out: string, ...more: string[]) =>
      ['finetune', '--model', model, '--out', at(out), '--batch-size', '2', '--max-seq-length', '12', '--learning-rate', '0.01', '--fine-tune-type', 'full', ...more]; // prettier-ignore

    it('brings the loss on a second text down, and keeps the model it began with', async () => {
      writeFileSync(at('other.txt'), other.repeat(20));
      const before = weights(model);
      const {code, events, err} = await call(open('tuned', '--train', '--data', at('other.txt'), '--iters', '16', '--steps-per-eval', '4', '--json')); // prettier-ignore
      expect([code, err]).toEqual([0, '']);
      const losses = events().filter(({event}) => event === 'validation').map(({loss}) => loss as number); // prettier-ignore
      expect(losses.length).toBe(4);
      const untrained = await call([
        'eval',
        '--model',
        model,
        '--data',
        at('other.txt'),
        '--json',
        '--max-seq-length',
        '12',
      ]);
      expect(losses.at(-1)!).toBeLessThan((untrained.events()[0]['loss'] as number) * 0.9);
      expect(weights(model)).toEqual(before);
      expect(weights(at('tuned'))).not.toEqual(before);
    });

    it('trains the last blocks alone where told, on examples with masked prompts, and tests', async () => {
      const lines = ['to', 'be', 'or', 'not'].map((word) =>
        JSON.stringify({prompt: `${word} `, completion: 'that is it'}),
      );
      const folder = at('jsonl');
      const {mkdirSync} = await import('node:fs');
      mkdirSync(folder);
      for (const split of ['train', 'valid', 'test']) writeFileSync(join(folder, `${split}.jsonl`), lines.join('\n'));
      const {code, out, err} = await call(open('last', '--train', '--test', '--data', folder, '--iters', '3', '--num-layers', '1', '--mask-prompt')); // prettier-ignore
      expect([code, err]).toEqual([0, '']);
      const [, trained, all] = /^training ([\d,]+) of ([\d,]+) parameters, \d+\.\d\d %$/m.exec(out)!;
      const number = (digits: string) => Number(digits.replaceAll(',', ''));
      expect(number(trained)).toBeLessThan(number(all) / 2);
      expect(out).toMatch(/^test loss \d\.\d{4}, perplexity /m);
      await withModel(async (before) => {
        const after = await fromPretrained(at('last'));
        const changed = [...after.weightsByName()].filter(
          ([name, weight]) =>
            !tf.util.arraysEqual(weight.read().dataSync(), before.weightsByName().get(name)!.read().dataSync()),
        );
        expect(changed.length).toBeGreaterThan(3);
        expect(changed.every(([name]) => name.startsWith('layers.1/'))).toBeTrue();
        after.dispose();
      });
    });
  });

  for (const [name, begin] of Object.entries({
    train: () => train("what I've cut", '--iters', '4'),
    finetune: () => ['finetune', '--model', model, '--data', data, '--fine-tune-type', 'full', '--out', at('cut "$HOME" further'), '--batch-size', '2', '--max-seq-length', '12', '--iters', '4'], // prettier-ignore
  })) {
    it(`of which ${name} was stopped name the command that goes on with it, as a shell takes it`, async () => {
      const {out} = await call([...begin(), '--steps-per-report', '1'], {stopAt: 'step 2 '});
      const named = /\. To go on: npx tfjs-mamba (.*)\n$/.exec(out)![1];
      const words = execFileSync('sh', ['-c', `printf '%s\\n' ${named}`], {encoding: 'utf8'});
      const went = await call(words.trimEnd().split('\n'));
      expect([went.code, went.err]).toEqual([0, '']);
      expect(went.out).toMatch(/^Going on with the run in .*cut.*, which was stopped on its way to 4 steps\.$/m);
    });
  }

  describe('eval', () => {
    it('gives the perplexity over windows', async () => {
      const {code, events} = await call([
        'eval',
        '--model',
        model,
        '--data',
        data,
        '--max-seq-length',
        '100',
        '--json',
      ]);
      const expected = await withModel((loaded) =>
        trainer(loaded, {optimizer: adamW({learningRate: 1})}).evaluate(
          tokenWindows(loaded.tokenizer!.encode(text), {batchSize: 1, length: 100, order: 'sequential'}),
        ),
      );
      expect(code).toBe(0);
      expect(events()[0]['loss']).toBeCloseTo(expected.loss, 5);
      expect(events()[0]['perplexity']).toBeCloseTo(expected.perplexity, 4);
    });

    it('scores multiple choice as lm-evaluation-harness does, against sums in float64', async () => {
      const questions = [
        {context: 'To be, or', choices: ['not', 'that is the question.', 'be'], gold: 0},
        {query: 'that is ', choices: ['the', 'to be, or not'], label: 1},
        {question: 'not to', choices: ['be,', 'question', 'to'], answer: 0},
        {context: 'or not', choices: ['the question', 'to'], gold: 1},
      ];
      const path = at('choices.jsonl');
      writeFileSync(path, questions.map((question) => JSON.stringify(question)).join('\n'));
      const {code, events} = await call(['eval', '--model', model, '--choices', path, '--json']);
      expect(code).toBe(0);
      // Each token is a character, so that a choice's own tokens are known; a space at the end of a context goes over to the choice.
      const right = [0, 0];
      await withModel(async (loaded) => {
        for (const {context, choices, gold} of readQuestions(path, readFileSync(path, 'utf8'))) {
          const sums = choices.map((choice) => {
            const own = context.length - context.trimEnd().length + 1 + choice.length;
            const ids = loaded.tokenizer!.encode(`${context} ${choice}`);
            const logits = tf.tidy(
              () => (loaded.predict(tf.tensor2d([ids], undefined, 'int32')) as tf.Tensor3D).arraySync()[0],
            );
            return ids.slice(-own).reduce((sum, id, i) => {
              const row = logits[ids.length - own + i - 1];
              return sum + row[id] - Math.log(row.reduce((total, logit) => total + Math.exp(logit), 0));
            }, 0);
          });
          const best = (values: number[]) => values.indexOf(Math.max(...values));
          if (best(sums) === gold) right[0]++;
          if (best(sums.map((sum, i) => sum / choices[i].length)) === gold) right[1]++;
        }
      });
      const [acc, norm] = right.map((count) => count / 4);
      expect(events()[0]).toEqual(jasmine.objectContaining({acc, acc_norm: norm, questions: 4}));
      expect(events()[0]['acc_stderr']).toBeCloseTo(Math.sqrt((acc * (1 - acc)) / 3), 12);
    });
  });

  describe('convert', () => {
    it('goes from layout to layout and back without a change', async () => {
      const steps: [string, string, string[]][] = [
        [model, 'original', ['--to', 'state-spaces']],
        ['original', 'layers', ['--to', 'layers']],
        ['layers', 'again', ['--max-shard-gb', '0.000002']],
      ];
      for (const [from, to, more] of steps) {
        const source = from === model ? model : at(from);
        const {code, err} = await call(['convert', '--model', source, '--out', at(to), ...more]);
        expect([code, err]).withContext(to).toEqual([0, '']);
      }
      const original = JSON.parse(readFileSync(at('original/config.json'), 'utf8')) as object;
      expect(original).toEqual(jasmine.objectContaining({d_model: 8, n_layer: 2}));
      // As mamba_ssm's from_pretrained asks for it, with the tied head that its state dict has.
      expect(existsSync(at('original/model.safetensors'))).toBeFalse();
      const archive = blobFile('pytorch_model.bin', new Blob([readFileSync(at('original/pytorch_model.bin'))]));
      const tensors = await openTorchArchive(archive);
      expect([...tensors.keys()]).toEqual(jasmine.arrayContaining(['backbone.embedding.weight', 'lm_head.weight']));
      expect(existsSync(at('again/model.safetensors.index.json'))).toBeTrue();
      const [first, last] = [await fromPretrained(model), await fromPretrained(at('again'))];
      for (const [name, weight] of first.weightsByName()) {
        expect(last.weightsByName().get(name)!.read().dataSync()).withContext(name).toEqual(weight.read().dataSync());
      }
      expect(JSON.stringify(last.tokenizer)).toBe(JSON.stringify(first.tokenizer));
      first.dispose();
      last.dispose();
      const half = await call(['convert', '--model', model, '--out', at('half'), '--dtype', 'bfloat16', '--json']);
      expect(half.events()).toEqual([jasmine.objectContaining({dtype: 'bfloat16', to: 'huggingface'})]);
      expect(weights(at('half')).length).toBeLessThan(0.7 * weights(model).length);
      const refused = await call(['convert', '--model', model, '--out', at('half')]);
      expect([refused.code, refused.err]).toEqual([
        2,
        jasmine.stringMatching(/half holds a model; --force writes over it/),
      ]);
    });
  });

  describe('info and doctor', () => {
    it('tell what a model is and takes, of a folder and of a size, without its weights', async () => {
      const [told] = (await call(['info', model, '--json'])).events();
      const loaded = await fromPretrained(model);
      const state = tf.tidy(() => loaded.zeroState(1).flatMap((part) => Object.values(part)).reduce((sum, {size}) => sum + size, 0)); // prettier-ignore
      const parameters = loaded.countParams();
      expect(told).toEqual(jasmine.objectContaining({parameters, format: 'huggingface', memory: {weights: 4 * parameters, state: 4 * state, training: 16 * parameters}})); // prettier-ignore
      loaded.dispose();
      const {out} = await call(['info', 'mamba-2.8b']);
      expect(out).toMatch(/^mamba-2\.8b: 2,768,\d{3},\d{3} parameters\n/);
      expect(out).toMatch(/^ {2}wasm +no: it is too large \(3\.50 GB at most\)$/m);
    });

    it('tell which backends compute right here', async () => {
      const before = tf.getBackend();
      const {code, events} = await call(['doctor', '--json']);
      expect([code, tf.getBackend()]).toEqual([0, before]);
      const {backends, packages} = events()[0] as {backends: {backend: string; works: boolean}[]; packages: {name: string; version?: string}[]}; // prettier-ignore
      expect(backends).toContain(jasmine.objectContaining({backend: 'cpu', works: true}));
      expect(packages.find(({name}) => name === '@huggingface/jinja')?.version).toMatch(/^0\.5\./);
      expect((await call(['doctor'])).out).toMatch(/^ {2}✓ cpu +computes a scan and its gradient right$/m);
    });
  });

  it('take a model that has no tokenizer for what it is', async () => {
    const bare = mambaLM({vocabSize: 9, dModel: 4, nLayer: 1});
    await savePretrained(bare, at('bare'));
    bare.dispose();
    expect(byteTokenizer().vocabSize).toBe(256);
    const {code, err} = await call(['eval', '--model', at('bare'), '--data', data]);
    expect([code, err]).toEqual([
      1,
      'tfjs-mamba eval: no tokenizer.json came with the model, so text cannot be read\n',
    ]);
  });
});
