/**
 * Prefill and step: every way through a sequence (one pass, chunks, token by token, padded in a batch) gives the same logits and
 * states, and tensors belong to who has them.
 */
import * as tf from '@tensorflow/tfjs';
import type {MambaConfig} from '../../src/config/config';
import type {MambaLM, MambaState} from '../../src/lm/model';
import type {Arrays} from '../support/arrays';
import {integer, mapValues, readAndDispose, seededRandom, sizeOf} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings} from '../support/settings';
import {int32} from './labelled';
import {smallModel} from './smallModel';

type Result = {logits: tf.Tensor2D; state: MambaState};

const variants: Array<Partial<MambaConfig>> = [
  {},
  {tieEmbeddings: false, useBias: true, dConv: 2},
  {dConv: 1, convBias: false},
];

function named({logits, state}: Result): Record<string, tf.Tensor> {
  const entries = state.flatMap(({conv, ssm}, i) => [
    [`conv.${i}`, conv],
    [`ssm.${i}`, ssm],
  ]);
  return {logits, ...(Object.fromEntries(entries) as Record<string, tf.Tensor>)};
}

/** Reads logits and state, and disposes them. */
const read = (result: Result): Promise<Arrays> => readAndDispose(named(result));

/** Reads logits and state, and leaves them. */
const peek = (result: Result): Promise<Arrays> => readAndDispose(mapValues(named(result), (tensor) => tensor.clone()));

/** One row of a batch. */
function row(arrays: Arrays, index: number): Arrays {
  return mapValues(arrays, ({shape, values}) => {
    const size = sizeOf(shape.slice(1));
    return {shape: [1, ...shape.slice(1)], values: values.slice(index * size, (index + 1) * size)};
  });
}

function expectSame(actual: Arrays, expected: Arrays, context: string): void {
  expect(mismatches(actual, expected, 2 * backendSettings().output))
    .withContext(context)
    .toEqual([]);
}

/** Reads the rest of a sequence from `result` on, which it disposes; the parts have the given lengths. */
function goOn(model: MambaLM, ids: number[][], result: Result | undefined, lengths: number[]): Result {
  let start = 0;
  let current = result;
  for (const length of lengths) {
    const part = ids.map((tokens) => tokens.slice(start, start + length));
    const next: Result =
      length === 1 && current
        ? model.step(
            part.map(([id]) => id),
            current.state,
          )
        : model.prefill(part, {state: current?.state});
    tf.dispose(current);
    current = next;
    start += length;
  }
  return current!;
}

function tokens(seed: number, rows: number, length: number): number[][] {
  const random = seededRandom(seed);
  return Array.from({length: rows}, () => Array.from({length}, () => integer(random, 0, 15)));
}

