/**
 * Numbers at the edge of float32 and beyond: what overflows is infinite, what is infinite or NaN stays what IEEE makes of it, and nothing
 * else is spoiled. The truth is the float64 reference, rounded to float32. Every case is a channel of its own.
 */
import * as tf from '@tensorflow/tfjs';
import type {Array64, Arrays} from '../support/arrays';
import {fill, mapValues, seededRandom, uniform} from '../support/arrays';
import {randomSeed} from '../support/settings';
import {convCase} from './cases/causalConv1d';
import {rmsNormCase} from './cases/rmsNorm';
import {scanCase} from './cases/selectiveScan';
import {stateUpdateCase} from './cases/selectiveStateUpdate';
import type {OpCase, OpUnderTest} from './opUnderTest';
import {anyOp, compareWithReference, evaluateOp} from './opUnderTest';

const {abs, fround} = Math;

/** GPU compilers may assume that there are neither NaNs nor infinities: an overflow must only not look like a number there. */
const isExact = () => ['cpu', 'wasm', 'tensorflow'].includes(tf.getBackend());

/** How wrong a number is in words, or nothing. Its class has to be right, and four of its digits: other specs look at the rest. */
function wrongNumber(actual: number, truth: number): string | undefined {
  const expected = fround(truth);
  if (!Number.isFinite(expected)) {
    const isRight = isExact() ? Object.is(actual, expected) : !(abs(actual) < 3e38);
    return isRight ? undefined : `${actual} is not ${expected}`;
  }
  // Results below the smallest normal number may be flushed to zero.
  return abs(actual - expected) <= 1e-4 * abs(expected) + 1.2e-38 ? undefined : `${actual} is not ${expected}`;
}

/** What is wrong with the outputs, and with the gradients, of the cases: one to a column of the last axis, or of the first if [D,N]. */
async function wrongCases(op: OpUnderTest, testCase: OpCase, names: readonly string[]): Promise<string[]> {
  const expected = op.reference(testCase);
  const ones = mapValues(expected, ({shape}) => fill(shape, () => 1));
  const {outputs, gradients} = await evaluateOp(op, testCase, ones);
  const compare = (what: string, actual: Arrays, truth: Arrays) =>
    Object.entries(truth).flatMap(([name, {values, shape}]) =>
      [...values].flatMap((value, i) => {
        const wrong = wrongNumber(actual[name].values[i], value);
        return wrong === undefined ? [] : [`${nameOf(names, shape, i)}: ${what}${name}[${i}] ${wrong}`];
      }),
    );
  return [
    ...compare('', outputs, expected),
    ...compare('gradient of ', gradients, op.referenceGradient(testCase, ones)),
  ];
}

/** The case of element i: cases are the only axis of their size. */
function nameOf(names: readonly string[], shape: readonly number[], i: number): string {
  const axis = shape.lastIndexOf(names.length);
  const stride = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  return names[Math.floor(i / stride) % names.length];
}

/** Values that are not what they are in most cases. */
type Change = Partial<Record<'u' | 'delta' | 'A' | 'B' | 'C' | 'z' | 'initialState', number>>;

/** Two infinities of different sign are nowhere added: that would be NaN in one order of a sum and not in another. */
const usual: Required<Change> = {u: 1, delta: 1, A: -1, B: 1, C: 1, z: 2, initialState: 1};

const scanTable: Record<string, Change> = {
  'a decay in the last octave of float32': {A: 88.5},
  'an overflow': {A: 89},
  'a negative overflow': {A: 89, initialState: -1, u: -1},
  'a decay that is infinite in float64 too': {A: 1000},
  'a decay of infinity': {A: Infinity},
  'a decay of nothing': {A: -Infinity},
  'a strong decay': {A: -1e38},
  'an infinite step': {delta: Infinity},
  'an infinite input': {u: Infinity},
  'an infinite input, negative': {u: -Infinity},
  'an infinite B': {B: Infinity},
  'an infinite C': {C: -Infinity, A: 0.1},
  'an infinite state': {initialState: Infinity},
  'an infinite state that hardly decays': {initialState: -Infinity, A: -0.1, u: -1},
  'an infinite state that is held': {initialState: Infinity, A: 0},
  'an infinite state that decays a lot': {initialState: Infinity, A: -60},
  'a sum that overflows': {initialState: 3e38, A: 0.01, u: 3e38},
  'a state near the largest float': {initialState: 3e37, A: -0.3},
  'large numbers': {u: 1e38, A: -10},
  'tiny numbers': {u: 1e-37, initialState: 1e-37},
  'NaN in u': {u: NaN},
  'NaN in delta': {delta: NaN},
  'NaN in A': {A: NaN},
  'NaN in B': {B: NaN},
  'NaN in C': {C: NaN},
  'NaN in the state': {initialState: NaN},
};

