/**
 * Documents packed into rows are what each is alone, in outputs, final state and gradients: bit for bit where sums are in an order of
 * ours, within tolerance elsewhere. Gradients of weights are the sums over the documents. A document that holds NaN and infinities
 * changes no bit of the others.
 */
import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import type {Array64, Arrays, Random} from '../support/arrays';
import {integer, mapValues, seededRandom, sizeOf} from '../support/arrays';
import {describeComposed} from '../support/composedKernels';
import {mismatches} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';
import {convCase} from './cases/causalConv1d';
import {scanCase} from './cases/selectiveScan';
import {ssdCase} from './cases/ssd';
import type {OpCase, OpUnderTest} from './opUnderTest';
import {anyOp, evaluateOp, isWellConditioned, projectionsOf} from './opUnderTest';

/** An op over packed rows, and which of its inputs run along them. */
interface Packable {
  op: OpUnderTest;
  sequences: string[];
  /** How many packings are tried where that is quick. */
  count: number;
  /** What makes channels many. */
  wide: object;
}

const withPackedKernels: Packable[] = [
  {op: anyOp(scanCase), sequences: ['u', 'delta', 'B', 'C', 'z', 'y'], count: 500, wide: {channels: 132, dState: 16}},
  {op: anyOp(convCase), sequences: ['x', 'y'], count: 500, wide: {channels: 132}},
];

const packables: Packable[] = [
  ...withPackedKernels,
  // Its documents go through a kernel that knows nothing of packing.
  {
    ...{op: anyOp(ssdCase), sequences: ['u', 'delta', 'B', 'C', 'z', 'y'], count: 25},
    wide: {heads: 4, headDim: 33, dState: 64},
  },
];

/** Positions begin … end-1 of row b. */
interface Document {
  b: number;
  begin: number;
  end: number;
}

interface Packing {
  testCase: OpCase;
  documents: Document[];
  shape: [batch: number, length: number];
}

/** Random documents in random rows; rows may be longer than any chunk of a kernel, and documents as short as a step. `size` is given. */
function drawPacking({op}: Packable, random: Random, size: object): Packing {
  const params = fc.sample(op.arbitrary, {numRuns: 1, seed: Math.floor(random() * 2 ** 30)})[0];
  const batch = integer(random, 1, 2);
  const length = random() < 0.6 ? integer(random, 1, 20) : integer(random, 60, 170);
  const documents: Document[] = [];
  const sequenceIds = Array.from({length: batch}, (_, b) => {
    const cuts = Array.from({length: integer(random, 0, 5)}, () => integer(random, 0, length));
    const ends = [...new Set([...cuts, length])].filter((end) => end > 0).sort((x, y) => x - y);
    return ends.flatMap((end, i) => {
      const begin = ends[i - 1] ?? 0;
      documents.push({b, begin, end});
      return Array<number>(end - begin).fill(i % 2 === 0 ? i : -i);
    });
  });
  const {inputs, options} = op.build({...params, batch, length, isPacked: false, ...size});
  return {testCase: {inputs, options: {...options, sequenceIds}}, documents, shape: [batch, length]};
}

/** What an array is to a packed call. */
function kindOf({sequences}: Packable, name: string, {shape}: Array64, [batch, length]: Packing['shape']) {
  if (name === 'initialState' || name === 'finalState') return 'state';
  return sequences.includes(name) && shape.length > 2 && shape[0] === batch && shape[1] === length
    ? 'sequence'
    : 'weight';
}

/** Rows from … from+count-1 of an array whose first two axes are taken as one. */
function rows({values}: Array64, from: number, count: number, size: number): Float64Array {
  return values.subarray(from * size, (from + count) * size);
}

/** A document's part of the arrays. */
function partOf(packable: Packable, arrays: Arrays, {b, begin, end}: Document, shape: Packing['shape']): Arrays {
  const [batch, length] = shape;
  return mapValues(arrays, (array, name) => {
    switch (kindOf(packable, name, array, shape)) {
      case 'weight':
        return array;
      case 'state': {
        const isOurs = name === 'initialState' ? begin === 0 : end === length;
        const values = rows(array, b, 1, array.values.length / batch);
        return {shape: [1, ...array.shape.slice(1)], values: isOurs ? values : new Float64Array(values.length)};
      }
      case 'sequence': {
        const values = rows(array, b * length + begin, end - begin, sizeOf(array.shape.slice(2)));
        return {shape: [1, end - begin, ...array.shape.slice(2)], values};
      }
    }
  });
}

/** Every document by itself: what the packed call should give, put together. */
async function alone(packable: Packable, {testCase, documents, shape}: Packing, projections: Arrays) {
  const {inputs, options} = testCase;
  const empty = (arrays: Arrays) =>
    mapValues(arrays, ({shape, values}) => ({shape, values: new Float64Array(values.length)}));
  const together = {outputs: empty(projections), gradients: empty(inputs)};
  const optionsAlone = {...options, sequenceIds: undefined};
  for (const document of documents) {
    const {initialState, ...others} = partOf(packable, inputs, document, shape);
    const hasState = initialState !== undefined && document.begin === 0;
    const own = {inputs: {...others, ...(hasState && {initialState})}, options: optionsAlone};
    const results = await evaluateOp(packable.op, own, partOf(packable, projections, document, shape));
    const [batch, length] = shape;
    for (const of of ['outputs', 'gradients'] as const) {
      for (const [name, {values}] of Object.entries(results[of])) {
        const into = together[of][name];
        const kind = kindOf(packable, name, into, shape);
        if (kind === 'weight') values.forEach((value, i) => (into.values[i] += value));
        else if (kind === 'sequence') {
          into.values.set(values, (document.b * length + document.begin) * sizeOf(into.shape.slice(2)));
        } else if (name === 'initialState' || document.end === length) {
          into.values.set(values, (document.b * into.values.length) / batch);
        }
      }
    }
  }
  return together;
}

