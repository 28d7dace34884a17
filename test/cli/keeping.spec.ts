/** What the commands that train take of the trainer beyond steps: when to end, which weights to keep, segments, packed rows, TensorBoard. */
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {mambaLM} from '../../src/lm/model';
import {adamW, byteTokenizer, fromPretrained, openData, tokenWindows, trainer, warmupConstant} from '../../src/node';
import {folderCheckpoints, loadCheckpoint} from '../../src/node';
import {onFullDisk} from '../support/dyingDisk';
import {call} from './call';
import {smallFolder} from './smallFolder';

describe('training from the command line', () => {
  let root: string;
  const at = (name: string) => join(root, name);
  const text = 'ab ba abba baab '.repeat(20);
  const small = ['--d-model', '4', '--n-layer', '1', '--batch-size', '2', '--max-seq-length', '8', '--steps-per-report', '1', '--json']; // prettier-ignore

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'tfjs-mamba-keeping-'));
    writeFileSync(at('text.txt'), text);
    // The better the one part is known, the worse is the other.
    writeFileSync(at('other.txt'), text + 'z'.repeat(80));
    const lines = ['abc', 'a b a b a', 'bbbb', 'ab', 'c c c'].map((line) => JSON.stringify({text: line}));
    writeFileSync(at('lines.jsonl'), lines.join('\n'));
  });
  afterAll(() => rmSync(root, {recursive: true}));

  it('ends when it gets no better, and keeps the best', async () => {
    const out = at('patient');
    const args = ['train', '--data', at('other.txt'), '--held-out', '0.2', '--out', out, ...small, '--learning-rate', '0.1', '--iters', '40', '--steps-per-eval', '2', '--patience', '2', '--keep-best', '--save-every', '5', '--tensorboard', at('board')]; // prettier-ignore
    const stopped = await call(args, {stopAt: '"step":3,'});
    expect(stopped.events().at(-1)).toEqual(jasmine.objectContaining({event: 'stopped', step: 3}));
    const {code, events} = await call(['train', '--data', at('other.txt'), '--out', out, '--json']);
    expect(code).toBe(0);
    const losses = [stopped.events(), events()].flat().filter(({event}) => event === 'validation').map(({loss}) => loss as number); // prettier-ignore
    const lowest = losses.indexOf(Math.min(...losses));
    expect(losses.length).toBe(lowest + 3);
    const end = events().at(-1)!;
    expect(end).toEqual(jasmine.objectContaining({event: 'end', step: 2 * losses.length, best: {step: 2 * (lowest + 1), loss: losses[lowest]}})); // prettier-ignore
    writeFileSync(at('held.txt'), 'z'.repeat(80));
    const [{loss}] = (await call(['eval', '--model', out, '--data', at('held.txt'), '--max-seq-length', '8', '--json'])).events(); // prettier-ignore
    expect(loss).toBeCloseTo(losses[lowest], 5);
    const again = await call(['train', '--data', at('other.txt'), '--out', out]);
    expect([again.code, again.err]).toEqual([2, jasmine.stringMatching(`has ended after ${2 * losses.length} steps; --resume`)]); // prettier-ignore
    expect(readdirSync(at('board')).every((file) => file.startsWith('events.out.tfevents.'))).toBeTrue();
  });

  it('needs something to validate on for that', async () => {
    for (const [flag, ...value] of [['--keep-best'], ['--patience', '3']]) {
      const {code, err} = await call(['train', '--data', at('text.txt'), '--out', at('none'), '--held-out', '0', ...small, flag, ...value]); // prettier-ignore
      expect([code, err]).toEqual([2, `tfjs-mamba train: ${flag} needs text to validate on: --held-out, or a valid.jsonl\n`]); // prettier-ignore
    }
  });

  it('carries states, and keeps a mean of the weights, as the library does', async () => {
    const more = ['--stateful', '--ema-decay', '0.5', '--lr-schedule', 'constant', '--learning-rate', '0.05', '--iters', '4', '--held-out', '0']; // prettier-ignore
    const {code, events} = await call(['train', '--data', at('text.txt'), '--out', at('mean'), ...small, ...more]);
    expect(code).toBe(0);
    const model = mambaLM({vocabSize: 256, dModel: 4, nLayer: 1, dState: 8}, {seed: 1});
    const learningRate = warmupConstant({peak: 0.05, warmupSteps: 1});
    const fitting = trainer(model, {optimizer: adamW({learningRate, weightDecay: 0.1, clipNorm: 1}), stateful: true, emaDecay: 0.5}); // prettier-ignore
    const losses: number[] = [];
    const data = tokenWindows(byteTokenizer().encode(text), {batchSize: 2, length: 8, order: 'continuous'});
    await fitting.fit(data, {steps: 4, callbacks: {onStep: ({loss}) => losses.push(loss)}});
    const told = events().filter(({event}) => event === 'step').map(({loss}) => loss as number); // prettier-ignore
    expect(told).toEqual(losses);
    const saved = await fromPretrained(at('mean'));
    const values = (of: typeof model) => of.getWeights().map((weight) => Array.from(weight.dataSync()));
    await fitting.averaged(async () => expect(values(saved)).toEqual(values(model)));
    expect(values(saved)).not.toEqual(values(model));
    for (const part of [saved, model, fitting]) part.dispose();
  });

  it('names the file when the disk is full, keeps the last checkpoint, and with room goes on to the same bits', async () => {
    const args = (name: string) => ['train', '--data', at('text.txt'), '--out', at(name), '--iters', '6', '--save-every', '2', '--held-out', '0', ...small]; // prettier-ignore
    expect((await call(args('whole'))).code).toBe(0);
    for (const room of [45_000, 500, 12_000]) {
      const {code, err} = await onFullDisk(room, () => call(args('full')));
      expect([code, err]).toEqual([
        1,
        jasmine.stringMatching(/^tfjs-mamba train: (\S*full\/|openData: the tokens).* ENOSPC.*\n$/),
      ]);
      const model = await fromPretrained(at('full'));
      expect((await loadCheckpoint(folderCheckpoints(at('full/training')), model)).step).toBeGreaterThan(1);
      model.dispose();
    }
    expect((await call(['train', '--data', at('text.txt'), '--out', at('full')])).code).toBe(0);
    const [full, whole] = ['full', 'whole'].map((name) => readFileSync(at(`${name}/model.safetensors`)));
    expect(full.equals(whole)).toBeTrue();
  });

  it('packs examples into rows, and refuses to pack or to carry what has no such parts', async () => {
    const model = await smallFolder(at('model'));
    const tune = (data: string, ...more: string[]) => ['finetune', '--model', model, '--data', at(data), '--adapter-path', at('adapter'), '--held-out', '0', '--iters', '1', '--batch-size', '2', '--max-seq-length', '8', '--json', ...more]; // prettier-ignore
    const packed = await call(tune('lines.jsonl', '--pack'));
    expect(packed.code).toBe(0);
    const data = await openData(at('lines.jsonl'), {tokenizer: (await fromPretrained(model)).tokenizer!, batchSize: 2, length: 8, pack: true}); // prettier-ignore
    const {value} = await (await data.train!.training.iterator()).next();
    const known = await fromPretrained(model);
    const {loss} = await trainer(known, {optimizer: adamW({learningRate: 1})}).evaluate({
      iterator: async () => {
        let given = false;
        return {next: async () => (given ? {done: true, value: undefined} : ((given = true), {done: false, value}))};
      },
    });
    const [step] = packed.events().filter(({event}) => event === 'step');
    expect(step['loss']).toBeCloseTo(loss, 5);
    known.dispose();
    await data.close();
    for (const [args, message] of [
      [tune('text.txt', '--pack'), /pack is for examples, such as JSON lines, but .*text\.txt is text\n$/],
      [
        tune('lines.jsonl', '--stateful'),
        /order must be random, since the examples of .*lines\.jsonl do not follow on/,
      ],
    ] as const) {
      const {code, err} = await call([...args, '--force']);
      expect([code, err]).toEqual([1, jasmine.stringMatching(message)]);
    }
    expect(readFileSync(at('adapter/run.json'), 'utf8')).toContain('"pack":true');
  });
});