/** The ends of softplus, sigmoid and silu. */
const ends = [-Infinity, -1e38, -1000, -110, -86, 86, 88.5, 90, 1000, 1e37, Infinity, NaN];
const gateTable = Object.fromEntries(ends.map((z) => [`a gate of ${z}`, {z, A: 0.1}]));
const stepTable = Object.fromEntries(ends.map((delta) => [`a softplus of ${delta}`, {delta, A: -0.5}]));

/** The cases that a backend has to get right. */
function casesFor(table: Record<string, Change>): Array<[string, Required<Change>]> {
  return Object.entries(table)
    .map(([name, change]): [string, Required<Change>] => [name, {...usual, ...change}])
    .filter(([, values]) => isExact() || Object.values(values).every(Number.isFinite));
}

/** The cases as channels of a scan of a few steps with one state. Without D, and so without its 0·∞. */
function scanOf(rows: Array<Required<Change>>, length: number): Arrays {
  const column = (name: keyof Change, shape: number[]): Array64 => fill(shape, (i) => rows[i % rows.length][name]);
  const [sequence, matrix] = [
    [1, length, rows.length],
    [rows.length, 1],
  ];
  return {
    u: column('u', sequence),
    delta: column('delta', sequence),
    A: column('A', matrix),
    B: column('B', matrix),
    C: column('C', matrix),
    z: column('z', sequence),
    initialState: column('initialState', [1, rows.length, 1]),
  };
}

describe('at the edge of float32,', () => {
  for (const [what, table, deltaSoftplus] of [
    ['the scan', scanTable, false],
    ['the gate', gateTable, false],
    ['softplus', stepTable, true],
  ] as const) {
    it(`${what} overflows as IEEE has it`, async () => {
      const cases = casesFor(table);
      const rows = cases.map(([, values]) => values);
      for (const length of [1, 3]) {
        const testCase = {inputs: scanOf(rows, length), options: {deltaSoftplus}};
        const names = cases.map(([name]) => name);
        expect(await wrongCases(anyOp(scanCase), testCase, names))
          .withContext(`${length} steps`)
          .toEqual([]);
      }
    });

    it(`${what} overflows as IEEE has it, in one step of the state`, async () => {
      for (const [name, {u, delta, A, B, C, z, initialState}] of casesFor(table)) {
        // Three states, which fill no vector, and channels that fill every one.
        const all = (value: number, shape: number[]) => fill(shape, () => value);
        const inputs: Arrays = {
          state: all(initialState, [1, 16, 3]),
          u: all(u, [1, 16]),
          delta: all(delta, [1, 16]),
          A: all(A, [16, 3]),
          B: all(B, [1, 1, 3]),
          C: all(C, [1, 1, 3]),
          z: all(z, [1, 16]),
        };
        const testCase = {inputs, options: {deltaSoftplus}};
        expect(await wrongCases(anyOp(stateUpdateCase), testCase, [name])).toEqual([]);
      }
    });
  }

  it('silu behind a convolution and its slope are what IEEE makes of them', async () => {
    const xs = ends.filter((x) => isExact() || Number.isFinite(x));
    const inputs = {x: fill([1, 1, xs.length], (i) => xs[i]), weight: fill([xs.length, 1], () => 1)};
    const names = xs.map((x) => `silu of ${x}`);
    expect(await wrongCases(anyOp(convCase), {inputs, options: {activation: 'silu'}}, names)).toEqual([]);
  });

  for (const [name, size, epsilon] of [
    ['1e20', 1e20, 1e-5],
    ['3e38', 3e38, 1e-5],
    ['1e15', 1e15, 1e-5],
    ['1e-15, where ε is all', 1e-15, 1e-5],
    ['1e-18 and hardly any ε', 1e-18, 1e-37],
    ['1e-30 and hardly any ε', 1e-30, 1e-37],
  ] as const) {
    for (const channels of [1, 5, 40]) {
      it(`the norm of ${channels} values of about ${name} is right, and its gradient`, async () => {
        const random = seededRandom(channels);
        const x = fill([3, channels], () => size * (random() - 0.5));
        const inputs = {
          x,
          residual: fill(x.shape, () => size * (random() - 0.5)),
          weight: uniform(random, [channels], 1, 2),
        };
        // Of one channel the gradient of x is nothing, and what is left of the rest is rounding.
        expect(await compareWithReference(anyOp(rmsNormCase), {inputs, options: {epsilon}}, randomSeed)).toEqual([]);
      });
    }
  }
});