/** Values that are not the same number, in words; NaN is the same as NaN, 0 is not -0. */
function differentBits(actual: Arrays, expected: Arrays): string[] {
  return Object.entries(expected).flatMap(([name, {values}]) => {
    const i = values.findIndex((value, k) => !Object.is(value, actual[name].values[k]));
    return i < 0 ? [] : [`${name}[${i}] is ${actual[name].values[i]}, not ${values[i]}`];
  });
}

/** The same case with a document full of what is not a number, or infinite; the gradients that come to it too. */
function poisoned(packable: Packable, {testCase, shape}: Packing, projections: Arrays, at: Document, random: Random) {
  const poison = (arrays: Arrays) =>
    mapValues(arrays, (array, name) => {
      const kind = kindOf(packable, name, array, shape);
      const copy = {shape: array.shape, values: array.values.slice()};
      const [batch, length] = shape;
      const fill = (from: number, count: number, size: number) => {
        for (let i = from * size; i < (from + count) * size; i++) {
          copy.values[i] = [NaN, Infinity, -Infinity][integer(random, 0, 2)];
        }
      };
      if (kind === 'sequence') fill(at.b * length + at.begin, at.end - at.begin, sizeOf(array.shape.slice(2)));
      const isOurs = name === 'initialState' ? at.begin === 0 : at.end === length;
      if (kind === 'state' && isOurs) fill(at.b, 1, array.values.length / batch);
      return copy;
    });
  return {testCase: {...testCase, inputs: poison(testCase.inputs)}, projections: poison(projections)};
}

/** The results of all documents but one, weights left out. */
function besides(packable: Packable, {documents, shape}: Packing, results: Arrays, one: Document): Arrays {
  const kept = Object.fromEntries(
    Object.entries(results).filter(([name, array]) => kindOf(packable, name, array, shape) !== 'weight'),
  );
  const parts = documents
    .filter((document) => document !== one)
    .flatMap((document, i) =>
      Object.entries(partOf(packable, kept, document, shape)).map(([name, array]) => [`${name} of ${i}`, array]),
    );
  return Object.fromEntries(parts) as Arrays;
}

/** What is wrong with `count` random packings. */
async function wrongPackings(packable: Packable, count: number, isExact: boolean, size = {}): Promise<string[]> {
  const {op} = packable;
  const {output, gradient} = backendSettings();
  const random = seededRandom(randomSeed);
  const wrong: string[] = [];
  for (let i = 0; i < count;) {
    const packing = drawPacking(packable, random, size);
    const {testCase, documents, shape} = packing;
    const projections = projectionsOf(op.reference(testCase), randomSeed);
    const packed = await evaluateOp(op, testCase, projections);
    const expected = await alone(packable, packing, projections);
    const found = [
      ...mismatches(packed.outputs, expected.outputs, output),
      ...mismatches(packed.gradients, expected.gradients, gradient).map((text) => `gradient of ${text}`),
    ];
    if (isExact) {
      const isWeight = ([name, array]: [string, Array64]) => kindOf(packable, name, array, shape) === 'weight';
      const ofInputs = Object.fromEntries(Object.entries(expected.gradients).filter((entry) => !isWeight(entry)));
      found.push(...differentBits(packed.outputs, expected.outputs));
      found.push(...differentBits(packed.gradients, ofInputs).map((text) => `gradient of ${text}`));
    }
    const victim = documents[integer(random, 0, documents.length - 1)];
    const spoilt = poisoned(packable, packing, projections, victim, random);
    const results = await evaluateOp(op, spoilt.testCase, spoilt.projections);
    for (const of of ['outputs', 'gradients'] as const) {
      const [clean, beside] = [packed, results].map((all) => besides(packable, packing, all[of], victim));
      found.push(...differentBits(beside, clean).map((text) => `beside a poisoned document, ${of}: ${text}`));
    }
    // Asked of the wrong ones only, as the answer takes the reference twice.
    if (found.length > 0 && !isWellConditioned(op, testCase, randomSeed)) continue;
    i++;
    const of = JSON.stringify({shape, documents, options: {...testCase.options, sequenceIds: undefined}});
    wrong.push(...found.map((text) => `${text} in ${of}`));
  }
  return wrong;
}

/** On these every sum is in an order of ours. */
const isExact = () => ['cpu', 'wasm', 'tensorflow'].includes(tf.getBackend());

describe('packed documents', () => {
  for (const packable of packables) {
    const {count: quickly, wide} = packable;
    it(`in ${packable.op.op} are what each is alone`, async () => {
      // Elsewhere fewer: the random cases that are compared with the reference are packed, too.
      const count = isExact() && typeof document === 'undefined' ? quickly : 5;
      expect(await wrongPackings(packable, count, isExact())).toEqual([]);
    });

    it(`in ${packable.op.op} are what each is alone where channels are many`, async () => {
      expect(await wrongPackings(packable, isExact() ? 2 : 1, isExact(), wide)).toEqual([]);
    });
  }
});

describeComposed('packed documents, composed of TensorFlow.js ops,', () => {
  for (const packable of withPackedKernels) {
    it(`in ${packable.op.op} are what each is alone`, async () => {
      // On a GPU in software that takes minutes.
      expect(await wrongPackings(packable, isExact() ? 10 : 1, false)).toEqual([]);
    });
  }
});