for (const variant of variants) {
  describe(`prefill and step of ${JSON.stringify(variant)}`, () => {
    let model: MambaLM;
    let before: number;

    beforeEach(() => {
      before = tf.memory().numTensors;
      model = smallModel(variant);
    });
    afterEach(() => {
      model.dispose();
      expect(tf.memory().numTensors).toBe(before);
    });

    it('prefill has the logits of the last position of predict', async () => {
      const ids = int32(tokens(1, 2, 9));
      const {logits, state} = model.prefill(ids);
      tf.dispose(state);
      const all = model.predict(ids) as tf.Tensor3D;
      const last = tf.tidy(() => all.slice([0, 8, 0], [2, 1, 16]).squeeze([1]));
      tf.dispose([all, ids]);
      expectSame(await readAndDispose({logits}), await readAndDispose({logits: last}), 'logits');
    });

    it('token by token and in chunks it is one pass, for every length up to 40', async () => {
      const random = seededRandom(2);
      const ids = tokens(3, 2, 40);
      let stepped: Result = {logits: tf.zeros([1, 1]), state: model.zeroState(2)};
      for (let length = 1; length <= 40; length++) {
        const next = model.step(
          ids.map((all) => all[length - 1]),
          stepped.state,
        );
        tf.dispose(stepped);
        stepped = next;
        // Every length of a pass and of a chunk is compiled anew on webgl.
        if (tf.getBackend() === 'webgl' && ![1, 2, 3, 4, 5, 15, 17, 33, 40].includes(length)) continue;
        const whole = await read(model.prefill(ids.map((all) => all.slice(0, length))));
        expectSame(await peek(stepped), whole, `${length} steps`);
        const lengths: number[] = [];
        for (let left = length; left > 0; left -= lengths[lengths.length - 1]) {
          lengths.push(integer(random, 1, Math.min(left, 12)));
        }
        expectSame(await read(goOn(model, ids, undefined, lengths)), whole, `chunks of ${lengths.join()}`);
      }
      tf.dispose(stepped);
    });

    it('each row of a masked batch is what it is alone, with and without a state', async () => {
      const past = tokens(4, 4, 5);
      const ids = tokens(5, 4, 8);
      const masks = {
        left: ['00011111', '11111111', '00000001', '01111111'],
        right: ['11111000', '10000000', '11111111', '11000000'],
        'both sides': ['00111000', '01000000', '00000110', '11111110'],
        holes: ['10110100', '01010101', '11111111', '00100010'],
      };
      for (const [where, bits] of Object.entries(masks)) {
        const mask = bits.map((text) => [...text].map(Number));
        for (const withState of [false, true]) {
          const state = withState ? model.prefill(past) : undefined;
          const batch = await read(model.prefill(ids, {mask, state: state?.state}));
          for (const b of mask.keys()) {
            const real = ids[b].filter((_, i) => mask[b][i] === 1);
            const alone = goOn(
              model,
              [withState ? [...past[b], ...real] : real],
              undefined,
              withState ? [5, real.length] : [real.length],
            );
            expectSame(row(batch, b), await read(alone), `${where}, row ${b}, ${withState ? 'a' : 'no'} state`);
          }
          tf.dispose(state);
        }
      }
    });

    it('a row of padding alone keeps its state', async () => {
      const start = model.prefill(tokens(6, 2, 5));
      const [kept, moved] = [row(await peek(start), 0), row(await peek(start), 1)];
      const mask = [
        [0, 0, 0],
        [0, 1, 1],
      ];
      const after = await read(model.prefill(tokens(7, 2, 3), {state: start.state, mask}));
      const states = ({logits, ...rest}: Arrays) => (logits ? rest : rest);
      expectSame(states(row(after, 0)), states(kept), 'padding');
      expect(mismatches(row(after, 1), moved, 1e-3)).not.toEqual([]);
      tf.dispose(start);
    });

    it('disposes nothing it is given, and gives nothing of it back', async () => {
      const ids = int32(tokens(8, 2, 4));
      const mask = tf.tensor2d([0, 1, 1, 1, 1, 1, 0, 1], [2, 4], 'bool');
      const one = tf.tensor1d([3, 4], 'int32');
      const given = model.prefill(ids);
      const values = await peek(given);
      const results = [
        model.step(one, given.state),
        model.prefill(ids, {state: given.state}),
        model.prefill(ids, {state: given.state, mask}),
      ];
      expect(await peek(given)).toEqual(values);
      expect([ids, mask, one].map(({isDisposed}) => isDisposed)).toEqual([false, false, false]);
      tf.dispose([given.logits, given.state]);
      for (const result of results) {
        const next = await read(model.step(one, result.state));
        expect(next['logits'].values.every(Number.isFinite)).toBeTrue();
        tf.dispose(result);
      }
      tf.dispose([ids, mask, one]);
    });
  });
}

