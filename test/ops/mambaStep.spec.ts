/** One token through a chain of blocks, against the float64 references of its parts, whatever the shape; fused or op by op. */
import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import type {Block} from '../../src/mixers/block';
import {residualBlock, stepChain} from '../../src/mixers/block';
import {mamba1} from '../../src/mixers/mamba1';
import type {LayerState} from '../../src/mixers/mamba1/run';
import {dense} from '../../src/mixers/weight';
import {mambaStep} from '../../src/ops/mambaStep';
import type {BlockInputs} from '../../src/ops/mambaStep/kernels';
import {mambaStepReference} from '../../src/ops/mambaStep/reference';
import type {Array64, Arrays, Random} from '../support/arrays';
import {fill, mapValues, normal, readAndDispose, seededRandom, toTensor, uniform} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings, draws, randomSeed} from '../support/settings';
import {seeds} from './cases/draw';

interface StepParams {
  count: number;
  batch: number;
  dModel: number;
  dInner: number;
  dState: number;
  width: number;
  rank: number;
  hasConvBias: boolean;
  hasBias: boolean;
  seed: number;
}

const shapes: fc.Arbitrary<StepParams> = fc.record({
  count: fc.integer({min: 1, max: 3}),
  batch: fc.integer({min: 1, max: 3}),
  dModel: fc.integer({min: 1, max: 40}),
  dInner: fc.oneof(fc.integer({min: 1, max: 30}), fc.constantFrom(63, 65, 300)),
  dState: fc.oneof(fc.integer({min: 1, max: 9}), fc.constantFrom(16, 17)),
  width: fc.integer({min: 1, max: 5}),
  rank: fc.integer({min: 1, max: 9}),
  hasConvBias: fc.boolean(),
  hasBias: fc.boolean(),
  seed: seeds,
});

/**
 * An output is a sum of dInner terms of either sign: where it is the only one, they may cancel, and an error relative to it says
 * nothing. So there are always a few, of which the largest is the measure. Nor may a next block follow one that is so narrow: its norm
 * makes the little that is left as large as the rest, with its error.
 */
const params = shapes.map((drawn) => (drawn.dModel < 4 ? {...drawn, batch: 8, count: 1} : drawn));

function buildBlock(random: Random, params: StepParams): BlockInputs<Array64> {
  const {batch, dModel, dInner, dState, width, rank, hasConvBias, hasBias} = params;
  const matrix = (rows: number, columns: number): Array64 => normal(random, [rows, columns], rows ** -0.5);
  return {
    conv: normal(random, [batch, width - 1, dInner]),
    ssm: normal(random, [batch, dInner, dState]),
    normWeight: uniform(random, [dModel], 0.5, 1.5),
    inProj: matrix(dModel, 2 * dInner),
    ...(hasBias && {inProjBias: normal(random, [2 * dInner])}),
    convWeight: normal(random, [dInner, width], 0.5),
    ...(hasConvBias && {convBias: normal(random, [dInner])}),
    xProj: matrix(dInner, rank + 2 * dState),
    dtProj: matrix(rank, dInner),
    dtBias: normal(random, [dInner]),
    ALog: fill([dInner, dState], (i) => Math.log((i % dState) + 1)),
    D: normal(random, [dInner]),
    outProj: matrix(dInner, dModel),
    ...(hasBias && {outProjBias: normal(random, [dModel])}),
  };
}

interface Arguments {
  x: Array64;
  blocks: Array<BlockInputs<Array64>>;
}

function build(params: StepParams): Arguments {
  const random = seededRandom(params.seed);
  const x = normal(random, [params.batch, params.dModel]);
  return {x, blocks: Array.from({length: params.count}, () => buildBlock(random, params))};
}

const toTensors = ({x, blocks}: Arguments) => ({
  x: toTensor(x),
  blocks: blocks.map((block) => mapValues(block as unknown as Arrays, toTensor) as unknown as BlockInputs),
});

const mixer = residualBlock(mamba1);

/** The blocks under the names of a layer, and their states. */
function chainOf(
  {x, blocks}: ReturnType<typeof toTensors>,
  mixerEpsilon?: number,
): {blocks: Block[]; states: LayerState[]} {
  const dModel = x.shape[1]!;
  return {
    states: blocks.map(({conv, ssm}) => ({conv, ssm}) as LayerState),
    blocks: blocks.map((block) => ({
      mixer,
      config: {
        ...{dModel, epsilon: 1e-5, mixerEpsilon},
        dInner: block.ALog.shape[0],
        dState: block.ALog.shape[1],
        dtRank: block.dtProj.shape[0],
      },
      weights: {
        'norm/weight': block.normWeight,
        'mixer/inProj/kernel': dense(block.inProj),
        'mixer/inProj/bias': block.inProjBias,
        'mixer/conv/weight': block.convWeight,
        'mixer/conv/bias': block.convBias,
        'mixer/xProj/kernel': dense(block.xProj),
        'mixer/dtProj/kernel': dense(block.dtProj),
        'mixer/dtProj/bias': block.dtBias,
        'mixer/ALog': block.ALog,
        'mixer/D': block.D,
        'mixer/outProj/kernel': dense(block.outProj),
        'mixer/outProj/bias': block.outProjBias,
      },
    })),
  };
}

