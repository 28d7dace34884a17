/**
 * Split anywhere: a sequence cut at random places and carried from piece to piece by its state is one pass, in outputs, states and
 * gradients; so is a sequence taken step by step.
 */
import * as tf from '@tensorflow/tfjs';
import type {CausalConv1dArgs} from '../../src/ops/causalConv1d';
import {causalConv1d} from '../../src/ops/causalConv1d';
import type {CausalConv1dUpdateArgs} from '../../src/ops/causalConv1dUpdate';
import {causalConv1dUpdate} from '../../src/ops/causalConv1dUpdate';
import type {SelectiveScanArgs} from '../../src/ops/selectiveScan';
import {selectiveScan} from '../../src/ops/selectiveScan';
import type {SelectiveStateUpdateArgs} from '../../src/ops/selectiveStateUpdate';
import {selectiveStateUpdate} from '../../src/ops/selectiveStateUpdate';
import type {SsdArgs} from '../../src/ops/ssd';
import {ssd} from '../../src/ops/ssd';
import type {SsdStepArgs} from '../../src/ops/ssdStep';
import {ssdStep} from '../../src/ops/ssdStep';
import type {Random} from '../support/arrays';
import {integer, seededRandom} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';
import {convCase} from './cases/causalConv1d';
import {scanCase} from './cases/selectiveScan';
import {ssdCase} from './cases/ssd';
import type {OpCase, OpUnderTest} from './opUnderTest';
import {anyOp, evaluate, evaluateOp, projectionsOf} from './opUnderTest';

const lengths = [1, 2, 3, 7, 31, 33, 127, 129, 300, 1134, 4097];

type Tensors = Record<string, tf.Tensor>;
type Options = OpCase['options'];

/** An op over a sequence, and the two ways of taking the sequence in parts. */
interface Sequential {
  op: OpUnderTest;
  /** Longer sequences than this are left to the scan of Mamba-1: on a backend without a kernel they take a while. */
  longest?: number;
  testCase(length: number): OpCase;
  /** Inputs that run along the sequence; the others are the same for every part. */
  sequences: string[];
  /** One part of the sequence, from a state. */
  part(inputs: Tensors, state: tf.Tensor, options: Options): {y: tf.Tensor; finalState: tf.Tensor};
  /** One position, from a state. */
  step(inputs: Tensors, state: tf.Tensor, options: Options): {y: tf.Tensor; state: tf.Tensor};
}

const scan: Sequential = {
  op: anyOp(scanCase),
  testCase: (length) =>
    scanCase.build({
      ...{batch: 2, length, channels: 4, dState: 3, formB: 'sequence', formC: 'grouped', groupsB: 0, groupsC: 1},
      ...{hasD: true, hasZ: true, hasBias: true, hasInitialState: true, deltaSoftplus: true},
      ...{decay: 'usual', seed: length},
    }),
  sequences: ['u', 'delta', 'B', 'C', 'z'],
  part: (inputs, initialState, options) =>
    selectiveScan({...inputs, ...options, initialState} as unknown as SelectiveScanArgs),
  step: (inputs, state, options) =>
    selectiveStateUpdate({...inputs, ...options, state} as unknown as SelectiveStateUpdateArgs),
};

const dual: Sequential = {
  op: anyOp(ssdCase),
  longest: 300,
  testCase: (length) =>
    ssdCase.build({
      ...{batch: 2, length, heads: 4, headDim: 3, dState: 5, groups: 1, skip: 'channel'},
      ...{hasZ: true, hasBias: true, hasInitialState: true, deltaSoftplus: true, limit: [0.0625, 0.5]},
      ...{decay: 'usual', seed: length},
    }),
  sequences: ['u', 'delta', 'B', 'C', 'z'],
  part: (inputs, initialState, options) => ssd({...inputs, ...options, initialState} as unknown as SsdArgs),
  step: (inputs, state, options) => ssdStep({...inputs, ...options, state} as unknown as SsdStepArgs),
};

const conv: Sequential = {
  op: anyOp(convCase),
  testCase: (length) =>
    convCase.build({
      ...{batch: 2, length, channels: 3, width: 4, hasBias: true, hasInitialState: true},
      ...{activation: 'silu', seed: length},
    }),
  sequences: ['x'],
  part: (inputs, initialState, options) =>
    causalConv1d({...inputs, ...options, initialState} as unknown as CausalConv1dArgs),
  step: (inputs, state, options) =>
    causalConv1dUpdate({...inputs, ...options, state} as unknown as CausalConv1dUpdateArgs),
};

