/** The synthetic tasks are what the paper says they are, their scripts read their options, and what is measured on them is right. */
import * as tf from '@tensorflow/tfjs';
import {mambaLM, warmupCosine} from '../../src';
import {Random} from '../../src/random';
import {inductionHeads, inductionPieces} from '../../models/induction-heads/data';
import {evaluateAt} from '../../models/induction-heads/evaluate';
import {priceOfForgetting, priceOfRemembering, unlearnForgetting} from '../../models/induction-heads/forgetting';
import {selectiveCopying} from '../../models/selective-copying/data';
import {accuracy, drawBatch, episodes, UNASKED} from '../../models/support/episodes';
import {readOptions, UsageError} from '../../models/support/job';
import {Pace} from '../../models/support/pace';
import {trainInStages} from '../../models/support/stages';

const [blank, mark, special] = [14, 15, 15];

describe('selective copying', () => {
  it('asks behind the sequence for its tokens in their order, which stand anywhere', () => {
    const random = new Random(1);
    const counts = new Array<number>(6).fill(0);
    for (let i = 0; i < 600; i++) {
      const {ids, labels} = selectiveCopying({length: 6, tokens: 2})(random);
      const places = [0, 1, 2, 3, 4, 5].filter((place) => ids[place] !== blank);
      expect(places.length).toBe(2);
      expect([...labels]).toEqual([...new Array<number>(6).fill(UNASKED), ...places.map((place) => ids[place])]);
      expect([...ids.subarray(6)]).toEqual([mark, mark]);
      for (const place of places) counts[place]++;
    }
    // Each place has a token in a third of 600: five deviations of a binomial distribution either way.
    for (const count of counts) expect(Math.abs(count - 200)).toBeLessThan(58);
  });

  it('has no more tokens than places', () => {
    expect(() => selectiveCopying({length: 3, tokens: 4})).toThrowError(/4 tokens have no place in 3 positions/);
    const {ids} = selectiveCopying({length: 3, tokens: 3})(new Random(1));
    expect(ids.subarray(0, 3)).not.toContain(blank);
  });
});

describe('induction heads', () => {
  it('asks at the end for what followed the special token', () => {
    const random = new Random(2);
    for (let i = 0; i < 200; i++) {
      const {ids, labels} = inductionHeads(7)(random);
      const places = [0, 1, 2, 3, 4, 5, 6].filter((place) => ids[place] === special);
      expect(places.length).toBe(2);
      expect(places[1]).toBe(6);
      expect([...labels]).toEqual([...new Array<number>(6).fill(UNASKED), ids[places[0] + 1]]);
      expect(labels[6]).toBeLessThan(special);
    }
  });

  it('gives the same sequence in pieces of any size', () => {
    const all = (size: number) => {
      const pieces = inductionPieces(50, size, new Random(5));
      const ids: number[] = [];
      for (;;) {
        const {value, done} = pieces.next();
        if (done) return {ids, answer: value};
        ids.push(...value);
      }
    };
    const whole = all(50);
    for (const size of [1, 7, 49, 64]) expect(all(size)).withContext(String(size)).toEqual(whole);
    expect(whole.answer).toBe(whole.ids[whole.ids.indexOf(special) + 1]);
  });
});