function step(tensors: ReturnType<typeof toTensors>, mixerEpsilon?: number) {
  return tf.tidy(() => {
    const {blocks, states} = chainOf(tensors, mixerEpsilon);
    return stepChain(blocks, tensors.x as tf.Tensor2D, states) as {y: tf.Tensor2D; states: LayerState[]};
  });
}

async function compare({x, blocks}: Arguments, mixerEpsilon?: number): Promise<string[]> {
  const tensors = toTensors({x, blocks});
  const {y, states} = step(tensors, mixerEpsilon);
  tf.dispose(tensors);
  const expected: Arrays = {};
  let row = x;
  blocks.forEach((block, i) => {
    const next = mambaStepReference(row, block, 1e-5, mixerEpsilon);
    row = next.y;
    expected[`conv of block ${i}`] = next.conv;
    expected[`ssm of block ${i}`] = next.ssm;
  });
  const named = states.flatMap(({conv, ssm}, i) => [
    [`conv of block ${i}`, conv],
    [`ssm of block ${i}`, ssm],
  ]);
  const outputs = await readAndDispose({y, ...(Object.fromEntries(named) as Record<string, tf.Tensor>)});
  return mismatches(outputs, {y: row, ...expected}, backendSettings().output);
}

async function sweep(drawn: fc.Arbitrary<StepParams>, mostRuns: number, epsilons: fc.Arbitrary<number | undefined>) {
  const property = fc.asyncProperty(drawn, epsilons, async (params, mixerEpsilon) => {
    const wrong = await compare(build(params), mixerEpsilon);
    if (wrong.length > 0) throw new Error(wrong.join('; '));
  });
  // On webgl the step is its ops one by one, which have sweeps of their own, and each shape is compiled anew.
  const numRuns = tf.getBackend() === 'webgl' ? draws(mostRuns) : Math.min(mostRuns, backendSettings().randomCases);
  await fc.assert(property, {numRuns, seed: randomSeed});
}

/** Rows wide enough for norms: one of very few terms makes the last digits of small ones those of large ones. */
const wide = params.map((drawn) => ({
  ...drawn,
  dModel: drawn.dModel + 3,
  dInner: drawn.dInner + 7,
  dState: drawn.dState + 3,
  rank: drawn.rank + 3,
}));

describe('mambaStep', () => {
  it('agrees with the references of its parts at random shapes', async () => {
    await expectAsync(sweep(params, 200, fc.constant(undefined))).toBeResolved();
  });

  it('agrees with them at random shapes with norms on dt, B and C', async () => {
    await expectAsync(sweep(wide, 30, fc.constantFrom(1e-6, 0.3, 2))).toBeResolved();
  });

  it('agrees with them with many states and taps', async () => {
    const sizes = {count: 2, batch: 2, dModel: 8, dInner: 20, rank: 6, hasConvBias: true, hasBias: true, seed: 3};
    expect(await compare(build({...sizes, dState: 80, width: 9}))).toEqual([]);
    expect(await compare(build({...sizes, dState: 128, width: 12}), 1e-5)).toEqual([]);
  });

  it('is one kernel where the backend has one for it, whatever the number of blocks', async () => {
    const sizes = {count: 3, batch: 1, dModel: 4, dInner: 6, dState: 3, width: 4, rank: 2};
    const tensors = toTensors(build({...sizes, hasConvBias: true, hasBias: false, seed: 1}));
    const {kernels, result} = await tf.profile(() => step(tensors));
    const fused = ['tensorflow', 'wasm', 'webgpu'].includes(tf.getBackend());
    expect(kernels.some(({name}) => name === 'RmsNorm')).toBe(!fused);
    expect(kernels.filter(({name}) => name === 'MambaStep').length).toBe(fused ? 1 : 0);
    tf.dispose([tensors, result]);
  });

  it('names the argument that is wrong', () => {
    const sizes = {count: 2, batch: 2, dModel: 4, dInner: 6, dState: 3, width: 4, rank: 2};
    const {x, blocks} = toTensors(build({...sizes, hasConvBias: true, hasBias: false, seed: 1}));
    const short = blocks[0].dtBias.slice([0], [5]);
    const withSecond = (changed: object) => () => mambaStep({x, blocks: [blocks[0], {...blocks[1], ...changed}]});
    expect(withSecond({dtBias: short})).toThrowError(/^mambaStep: blocks\[1\]\.dtBias must have .*\[6\].* \[5\]$/);
    expect(withSecond({conv: undefined})).toThrowError('mambaStep: blocks[1].conv is missing');
    expect(withSecond({convBias: undefined})).toThrowError(
      'mambaStep: blocks[1].convBias must be given, as in blocks[0]',
    );
    expect(() => mambaStep({x, blocks, mixerEpsilon: 0})).toThrowError(
      'mambaStep: mixerEpsilon must be a positive number, but is number 0',
    );
    expect(() => mambaStep({x, blocks: []})).toThrowError('mambaStep: blocks must be a list of at least one block');
    tf.dispose([short, x, blocks]);
  });
});
