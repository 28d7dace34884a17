/** One token through a chain of Mamba-2 blocks by the native library's one call, against the blocks' own definition, op by op. */
import * as tf from '@tensorflow/tfjs';
import type {Block} from '../../src/mixers/block';
import {residualBlock, stepChain} from '../../src/mixers/block';
import {mamba2} from '../../src/mixers/mamba2';
import type {Mamba2Options} from '../../src/mixers/mamba2/config';
import {readFields} from '../../src/mixers/fields';
import type {State, Weights} from '../../src/mixers/mixer';
import type {Weight} from '../../src/mixers/weight';
import {useCorrectedWeights} from '../../src/mixers/lora';
import {dense} from '../../src/mixers/weight';
import {backendInfo} from '../../src/node';
import type {Arrays} from '../support/arrays';
import {normal, readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings} from '../support/settings';

const mixer = residualBlock(mamba2);

interface Chain {
  x: tf.Tensor2D;
  blocks: Block[];
  states: State[];
}

/** Blocks of random weights and states; `form` makes a weight of the values of a matrix. */
function build(
  options: Mamba2Options,
  dModel: number,
  batch: number,
  form: (value: tf.Tensor) => Weight = dense,
): Chain {
  const random = seededRandom(4);
  const draw = (shape: readonly number[], scale = 1) => toTensor(normal(random, [...shape], scale));
  const config = mixer.configure('test', {...readFields('test', mixer.fields, options), epsilon: 1e-5}, dModel);
  const block = (): Block => {
    const weights: Weights = {};
    for (const {name, shape, isMatrix} of mixer.weights(config)) {
      const value = draw(shape, isMatrix ? shape[0] ** -0.5 : 0.7);
      weights[name] = isMatrix ? form(value) : value;
    }
    return {mixer, config, weights};
  };
  const state = (): State => {
    const shapes = Object.entries(mixer.states).map(([name, shape]) => [name, [batch, ...(shape(config) as number[])]]);
    return Object.fromEntries(shapes.map(([name, shape]) => [name, draw(shape as number[])])) as State;
  };
  return {x: draw([batch, dModel]) as tf.Tensor2D, blocks: [block(), block()], states: [state(), state()]};
}

/** Its outputs by name, and whether the one kernel ran. */
async function outputs({x, blocks, states}: Chain): Promise<{arrays: Arrays; isFused: boolean}> {
  const {kernels, result} = await tf.profile(() => stepChain(blocks, x, states));
  const {y, states: next} = result as unknown as ReturnType<typeof stepChain>;
  const named = next.flatMap((state, i) =>
    Object.entries(state).map(([name, part]) => [`${name} of block ${i}`, part]),
  );
  const arrays = await readAndDispose({y, ...(Object.fromEntries(named) as Record<string, tf.Tensor>)});
  return {arrays, isFused: kernels.some(({name}) => name === 'Mamba2Step')};
}

/** The same without that kernel. */
async function opByOp(chain: Chain) {
  const kernel = tf.getKernel('Mamba2Step', 'tensorflow');
  tf.unregisterKernel('Mamba2Step', 'tensorflow');
  try {
    return await outputs(chain);
  } finally {
    tf.registerKernel(kernel);
  }
}

const sizes = {dState: 5, headDim: 3, dInner: 12};

describe('the step of Mamba-2 blocks in one call', () => {
  const cases: Array<[what: string, options: Mamba2Options, dModel: number, batch: number]> = [
    ['one row', sizes, 7, 1],
    ['rows', sizes, 7, 3],
    ['groups, normalized together', {...sizes, nGroups: 2, normGroups: 1}, 8, 2],
    ['groups, normalized apart, then gated', {...sizes, nGroups: 2, normBeforeGate: true}, 8, 2],
    ['no norm, D per channel, biases', {...sizes, gatedNorm: false, dHasHeadDim: true, useBias: true}, 8, 2],
    ['one tap, no bias, limits', {...sizes, dConv: 1, convBias: false, dtLimit: [0.2, 0.9]}, 8, 2],
    ['published sizes of a head', {dState: 128, headDim: 64, dInner: 128}, 40, 1],
  ];
  for (const [what, options, dModel, batch] of cases) {
    it(`is right with ${what}`, async () => {
      const chain = build(options, dModel, batch);
      const [fused, expected] = [await outputs(chain), await opByOp(chain)];
      expect([fused.isFused, expected.isFused]).toEqual([backendInfo().device !== 'GPU', false]);
      expect(mismatches(fused.arrays, expected.arrays, backendSettings().output)).toEqual([]);
      tf.dispose([chain.x, chain.states, chain.blocks.map(({weights}) => weights)] as never);
    });
  }

  it('is left to the blocks where a weight has a correction beside it', async () => {
    useCorrectedWeights();
    const random = seededRandom(5);
    const chain = build(sizes, 7, 1, (value) => ({
      form: 'lora',
      base: dense(value),
      down: toTensor(normal(random, [value.shape[0], 2])) as tf.Tensor2D,
      up: toTensor(normal(random, [2, value.shape[1]!])) as tf.Tensor2D,
      scale: 0.5,
      dropout: 0,
    }));
    const [own, expected] = [await outputs(chain), await opByOp(chain)];
    expect(own.isFused).toBeFalse();
    expect(own.arrays).toEqual(expected.arrays);
    tf.dispose([chain.x, chain.states, chain.blocks.map(({weights}) => weights)] as never);
  });
});