describe('the state of a MambaLM', () => {
  let model: MambaLM;
  let before: number;

  beforeEach(() => {
    model = smallModel();
    before = tf.memory().numTensors;
  });
  afterEach(() => {
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  it('starts as zeros of the documented shapes', async () => {
    const state = model.zeroState(3);
    expect(state.map(({conv, ssm}) => [conv.shape, ssm.shape])).toEqual([
      [
        [3, 3, 12],
        [3, 12, 3],
      ],
      [
        [3, 3, 12],
        [3, 12, 3],
      ],
    ]);
    const ids = [[5], [0], [9]];
    const fromZeros = await read(model.prefill(ids, {state}));
    expectSame(fromZeros, await read(model.prefill(ids)), 'from zeros');
    tf.dispose(state);
    tf.dispose(model.zeroState());
    expect(() => model.zeroState(0)).toThrowError(/zeroState: batch must be a positive integer, but is 0/);
  });

  it('is a plain container for tf.dispose, tf.tidy and tf.keep', async () => {
    const state = tf.tidy(() => {
      const first = model.step([1], model.zeroState());
      return model.step([2], first.state).state;
    });
    expect(tf.memory().numTensors).toBe(before + 4);
    const whole = model.prefill([[1, 2]]);
    expectSame(await peekStates(state), await peekStates(whole.state), 'out of a tidy');
    tf.dispose(whole);
    tf.dispose(state);

    let kept: tf.Tensor | undefined;
    tf.tidy(() => {
      kept = tf.keep(model.prefill([[1, 2, 3]]).state[1].ssm);
    });
    expect(kept!.isDisposed).toBeFalse();
    expect(tf.memory().numTensors).toBe(before + 1);
    kept!.dispose();
  });

  async function peekStates(state: MambaState): Promise<Arrays> {
    const logits = tf.zeros<tf.Rank.R2>([1, 1]);
    const arrays = await peek({logits, state});
    logits.dispose();
    return arrays;
  }

  it('costs the same number of tensors at every step and prefill', async () => {
    let {logits, state} = model.prefill([[1, 2, 3]]);
    const {numTensors, numBytes} = tf.memory();
    expect(numTensors).toBe(before + 5);
    for (let i = 0; i < 30; i++) {
      const next =
        i % 3 === 0 ? model.prefill([[i % 11, 4, 2]], {state, mask: [[0, 1, i % 2]]}) : model.step([i % 11], state);
      tf.dispose([logits, state]);
      ({logits, state} = next);
      expect(tf.memory().numTensors).toBe(numTensors);
      expect(tf.memory().numBytes).toBe(numBytes);
    }
    tf.dispose([logits, state]);
  });

  it('carries gradients from chunk to chunk', async () => {
    const ids = tokens(9, 2, 7);
    const variables = [...model.weightsByName().values()].map((weight) => weight.read() as tf.Variable);
    const gradients = async (run: () => Result) => {
      const {value, grads} = tf.variableGrads(() => run().logits.square().sum<tf.Scalar>(), variables);
      value.dispose();
      return readAndDispose(grads);
    };
    const whole = await gradients(() => model.prefill(ids));
    const tolerance = 5 * backendSettings().gradient;
    for (const lengths of [
      [3, 4],
      [4, 1, 1, 1],
    ]) {
      const parts = await gradients(() => {
        let result: Result | undefined;
        let start = 0;
        for (const length of lengths) {
          const part = ids.map((all) => all.slice(start, start + length));
          result =
            length === 1
              ? model.step(
                  part.map(([id]) => id),
                  result!.state,
                )
              : model.prefill(part, {state: result?.state});
          start += length;
        }
        return result!;
      });
      expect(mismatches(parts, whole, tolerance)).toEqual([]);
    }
  });
});

describe('a wrong call of prefill or step', () => {
  let model: MambaLM;
  let state: MambaState;

  beforeAll(() => {
    model = smallModel();
    state = model.zeroState(2);
  });
  afterAll(() => {
    tf.dispose(state);
    model.dispose();
  });

  /** Every call, made when the specs run, and what it must say. */
  const calls: Array<[string, () => unknown, RegExp]> = [
    [
      'ids of rank 1',
      () => model.prefill([1, 2]),
      /^prefill: ids must have rank 2, \[batch, length\], but has shape \[2\]/,
    ],
    [
      'ids of rank 2',
      () => model.step([[1], [2]], state),
      /^step: ids must have rank 1, \[batch\], but has shape \[2,1\]/,
    ],
    ['no ids', () => model.prefill(undefined as never), /^prefill: ids is missing/],
    ['empty ids', () => model.prefill([[]]), /^prefill: ids must not be empty, but has shape \[1,0\]/],
    [
      'ragged ids',
      () => model.prefill([[1, 2], [3]]),
      /^prefill: ids must be an array of numbers in rows of equal length/,
    ],
    ['words', () => model.prefill('ab' as never), /^prefill: ids must be a tensor or an array of numbers/],
    ['fractions', () => model.step([1.5, 2], state), /^step: ids must hold integers, but has 1.5/],
    ['NaN', () => model.prefill([[NaN]]), /^prefill: ids must hold integers, but has NaN/],
    ['float ids', () => model.prefill(tf.zeros([1, 2])), /^prefill: ids must have dtype int32, but has float32/],
    [
      'an unknown option',
      () => model.prefill([[1]], {masks: [[1]]} as never),
      /^prefill: unknown argument masks; expected state, mask/,
    ],
    [
      'a mask of another shape',
      () => model.prefill([[1, 2]], {mask: [[1]]}),
      /^prefill: mask must have the shape of ids, \[1,2\], but has \[1,1\]/,
    ],
    [
      'a float mask',
      () => model.prefill([[1]], {mask: tf.ones([1, 1])}),
      /^prefill: mask must have dtype int32, but has float32/,
    ],
    [
      'no state',
      () => model.step([1], undefined as never),
      /^step: state must have an entry for each of the 2 blocks, but is undefined/,
    ],
    [
      'a short state',
      () => model.step([1, 2], state.slice(1)),
      /^step: state must have an entry for each of the 2 blocks, but has 1 entries/,
    ],
    [
      'a state of another batch',
      () => model.step([1], state),
      /^step: state\[0\]: the states \[conv, ssm\] must have shapes \[1,3,12\] and \[1,12,3\], but have \[2,3,12\] and \[2,12,3\]/,
    ],
    [
      'a state of another batch',
      () => model.prefill([[1]], {state}),
      /^prefill: state\[0\]: the states \[conv, ssm\] must have shapes \[1,3,12\]/,
    ],
    [
      'a state with a mask, of another batch',
      () => model.prefill([[1, 2]], {state, mask: [[0, 1]]}),
      /^prefill: state\[0\]/,
    ],
    [
      'a state of another order',
      () => model.step([1, 2], [state[0], {conv: state[0].ssm, ssm: state[0].conv}]),
      /^step: state\[1\]: the states \[conv, ssm\] must have shapes/,
    ],
    [
      'a state without ssm',
      () => model.step([1, 2], [{conv: state[0].conv} as never, state[1]]),
      /^step: state\[0\]: the state ssm must be a tensor, but is undefined/,
    ],
    [
      'a state of integers',
      () => model.step([1, 2], [state[0], {...state[1], ssm: tf.zeros([2, 12, 3], 'int32')}]),
      /^step: state\[1\]: the state ssm must have dtype float32, but has int32/,
    ],
  ];
  /** Only where values can be looked at. */
  const values: typeof calls = [
    ['an id too large', () => model.prefill([[1, 16]]), /: ids must lie in \[0, 16\) but has 16/],
    ['a negative id', () => model.step([-1, 2], state), /: ids must lie in \[0, 16\) but has -1/],
  ];

  it('names the call, the argument, what was expected and what was given, and leaves nothing behind', () => {
    const {numTensors} = tf.memory();
    for (const [what, call, message] of [...calls, ...(backendSettings().refusesValues ? values : [])]) {
      expect(() => tf.tidy(() => void call()))
        .withContext(what)
        .toThrowError(message);
    }
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('leaves nothing behind outside a tidy either', () => {
    const {numTensors} = tf.memory();
    expect(() => model.step([1], state)).toThrowError();
    expect(() => model.prefill([[1, 2]], {state})).toThrowError();
    expect(() => model.prefill([[1, 2]], {mask: [[1]]})).toThrowError();
    expect(tf.memory().numTensors).toBe(numTensors);
  });

  it('leaves ids beyond the vocabulary without effect where values are not looked at', async () => {
    if (backendSettings().refusesValues) {
      expect(() => model.prefill([[99]])).toThrowError();
      return;
    }
    const {logits, state: after} = model.prefill([[1, 99]]);
    expect((await logits.data()).every(Number.isFinite)).toBeTrue();
    tf.dispose([logits, after]);
  });
});
