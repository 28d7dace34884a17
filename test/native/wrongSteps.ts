/** Wrong calls of the ops that take a token through a stack of blocks, or open one for decoding; see wrongCalls.ts. */
import * as tf from '@tensorflow/tfjs';
import type {OpAttrs} from '../../src/backends/tensorflow';
import {bitsOf} from '../../src/backends/tensorflow';
import {mamba2BlockInputs} from '../../src/ops/mamba2Step/kernels';
import {blockInputs} from '../../src/ops/mambaStep/kernels';

type Shapes = Record<string, number[]>;
type Call = (name: string, inputs: tf.Tensor[], attrs: OpAttrs, outputs: number, expected: string) => void;

const none = 'no error';

/** Makes the calls, right ones among them. */
export function wrongSteps(call: Call): void {
  /** Two blocks of dModel 4, dInner 8, 3 states, 4 taps and dtRank 2 without optional inputs, at batch 2; `changed` replaces some inputs. */
  const step = (changed: Record<string, tf.Tensor>) => {
    const shapes: Shapes = {conv: [2, 3, 8], ssm: [2, 8, 3], normWeight: [4], inProj: [4, 16], convWeight: [8, 4]};
    Object.assign(shapes, {xProj: [8, 8], dtProj: [2, 8], dtBias: [8], ALog: [8, 3], D: [8], outProj: [8, 4]});
    const block = (index: number) =>
      Object.keys(shapes).map((name) => changed[`${name}${index}`] ?? tf.fill(shapes[name], 0.5));
    return [changed.x ?? tf.ones([2, 4]), ...block(0), ...block(1)];
  };
  const narrow: Record<string, tf.Tensor> = {ssm1: tf.ones([2, 8, 2]), xProj1: tf.ones([8, 6]), ALog1: tf.ones([8, 2])};
  const withoutOptional = bitsOf(
    blockInputs,
    blockInputs.filter((name) => !['inProjBias', 'convBias', 'outProjBias'].includes(name)),
  );
  for (const [inputs, expected, blocks = 2] of [
    [step({}), none],
    [step({}), 'attribute blocks is 3, which does not divide 22 inputs', 3],
    [step({}), `attribute present is ${withoutOptional}, which does not fit 22 inputs`, 1],
    [step({x: tf.ones([4])}), 'x must have rank 2 and not be empty, but has shape [4]'],
    [step({x: tf.ones([0, 4])}), 'x must have rank 2 and not be empty, but has shape [0,4]'],
    [step({conv0: tf.ones([2, 4, 8])}), 'conv must have shape [2,3,8], but has [2,4,8]'],
    [step({inProj1: tf.ones([4, 8])}), 'inProj must have shape [4,16], but has [4,8]'],
    [step({dtProj1: tf.ones([8])}), 'dtProj must have rank 2, but has shape [8]'],
    [step(narrow), 'block 1 differs in size from the first'],
  ] as [tf.Tensor[], string, number?][]) {
    const ints = {NI: inputs.length, blocks, present: withoutOptional};
    call('Step', inputs, {ints, floats: {epsilon: 1e-5}}, 1 + 2 * blocks, expected);
  }

  /** The same with outProj [8,4] in bfloat16: words in its place, behind all else. */
  const packedBit = bitsOf(blockInputs, ['outProj']);
  for (const [shape, expected] of [
    [[4, 4], none],
    [[4, 3], 'outProj must have words of shape [4,4], but has [4,3]'],
    [[16], 'outProj must have words of shape [4,4], but has [16]'],
  ] as [number[], string][]) {
    const inputs = step({}).filter((_, i) => i !== 11 && i !== 22);
    const ints = {NI: inputs.length, NW: 2, blocks: 2, present: withoutOptional - packedBit, packed: packedBit};
    const given = [...inputs, ...[0, 1].map(() => tf.zeros(shape, 'int32'))];
    call('Step', given, {ints, floats: {epsilon: 1e-5}}, 5, expected);
  }

  /** Ends of a model of 6 tokens before those blocks; each call that is right leaves a decoder open, which ends with the process. */
  for (const [ends, expected] of [
    [[tf.ones([4]), tf.ones([6, 4])], none],
    [[tf.ones([4]), tf.ones([6, 4]), tf.ones([4, 6])], none],
    [[tf.ones([1, 4]), tf.ones([6, 4])], 'normWeight must have rank 1, but has shape [1,4]'],
    [[tf.ones([4]), tf.ones([6, 5])], 'table must have shape [6,4], but has [6,5]'],
    [[tf.ones([4]), tf.ones([24])], 'table must have rank 2, but has shape [24]'],
    [[tf.ones([4]), tf.ones([6, 4]), tf.ones([4, 5])], 'head must have shape [4,6], but has [4,5]'],
  ] as [tf.Tensor[], string][]) {
    const inputs = [...ends, ...step({}).slice(1)];
    const ints = {
      NI: inputs.length,
      ends_present: 2 ** ends.length - 1,
      ends_packed: 0,
      blocks: 2,
      present: withoutOptional,
    };
    const floats = {epsilon: 1e-5, final_epsilon: 1e-5};
    call('StepDecoder', inputs, {ints, floats}, 1, expected);
  }

  /** Two blocks of Mamba-2 of dModel 4, 2 heads of 4 channels, one group of 3 states and 4 taps, as above. */
  const step2 = (changed: Record<string, tf.Tensor>) => {
    const shapes: Shapes = {conv: [2, 3, 14], ssm: [2, 2, 4, 3], normWeight: [4], inProj: [4, 24], convWeight: [14, 4]};
    Object.assign(shapes, {dtBias: [2], ALog: [2], D: [2], gatedNormWeight: [8], outProj: [8, 4]});
    const block = (index: number) =>
      Object.keys(shapes).map((name) => changed[`${name}${index}`] ?? tf.fill(shapes[name], 0.5));
    return [changed.x ?? tf.ones([2, 4]), ...block(0), ...block(1)];
  };
  const present2 = bitsOf(
    mamba2BlockInputs,
    mamba2BlockInputs.filter((name) => !['inProjBias', 'convBias', 'outProjBias'].includes(name)),
  );
  const wide: Record<string, tf.Tensor> = {conv1: tf.ones([2, 4, 14]), convWeight1: tf.ones([14, 5])};
  for (const [inputs, expected, blocks = 2, norm_groups = 2] of [
    [step2({}), none],
    [step2({}), 'attribute blocks is 3, which does not divide 20 inputs', 3],
    [step2({}), 'gatedNormWeight has 8 channels, which 3 groups do not divide', 2, 3],
    [step2({x: tf.ones([4])}), 'x must have rank 2 and not be empty, but has shape [4]'],
    [step2({conv0: tf.ones([2, 4, 14])}), 'conv must have shape [2,3,14], but has [2,4,14]'],
    [step2({ssm1: tf.ones([1, 2, 4, 3])}), 'ssm must have shape [2,2,4,3], but has [1,2,4,3]'],
    [
      step2({convWeight0: tf.ones([13, 4])}),
      'convWeight has 13 channels, which are not the 8 of ssm and those of B and C for groups of its heads',
    ],
    [step2({inProj1: tf.ones([4, 22])}), 'inProj must have shape [4,24], but has [4,22]'],
    [step2({D0: tf.ones([3])}), 'D must have shape [8], but has [3]'],
    [step2(wide), 'block 1 differs in size from the first'],
  ] as [tf.Tensor[], string, number?, number?][]) {
    const ints = {NI: inputs.length, blocks, present: present2, norm_groups};
    const floats = {epsilon: 1e-5, delta_min: 0, delta_max: 1};
    call('Mamba2Step', inputs, {ints, floats, bools: {norm_before_gate: false}}, 1 + 2 * blocks, expected);
  }
}