describe('what is measured on them', () => {
  it('is the share of right answers, and does not depend on the pieces nor leave tensors behind', async () => {
    spyOn(console, 'log');
    const model = mambaLM({vocabSize: 16, dModel: 8, nLayer: 1}, {seed: 1});
    const draw = inductionHeads(5);
    await trainInStages(model, [{name: 'short', draw, steps: 30}], {
      ...{seed: 1, batchSize: 16, peak: 0.02, warmupSteps: 1, weightDecay: 0, every: 30},
    });
    const before = tf.memory().numTensors;
    const [small, large] = [await accuracy(model, draw, {rows: 40, batchSize: 7, seed: 3}), await accuracy(model, draw, {rows: 40, batchSize: 40, seed: 3})];
    expect(small).toBe(large);
    const random = new Random(3);
    let right = 0;
    for (let row = 0; row < 40; row++) {
      const {ids, labels} = draw(random);
      const answer = tf.tidy(() => model.prefill([[...ids]]).logits.argMax(-1).dataSync()[0]);
      if (answer === labels[4]) right++;
    }
    expect(small).toBe(right / 40);
    const results = [];
    for (const piece of [24, 5]) results.push(await evaluateAt(model, 24, {rows: 30, piece, seed: 4}));
    expect(results[1].accuracy).toBe(results[0].accuracy);
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  }); // prettier-ignore

  it('goes on where an iterator stopped', async () => {
    const dataset = episodes(inductionHeads(6), {batchSize: 2, seed: 8});
    const read = async (iterator: Awaited<ReturnType<typeof dataset.iterator>>) => {
      const {xs} = (await iterator.next()).value;
      return [...xs.dataSync()];
    };
    const iterator = await dataset.iterator();
    const first = await read(iterator);
    const state = iterator.state!();
    const second = await read(iterator);
    expect(await read(await dataset.iterator(state))).toEqual(second);
    expect(second).not.toEqual(first);
    const {xs} = drawBatch(inductionHeads(6), 2, new Random(8));
    expect([...xs.dataSync()]).toEqual(first);
  });
});

describe('batches of several kinds of episodes', () => {
  it('are each of one, and all come as often', async () => {
    const dataset = episodes([inductionHeads(5), inductionHeads(8)], {batchSize: 2, seed: 9});
    const iterator = await dataset.iterator();
    const lengths: number[] = [];
    for (let i = 0; i < 200; i++) {
      const {xs, ys} = (await iterator.next()).value;
      lengths.push(xs.shape[1]);
      tf.dispose([xs, ys]);
    }
    expect(new Set(lengths)).toEqual(new Set([5, 8]));
    // 100 of 200, and five deviations either way.
    expect(Math.abs(lengths.filter((length) => length === 5).length - 100)).toBeLessThan(36);
  });
});

describe('the price of forgetting', () => {
  it('is how far the last block’s step sizes lie above what float32 can hold, and training lowers it', () => {
    spyOn(console, 'log');
    const model = mambaLM({vocabSize: 16, dModel: 8, nLayer: 2}, {seed: 1});
    const ids = tf.tensor2d([[1, 2, 3, 15, 4]], undefined, 'int32');
    const price = () => tf.tidy(() => priceOfForgetting(model, ids).dataSync()[0]);
    const first = price();
    const before = tf.memory().numTensors;
    const options = {steps: 12, rate: 0.1, price: 1, batchSize: 2, weightDecay: 0, seed: 1, every: 12};
    unlearnForgetting(model, [inductionHeads(5), inductionHeads(8)], options);
    expect(price()).toBeLessThan(first - 0.2);
    expect(tf.memory().numTensors).toBe(before);
    const set = (name: string, value: number) => {
      const weight = model.weightsByName().get(`layers.1/mixer/dtProj/${name}`)!;
      tf.tidy(() => void weight.write(tf.fill(weight.shape as number[], value)));
    };
    set('kernel', 0);
    for (const [bias, expected] of [[-10, 8], [-18, 0], [-25, 0]]) {
      set('bias', bias);
      expect(price()).toBeCloseTo(expected, 5);
    }
    ids.dispose();
    model.dispose();
  }); // prettier-ignore
});

