/** Generation: streams, batches, stop tokens, seeds, aborts, states, and that nothing is left behind. */
import * as tf from '@tensorflow/tfjs';
import type {GeneratedToken, GenerateOptions} from '../../src/lm/generate';
import type {MambaLM} from '../../src/lm/model';
import {smallModel} from './smallModel';

async function collect(
  model: MambaLM,
  prompt: number[] | number[][],
  options: GenerateOptions,
): Promise<GeneratedToken[]> {
  const tokens: GeneratedToken[] = [];
  for await (const token of model.generate(prompt, options)) tokens.push(token);
  return tokens;
}

const idsOf = (tokens: GeneratedToken[], row = 0) => tokens.filter((token) => token.row === row).map(({id}) => id);

describe('generate', () => {
  let model: MambaLM;
  let before: number;

  beforeEach(() => {
    before = tf.memory().numTensors;
    model = smallModel();
  });
  afterEach(() => {
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('greedy is the likeliest token of a pass over all that came before', async () => {
    const prompt = [1, 7, 3];
    const ids = idsOf(await collect(model, prompt, {temperature: 0, maxNewTokens: 12}));
    for (let i = 0; i < ids.length; i++) {
      const {logits, state} = model.prefill([[...prompt, ...ids.slice(0, i)]]);
      const values = [...(await logits.data())].slice(0, 11);
      tf.dispose([logits, state]);
      expect(values.indexOf(Math.max(...values))).toBe(ids[i]);
    }
    expect(ids.length).toBe(12);
  });

  it('a batch of prompts of different lengths gives what each gives alone', async () => {
    const prompts = [[4], [1, 2, 3, 4, 5, 6, 7], [9, 0, 8]];
    const options = {temperature: 0, maxNewTokens: 9};
    const together = await collect(model, prompts, options);
    for (const [row, prompt] of prompts.entries()) {
      const alone = await collect(model, prompt, options);
      expect(idsOf(together, row)).toEqual(idsOf(alone));
      together
        .filter((token) => token.row === row)
        .forEach(({logprob, index}, i) => {
          expect(index).toBe(i);
          expect(logprob).toBeCloseTo(alone[i].logprob, 4);
        });
    }
  });

  it('the log probability is the model’s own, whatever the options', async () => {
    const prompt = [5, 5];
    const [token] = await collect(model, prompt, {temperature: 0.1, topK: 3, seed: 1, maxNewTokens: 1});
    const {logits, state} = model.prefill([prompt]);
    const wanted = tf.logSoftmax(logits);
    expect(token.logprob).toBeCloseTo((await wanted.data())[token.id], 5);
    tf.dispose([logits, state, wanted]);
  });

  it('repeats with a seed, and differs with another; rows of a batch differ too', async () => {
    const draw = (seed: number) =>
      collect(
        model,
        [
          [1, 2],
          [1, 2],
        ],
        {seed, temperature: 2, maxNewTokens: 20},
      );
    const [one, same, other] = [await draw(1), await draw(1), await draw(2)];
    expect(same).toEqual(one);
    expect(idsOf(other)).not.toEqual(idsOf(one));
    expect(idsOf(one, 1)).not.toEqual(idsOf(one, 0));
  });

  it('never emits padding of the vocabulary', async () => {
    // The rows of padding made the likeliest by far.
    const weight = model.weightsByName().get('embeddings/weight')!;
    const first = (await weight.read().data()).slice(0, 6);
    const table = (await weight.read().data()).slice();
    for (let row = 11; row < 16; row++)
      table.set(
        first.map((x) => 50 * x),
        row * 6,
      );
    tf.tidy(() => {
      weight.write(tf.tensor(table, [16, 6]));
    });
    for (const options of [{temperature: 0}, {temperature: 5, seed: 4}]) {
      const ids = idsOf(await collect(model, [0, 1], {...options, maxNewTokens: 30}));
      expect(Math.max(...ids)).toBeLessThan(11);
    }
  });

  it('ends a row at a stop token, which is not handed out, and goes on with the others', async () => {
    const prompts = [
      [1, 2],
      [3, 4],
    ];
    const free = await collect(model, prompts, {temperature: 0, maxNewTokens: 15});
    const stop = idsOf(free, 0)[3];
    const stopped = await collect(model, prompts, {temperature: 0, maxNewTokens: 15, stopTokens: [stop]});
    for (const row of [0, 1]) {
      const ids = idsOf(free, row);
      const end = ids.indexOf(stop);
      expect(idsOf(stopped, row)).toEqual(end < 0 ? ids : ids.slice(0, end));
    }
    expect(stopped.length).toBeLessThan(free.length);
  });

  it('steps only rows that are not finished, which get what they would get alone', async () => {
    const prompts = [[1, 2], [3, 4], [7], [9, 8, 2]];
    const step = spyOn(model, 'step').and.callThrough();
    spyOn(model, 'openDecoder').and.returnValue(undefined); // whose rows are those that step has (decoder.spec.ts)
    for (const options of [{temperature: 0}, {temperature: 1.5, seed: 3}, {temperature: 1, topK: 2, seed: 8}]) {
      const free = await collect(model, prompts, {...options, maxNewTokens: 12});
      const stopTokens = [idsOf(free, 2)[2], idsOf(free, 0)[5]];
      const wanted = free.filter(({id, index, row}) => {
        const end = idsOf(free, row).findIndex((other) => stopTokens.includes(other));
        return !stopTokens.includes(id) && (end < 0 || index < end);
      });
      step.calls.reset();
      const stopped = await collect(model, prompts, {...options, maxNewTokens: 12, stopTokens});
      const sizes = step.calls.allArgs().map(([ids]) => (ids as number[]).length);
      expect(stopped.map(({id, index, row}) => [id, index, row])).toEqual(
        wanted.map(({id, index, row}) => [id, index, row]),
      );
      stopped.forEach(({logprob}, i) => expect(logprob).toBeCloseTo(wanted[i].logprob, 4));
      const lengths = prompts.map((_, row) => {
        const end = idsOf(free, row).findIndex((id) => stopTokens.includes(id));
        return end < 0 ? 11 : end;
      });
      const going = (index: number) => lengths.filter((length) => length > index).length;
      expect(sizes).toEqual(Array.from({length: Math.max(...lengths)}, (_, i) => going(i)));
    }
  });

  it('stops at the end of text of the configuration by default', async () => {
    const [first] = idsOf(await collect(model, [2], {temperature: 0, maxNewTokens: 1}));
    const ended = smallModel({eosTokenIds: [first]});
    expect(await collect(ended, [2], {temperature: 0, maxNewTokens: 5})).toEqual([]);
    ended.dispose();
  });

  it('goes on from a state, which stays as it was', async () => {
    const whole = idsOf(await collect(model, [1, 2, 3, 4, 5], {temperature: 0, maxNewTokens: 8}));
    const {logits, state} = model.prefill([[1, 2, 3]]);
    for (let times = 0; times < 2; times++) {
      expect(idsOf(await collect(model, [4, 5], {temperature: 0, maxNewTokens: 8, state}))).toEqual(whole);
    }
    tf.dispose([logits, state]);
  });

  it('goes on from states with prompts of different lengths', async () => {
    const {logits, state} = model.prefill([
      [1, 2, 3],
      [7, 8, 9],
    ]);
    const tokens = await collect(model, [[4], [5, 6, 10]], {temperature: 0, maxNewTokens: 6, state});
    tf.dispose([logits, state]);
    expect(idsOf(tokens, 0)).toEqual(idsOf(await collect(model, [1, 2, 3, 4], {temperature: 0, maxNewTokens: 6})));
    expect(idsOf(tokens, 1)).toEqual(
      idsOf(await collect(model, [7, 8, 9, 5, 6, 10], {temperature: 0, maxNewTokens: 6})),
    );
  });

  it('frees its tensors when the reader leaves early, and holds no more of them with every token', async () => {
    let held = 0;
    for await (const {index} of model.generate([1, 2], {maxNewTokens: 40, seed: 1})) {
      if (index === 2) held = tf.memory().numTensors;
      if (index > 2) expect(tf.memory().numTensors).toBe(held);
      if (index === 30) break;
    }
  });

  it('throws the reason of an aborted signal, before or in between, and frees its tensors', async () => {
    await expectAsync(collect(model, [1], {signal: AbortSignal.abort(new Error('never'))})).toBeRejectedWithError(
      'never',
    );
    const controller = new AbortController();
    const seen: number[] = [];
    const run = async () => {
      for await (const {id} of model.generate([1], {signal: controller.signal, maxNewTokens: 1000})) {
        seen.push(id);
        if (seen.length === 3) controller.abort(new Error('enough'));
      }
    };
    await expectAsync(run()).toBeRejectedWithError('enough');
    expect(seen.length).toBe(3);
  });

  it('says so when the logits are not numbers, instead of writing on', async () => {
    const weight = model.weightsByName().get('normF/weight')!;
    for (const broken of [NaN, Infinity]) {
      tf.tidy(() => {
        weight.write(tf.fill([6], broken));
      });
      await expectAsync(collect(model, [1, 2], {temperature: 0})).toBeRejectedWithError(
        /^generate: the logits of token 0 of row 0 are not finite/,
      );
    }
  });

  it('lets other events run', async () => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error('from a timer')));
    await expectAsync(collect(model, [1], {signal: controller.signal, maxNewTokens: 1e9})).toBeRejectedWithError(
      'from a timer',
    );
  });

  it('names the argument that is wrong, before any work', async () => {
    const wrong: Array<[number[] | number[][], object, RegExp]> = [
      [[], {}, /^generate: prompt must be a list of token ids/],
      [[[1], []], {}, /^generate: prompt 1 must be a list of one or more token ids/],
      [[1.5], {}, /^generate: prompt must hold integers in \[0, 16\), but has 1.5/],
      [[16], {}, /^generate: prompt must hold integers in \[0, 16\), but has 16/],
      [[-1], {}, /^generate: prompt must hold integers in \[0, 16\), but has -1/],
      [[1], {maxNewTokens: 0}, /^generate: maxNewTokens must be a positive integer, but is 0/],
      [[1], {temperature: -1}, /^generate: temperature must be a number of 0 or more, but is -1/],
      [[1], {topk: 3}, /^generate: unknown option topk; expected maxNewTokens/],
      [[1], {stopTokens: [99]}, /^generate: stopTokens must be a list of token ids/],
      [[1], null as never, /^generate: options must be an object with maxNewTokens, .*, but is null/],
      [[1], 'hot' as never, /^generate: options must be an object with maxNewTokens, .*, but is "hot"/],
      [[1], {signal: 'x'}, /^generate: signal must be an AbortSignal, but is "x"/],
      [[1], {signal: null}, /^generate: signal must be an AbortSignal, but is null/],
      [[1], {signal: new AbortController()}, /^generate: signal must be an AbortSignal, but is AbortController/],
      [null as never, {}, /^generate: prompt must be a list of token ids/],
      [[[1], null] as never, {}, /^generate: prompt 1 must be a list of one or more token ids/],
      [[1, [2]] as never, {}, /^generate: prompt must hold integers in \[0, 16\), but has 2/],
      [[1], {seed: -1}, /^generate: seed must be a whole number/],
      [[1], {state: []}, /^prefill: state must have an entry for each of the 2 blocks, but has 0 entries/],
    ];
    for (const [prompt, options, message] of wrong) {
      await expectAsync(collect(model, prompt, options as GenerateOptions)).toBeRejectedWithError(message);
    }
  });
});