/** Lengths of the parts: cuts at up to five random places. */
function randomParts(random: Random, length: number): number[] {
  const cuts = new Set(Array.from({length: Math.min(5, length - 1)}, () => integer(random, 1, length - 1)));
  const ends = [...cuts, length].sort((a, b) => a - b);
  return ends.map((end, i) => end - (ends[i - 1] ?? 0));
}

/** Cuts along the sequence. TensorFlow.js has no gradient of a split or an unstack into a single piece. */
const cut = (x: tf.Tensor, parts: number[]) => (parts.length === 1 ? [x] : tf.split(x, parts, 1));
const positions = (x: tf.Tensor) => (x.shape[1] === 1 ? [x.squeeze([1])] : tf.unstack(x, 1));

/** Takes the sequence in parts of the given lengths. */
function inParts({sequences, part}: Sequential, parts: number[], options: Options) {
  return ({initialState, ...inputs}: Tensors): Tensors => {
    const pieces = sequences.map((name) => cut(inputs[name], parts));
    let state = initialState;
    const ys = parts.map((_, i) => {
      const piece = Object.fromEntries(sequences.map((name, k) => [name, pieces[k][i]]));
      const {y, finalState} = part({...inputs, ...piece}, state, options);
      state = finalState;
      return y;
    });
    return {y: tf.concat(ys, 1), finalState: state};
  };
}

/** Takes the sequence position by position. */
function stepByStep({sequences, step}: Sequential, options: Options) {
  return ({initialState, ...inputs}: Tensors): Tensors => {
    const rows = sequences.map((name) => positions(inputs[name]));
    let state = initialState;
    const ys = rows[0].map((_, t) => {
      const row = Object.fromEntries(sequences.map((name, k) => [name, rows[k][t]]));
      const result = step({...inputs, ...row}, state, options);
      state = result.state;
      return result.y;
    });
    return {y: tf.stack(ys, 1), finalState: state};
  };
}

/** What differs between the sequence taken in parts, in each of several ways, and in one pass, and between either and the reference. */
async function differences(
  {op, testCase}: Sequential,
  length: number,
  ways: Array<(options: Options) => (inputs: Tensors) => Tensors>,
): Promise<string[]> {
  const {output, gradient} = backendSettings();
  const whole = testCase(length);
  const outputs = op.reference(whole);
  const projections = projectionsOf(outputs, randomSeed);
  const gradients = op.referenceGradient(whole, projections);
  const onePass = await evaluateOp(op, whole, projections);
  const wrong: string[] = [];
  for (const taken of ways) {
    const inPieces = await evaluate(taken(whole.options), whole.inputs, projections);
    wrong.push(
      ...mismatches(inPieces.outputs, outputs, output),
      ...mismatches(inPieces.gradients, gradients, gradient),
      ...mismatches(inPieces.outputs, onePass.outputs, output),
      ...mismatches(inPieces.gradients, onePass.gradients, gradient),
    );
  }
  return wrong;
}

for (const sequential of [scan, dual, conv]) {
  describe(`${sequential.op.op} of a sequence`, () => {
    for (const length of lengths.filter((length) => length <= (sequential.longest ?? Infinity))) {
      it(`of length ${length}, cut at random places, is one pass`, async () => {
        const random = seededRandom(randomSeed + length);
        // webgl compiles anew for each length of a part.
        const cuts = Array.from({length: tf.getBackend() === 'webgl' ? 1 : 3}, () => randomParts(random, length));
        const ways = cuts.map((parts) => (options: Options) => inParts(sequential, parts, options));
        expect(await differences(sequential, length, ways))
          .withContext(`parts ${cuts.map((parts) => parts.join('+')).join(', ')}`)
          .toEqual([]);
      });

      if (length > backendSettings().steps) continue;
      it(`of length ${length}, step by step, is one pass`, async () => {
        expect(await differences(sequential, length, [(options) => stepByStep(sequential, options)])).toEqual([]);
      });
    }
  });
}