describe('the pace of a training', () => {
  const peak = 0.2;

  it('rises to the peak and comes down with the steps, as warmupCosine has it', () => {
    const expected = warmupCosine({peak, warmupSteps: 10, totalSteps: 50, floor: peak / 100});
    const pace = new Pace({steps: 50});
    const rate = pace.learningRate({peak, warmupSteps: 10});
    for (const step of [1, 9, 10, 25, 49, 50])
      expect(rate(step)).withContext(String(step)).toBeCloseTo(expected(step), 12);
    expect(pace.signal).toBeUndefined();
  });

  it('comes down with the clock where that is further, and says when time is up', async () => {
    const now = spyOn(performance, 'now').and.returnValue(0);
    const pace = new Pace({steps: 1e6, minutes: 1e-4});
    const rate = pace.learningRate({peak, warmupSteps: 10});
    now.and.returnValue(3); // half of the 6 ms
    expect(rate(20)).toBeCloseTo((peak + peak / 100) / 2, 4);
    now.and.returnValue(60);
    expect(rate(20)).toBeCloseTo(peak / 100, 12);
    now.and.callThrough();
    if (!pace.signal!.aborted) await new Promise((resolve) => pace.signal!.addEventListener('abort', resolve));
    expect(pace.signal!.aborted).toBeTrue();
  });

  it('ends a training by stages in the middle, which says how many steps it made', async () => {
    spyOn(console, 'log');
    const model = mambaLM({vocabSize: 16, dModel: 8, nLayer: 1}, {seed: 1});
    const stages = [1, 2].map((i) => ({name: String(i), draw: inductionHeads(5), steps: 1e6}));
    // Milliseconds that are not whole, which AbortSignal.timeout refuses.
    const how = {seed: 1, batchSize: 2, peak: 0.02, warmupSteps: 1, weightDecay: 0, every: 1e6, minutes: 0.002001};
    const {steps} = await trainInStages(model, stages, how);
    expect(steps).toBeGreaterThan(0);
    expect(steps).toBeLessThan(1e6);
    model.dispose();
  });
});

describe('the options of the scripts', () => {
  const numbers = {steps: {help: 'steps', value: 7}};
  const read = (...args: string[]) => readOptions('task', args, numbers, ['mamba', 'other']);

  it('are numbers, mixers and a folder', () => {
    expect(read()).toEqual({mixers: ['mamba', 'other'], out: jasmine.stringMatching(/runs\/task$/) as never, steps: 7});
    expect(read('--steps', '12', '--mixer', 'other', '--out', 'x')).toEqual({mixers: ['other'], out: 'x', steps: 12});
  });

  it('are what to run on, where the data lies and how long it may take', () => {
    const {backend, data, minutes} = read('--backend', 'wasm', '--data', 'y', '--minutes', '0.5')!;
    expect([backend, data, minutes]).toEqual(['wasm', 'y', 0.5]);
  });

  it('that are wrong are refused in one line', () => {
    const cases: Array<[string[], RegExp]> = [
      [['--steps', '0'], /^--steps must be a positive whole number, but is '0'$/],
      [['--steps', '1.5'], /^--steps must be a positive whole number, but is '1.5'$/],
      [['--mixer', 'mamba,lstm'], /^--mixer takes mamba, other, but was given lstm$/],
      [['--stesp', '3'], /^Unknown option '--stesp'; --help lists the options$/],
      [['--minutes', 'soon'], /^--minutes must be a positive number, but is 'soon'$/],
    ];
    for (const [args, message] of cases) expect(() => read(...args)).toThrowError(UsageError, message);
  });

  it('has one of remembering beside it, which is how far those of the blocks before lie below what lets go', () => {
    spyOn(console, 'log');
    const model = mambaLM({vocabSize: 16, dModel: 8, nLayer: 2}, {seed: 1});
    const ids = tf.tensor2d([[1, 2, 3, 15, 4]], undefined, 'int32');
    const price = () => tf.tidy(() => priceOfRemembering(model, ids).dataSync()[0]);
    const first = price();
    const options = {steps: 12, rate: 0.1, price: 1, batchSize: 2, weightDecay: 0, seed: 1, every: 12};
    unlearnForgetting(model, [inductionHeads(5)], options);
    expect(price()).toBeLessThan(first - 0.2);
    const set = (block: number, bias: number) => {
      for (const [name, value] of [['kernel', 0], ['bias', bias]] as const) {
        const weight = model.weightsByName().get(`layers.${block}/mixer/dtProj/${name}`)!;
        tf.tidy(() => void weight.write(tf.fill(weight.shape as number[], value)));
      }
    };
    set(1, -20);
    for (const [bias, expected] of [[-10, 8], [-2, 0], [3, 0]]) {
      set(0, bias);
      expect(price()).toBeCloseTo(expected, 5);
    }
    ids.dispose();
    model.dispose();
  }); // prettier-ignore
});
