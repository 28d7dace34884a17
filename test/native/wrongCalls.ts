/**
 * Wrong calls straight to the ops of the library: the package's own functions check first, so nothing else gets this far. Run by
 * native.spec.ts in a process of its own; prints each call's message, as JSON, beside what it should say.
 */
import * as tf from '@tensorflow/tfjs';
import type {NodeBackend, OpAttrs} from '../../src/backends/tensorflow';
import {runNativeOp} from '../../src/backends/tensorflow';
import '../../src/node';
import {convInputs} from '../../src/ops/causalConv1d/kernels';
import {gatedRmsNormInputs} from '../../src/ops/gatedRmsNorm/kernels';
import {rmsNormInputs} from '../../src/ops/rmsNorm/kernels';
import {scanInputs} from '../../src/ops/selectiveScan/kernels';
import {stateUpdateInputs} from '../../src/ops/selectiveStateUpdate/kernels';
import {ssdInputs} from '../../src/ops/ssd/kernels';
import {wrongSteps} from './wrongSteps';

export interface WrongCall {
  op: string;
  message: string;
  expected: string;
}

/** The message of a call that is not refused, as the right call of each op must not be. */
const none = 'no error';

type Shapes = Record<string, number[]>;

/** An op that takes a list of the inputs that are present: the shapes of a right call, and others with what the error says. */
interface ListOp {
  op: string;
  order: readonly string[];
  shapes: Shapes;
  attrs: OpAttrs;
  outputs: number;
  wrong: [changes: Record<string, number[] | undefined>, expected: string][];
}

const scan: Shapes = {
  u: [2, 6, 4],
  delta: [2, 6, 4],
  A: [4, 3],
  B: [2, 6, 2, 3],
  C: [4, 3],
  D: [4],
  z: [2, 6, 4],
  deltaBias: [4],
  initialState: [2, 4, 3],
};
const ssd: Shapes = {
  u: [2, 6, 4, 5],
  delta: [2, 6, 4],
  A: [4],
  B: [2, 6, 2, 3],
  C: [2, 6, 2, 3],
  D: [4, 1],
  z: [2, 6, 4, 5],
  deltaBias: [4],
  initialState: [2, 4, 5, 3],
};
const steps: OpAttrs = {bools: {delta_softplus: true}, floats: {delta_min: 0, delta_max: 1}};
const gated: Shapes = {x: [2, 3, 4], weight: [4], z: [2, 3, 4]};
const gatedAttrs: OpAttrs = {ints: {groups: 2}, bools: {norm_before_gate: false}, floats: {epsilon: 1e-5}};
const conv: Shapes = {x: [2, 6, 4], weight: [4, 3], bias: [4], initialState: [2, 2, 4]};

const listOps: ListOp[] = [
  {
    op: 'SelectiveScan',
    order: scanInputs,
    shapes: scan,
    attrs: {ints: {NS: 0}, bools: {delta_softplus: true}},
    outputs: 2,
    wrong: [
      [{u: undefined}, 'u is missing'],
      [{u: [12, 4]}, 'u must have rank 3, but has shape [12,4]'],
      [{u: [2, 0, 4]}, 'u must not be empty, but has shape [2,0,4]'],
      [{delta: undefined}, 'delta is missing'],
      [{delta: [2, 6, 3]}, 'delta must have shape [2,6,4], but has [2,6,3]'],
      [{A: [3, 3]}, 'A must have shape [4,3], but has [3,3]'],
      [{B: undefined}, 'B is missing'],
      [{B: [2, 6, 3]}, 'B must have rank 4, but has shape [2,6,3]'],
      [{B: [2, 6, 0, 3]}, 'B must not be empty, but has shape [2,6,0,3]'],
      [{B: [2, 6, 3, 3]}, 'B has 3 groups, which do not divide 4 channels'],
      [{C: [4, 2]}, 'C must have shape [4,3], but has [4,2]'],
      [{C: [2, 5, 1, 3]}, 'C must have shape [2,6,1,3], but has [2,5,1,3]'],
      [{D: [1]}, 'D must have shape [4], but has [1]'],
      [{z: [2, 6]}, 'z must have shape [2,6,4], but has [2,6]'],
      [{deltaBias: [4, 1]}, 'deltaBias must have shape [4], but has [4,1]'],
      [{initialState: [2, 3, 4]}, 'initialState must have shape [2,4,3], but has [2,3,4]'],
    ],
  },
  {
    op: 'SelectiveScanGrad',
    order: [...scanInputs, 'states', 'dy', 'dFinalState'],
    shapes: {...scan, states: [2, 1, 3, 4], dy: [2, 6, 4], dFinalState: [2, 4, 3]},
    attrs: {ints: {NG: 9}, bools: {delta_softplus: true}},
    outputs: 9,
    wrong: [
      [{A: [4]}, 'A must have rank 2, but has shape [4]'],
      [{states: undefined}, 'states is missing'],
      [{states: [2, 2, 3, 4]}, 'states must have shape [2,1,3,4], but has [2,2,3,4]'],
      [{dy: undefined}, 'dy is missing'],
      [{dy: [2, 6, 1]}, 'dy must have shape [2,6,4], but has [2,6,1]'],
      [{dFinalState: [2, 4]}, 'dFinalState must have shape [2,4,3], but has [2,4]'],
    ],
  },
  {
    op: 'SelectiveStateUpdate',
    order: stateUpdateInputs,
    shapes: {state: [2, 4, 3], u: [2, 4], delta: [2, 4], A: [4, 3], B: [2, 1, 3], C: [4, 3], D: [4], z: [2, 4]},
    attrs: {bools: {delta_softplus: false}},
    outputs: 2,
    wrong: [
      [{state: [4, 3]}, 'state must have rank 3, but has shape [4,3]'],
      [{u: undefined}, 'u is missing'],
      [{u: [2, 3]}, 'u must have shape [2,4], but has [2,3]'],
      [{delta: [4]}, 'delta must have shape [2,4], but has [4]'],
      [{A: [4, 2]}, 'A must have shape [4,3], but has [4,2]'],
      [{B: [2, 3, 3]}, 'B has 3 groups, which do not divide 4 channels'],
      [{C: [1, 1, 3]}, 'C must have shape [2,1,3], but has [1,1,3]'],
      [{D: [2]}, 'D must have shape [4], but has [2]'],
      [{z: [4, 2]}, 'z must have shape [2,4], but has [4,2]'],
      [{deltaBias: [3]}, 'deltaBias must have shape [4], but has [3]'],
    ],
  },
  {
    op: 'Ssd',
    order: ssdInputs,
    shapes: ssd,
    attrs: {...steps, ints: {NS: 0}},
    outputs: 2,
    wrong: [
      [{u: undefined}, 'u is missing'],
      [{u: [2, 6, 20]}, 'u must have rank 4, but has shape [2,6,20]'],
      [{u: [2, 0, 4, 5]}, 'u must not be empty, but has shape [2,0,4,5]'],
      [{delta: [2, 6]}, 'delta must have shape [2,6,4], but has [2,6]'],
      [{A: [4, 3]}, 'A must have shape [4], but has [4,3]'],
      [{B: [2, 6, 3]}, 'B must have rank 4, but has shape [2,6,3]'],
      [{B: [2, 5, 2, 3]}, 'B must have shape [2,6,2,3], but has [2,5,2,3]'],
      [{B: [2, 6, 3, 3], C: [2, 6, 3, 3]}, 'B has 3 groups, which do not divide 4 heads'],
      [{C: undefined}, 'C is missing'],
      [{C: [2, 6, 1, 3]}, 'C must have shape [2,6,2,3], but has [2,6,1,3]'],
      [{D: [4]}, 'D must have shape [4,5], but has [4]'],
      [{D: [4, 2]}, 'D must have shape [4,5], but has [4,2]'],
      [{z: [2, 6, 4]}, 'z must have shape [2,6,4,5], but has [2,6,4]'],
      [{deltaBias: [5]}, 'deltaBias must have shape [4], but has [5]'],
      [{initialState: [2, 4, 3, 5]}, 'initialState must have shape [2,4,5,3], but has [2,4,3,5]'],
    ],
  },
  {
    op: 'SsdGrad',
    order: [...ssdInputs, 'states', 'dy', 'dFinalState'],
    shapes: {...ssd, states: [2, 1, 4, 3, 5], dy: [2, 6, 4, 5], dFinalState: [2, 4, 5, 3]},
    attrs: {...steps, ints: {NG: 9}},
    outputs: 9,
    wrong: [
      [{states: [2, 2, 4, 3, 5]}, 'states must have shape [2,1,4,3,5], but has [2,2,4,3,5]'],
      [{dy: undefined}, 'dy is missing'],
      [{dy: [2, 6, 4]}, 'dy must have shape [2,6,4,5], but has [2,6,4]'],
      [{dFinalState: [2, 4, 5]}, 'dFinalState must have shape [2,4,5,3], but has [2,4,5]'],
    ],
  },
  {
    op: 'SsdStep',
    order: ssdInputs,
    shapes: {u: [2, 4, 5], delta: [2, 4], A: [4], B: [2, 2, 3], C: [2, 2, 3], D: [4, 1], initialState: [2, 4, 5, 3]},
    attrs: steps,
    outputs: 2,
    wrong: [
      [{u: [2, 20]}, 'u must have rank 3, but has shape [2,20]'],
      [{B: [2, 3]}, 'B must have rank 3, but has shape [2,3]'],
      [{initialState: undefined}, 'initialState is missing'],
      [{initialState: [2, 4, 5, 2]}, 'initialState must have shape [2,4,5,3], but has [2,4,5,2]'],
    ],
  },
  {
    op: 'GatedRmsNorm',
    order: gatedRmsNormInputs,
    shapes: gated,
    attrs: gatedAttrs,
    outputs: 1,
    wrong: [
      [{x: undefined}, 'x is missing'],
      [{weight: [3]}, 'x must have a last axis as long as weight, 3, but has shape [2,3,4]'],
      [{x: [2, 3], z: [2, 3], weight: [3]}, 'x has 3 channels, which 2 groups do not divide'],
      [{z: [2, 4]}, 'z must have shape [2,3,4], but has [2,4]'],
    ],
  },
  {
    op: 'GatedRmsNormGrad',
    order: [...gatedRmsNormInputs, 'dy'],
    shapes: {...gated, dy: [2, 3, 4]},
    attrs: {...gatedAttrs, ints: {groups: 2, NG: 3}},
    outputs: 3,
    wrong: [
      [{dy: undefined}, 'dy is missing'],
      [{dy: [3, 4]}, 'dy must have shape [2,3,4], but has [3,4]'],
    ],
  },
  {
    op: 'CausalConv1d',
    order: convInputs,
    shapes: conv,
    attrs: {bools: {silu: true}},
    outputs: 2,
    wrong: [
      [{x: undefined}, 'x is missing'],
      [{x: [4]}, 'x must have rank 3, but has shape [4]'],
      [{x: [0, 4]}, 'x must not be empty, but has shape [0,4]'],
      [{weight: [4, 0]}, 'weight must not be empty, but has shape [4,0]'],
      [{weight: [3, 3]}, 'weight must have shape [4,3], but has [3,3]'],
      [{bias: [3]}, 'bias must have shape [4], but has [3]'],
      [{initialState: [2, 3, 4]}, 'initialState must have shape [2,2,4], but has [2,3,4]'],
    ],
  },
  {
    op: 'CausalConv1dGrad',
    order: [...convInputs, 'dy', 'dFinalState'],
    shapes: {...conv, dy: [2, 6, 4], dFinalState: [2, 2, 4]},
    attrs: {ints: {NG: 4}, bools: {silu: true}},
    outputs: 4,
    wrong: [
      [{weight: [3]}, 'weight must have rank 2, but has shape [3]'],
      [{dy: [2, 4]}, 'dy must have shape [2,6,4], but has [2,4]'],
      [{dFinalState: undefined}, 'dFinalState is missing'],
      [{dFinalState: [2, 3, 4]}, 'dFinalState must have shape [2,2,4], but has [2,3,4]'],
    ],
  },
  {
    op: 'RmsNorm',
    order: rmsNormInputs,
    shapes: {x: [2, 3, 4], weight: [4], residual: [2, 3, 4]},
    attrs: {ints: {NO: 2}, floats: {epsilon: 1e-5}},
    outputs: 2,
    wrong: [
      [{x: undefined}, 'x is missing'],
      [{x: []}, 'x must have a last axis as long as weight, 4, but has shape []'],
      [{weight: [3]}, 'x must have a last axis as long as weight, 3, but has shape [2,3,4]'],
      [{weight: [0]}, 'weight must not be empty, but has shape [0]'],
      [{residual: [3, 4]}, 'residual must have shape [2,3,4], but has [3,4]'],
    ],
  },
  {
    op: 'RmsNormGrad',
    order: ['r', 'weight', 'dy', 'dResidual'],
    shapes: {r: [2, 4], weight: [4], dy: [2, 4], dResidual: [2, 4]},
    attrs: {floats: {epsilon: 1e-5}},
    outputs: 2,
    wrong: [
      [{r: [2, 3]}, 'r must have a last axis as long as weight, 4, but has shape [2,3]'],
      [{dy: undefined}, 'dy is missing'],
      [{dy: [4]}, 'dy must have shape [2,4], but has [4]'],
      [{dResidual: [2, 1]}, 'dResidual must have shape [2,4], but has [2,1]'],
    ],
  },
  {
    op: 'MatVec',
    order: ['x', 'kernel', 'bias'],
    shapes: {x: [2, 3], kernel: [3, 4], bias: [4]},
    attrs: {bools: {transpose_kernel: false}},
    outputs: 1,
    wrong: [
      [{x: [3]}, 'x must have rank 2, but has shape [3]'],
      [{kernel: [3, 0]}, 'kernel must not be empty, but has shape [3,0]'],
      [{kernel: [4, 3]}, 'kernel must have shape [3,3], but has [4,3]'],
      [{bias: [3]}, 'bias must have shape [4], but has [3]'],
    ],
  },
];

await tf.setBackend('tensorflow');
const backend = tf.backend() as unknown as NodeBackend & tf.KernelBackend;
const calls: WrongCall[] = [];

function call(name: string, inputs: tf.Tensor[], attrs: OpAttrs, outputs: number, expected: string): void {
  const op = `TfjsMamba${name}`;
  let message = none;
  try {
    runNativeOp(backend, op, inputs, attrs, outputs).forEach(({dataId}) => backend.disposeData(dataId));
  } catch (error) {
    message = (error as Error).message;
  }
  calls.push({op, message, expected: expected === none ? none : `${op}: ${expected}`});
}

/** A call with inputs of these shapes, and after the list with the ids of packed documents, if any. */
function callList(
  {op, order, attrs, outputs}: ListOp,
  shapes: Shapes,
  expected: string,
  present?: number,
  ids: tf.Tensor[] = [],
): void {
  const here = order.filter((name) => name in shapes);
  const bits = here.reduce((mask, name) => mask | (1 << order.indexOf(name)), 0);
  const ints = {...attrs.ints, NI: here.length, present: present ?? bits, ...(ids.length > 0 && {NQ: ids.length})};
  const tensors = here.map((name) => tf.fill(shapes[name], 0.5));
  call(op, [...tensors, ...ids], {...attrs, ints}, outputs, expected);
}

for (const listOp of listOps) {
  const {shapes, wrong, order} = listOp;
  callList(listOp, shapes, none);
  for (const [changes, expected] of wrong) {
    const changed = Object.entries({...shapes, ...changes}).filter(([, shape]) => shape !== undefined);
    callList(listOp, Object.fromEntries(changed) as Shapes, expected);
  }
  const inputs = Object.keys(shapes).length;
  for (const present of [1, 2 ** (order.length + 1) - 1]) {
    callList(listOp, shapes, `attribute present is ${present}, which does not fit ${inputs} inputs`, present);
  }
}

for (const listOp of listOps.filter(({op}) => /^(SelectiveScan|CausalConv1d)/.test(op))) {
  for (const [shape, expected] of [
    [[2, 6], none],
    [[2, 5], 'sequenceIds must have shape [2,6], but has [2,5]'],
    [[12], 'sequenceIds must have shape [2,6], but has [12]'],
  ] as [number[], string][]) {
    callList(listOp, listOp.shapes, expected, undefined, [tf.zeros(shape, 'int32')]);
  }
}

const labels = (...values: number[]) => tf.tensor1d(values, 'int32');
const logits = tf.ones([2, 5]);
const shapesOfLoss = 'logits must have shape [rows,classes] and labels [rows], but have';
for (const [inputs, expected] of [
  [[logits, labels(4, -100)], none],
  [[tf.ones([2, 0]), labels(0, 0)], `${shapesOfLoss} [2,0] and [2]`],
  [[tf.ones([5]), labels(0)], `${shapesOfLoss} [5] and [1]`],
  [[logits, labels(0)], `${shapesOfLoss} [2,5] and [1]`],
  [[logits, labels(0, 5)], 'labels must lie in [0,5) or be -100, but labels[1] is 5'],
  [[logits, labels(-1, 0)], 'labels must lie in [0,5) or be -100, but labels[0] is -1'],
] as [tf.Tensor[], string][]) {
  call('CrossEntropy', inputs, {}, 2, expected);
}
const shapesOfLossGrad = 'logSumExp must have the shape of labels and dy be a scalar';
for (const [inputs, expected] of [
  [[logits, labels(4, -100), tf.ones([2]), tf.scalar(1)], none],
  [[logits, labels(4, 5), tf.ones([2]), tf.scalar(1)], 'labels must lie in [0,5) or be -100, but labels[1] is 5'],
  [[logits, labels(4, 0), tf.ones([1]), tf.scalar(1)], shapesOfLossGrad],
  [[logits, labels(4, 0), tf.ones([2]), tf.ones([1])], shapesOfLossGrad],
] as [tf.Tensor[], string][]) {
  call('CrossEntropyGrad', inputs, {}, 1, expected);
}

/** Two variables of the shapes [3] and [2,2], with moments; `changed` replaces some of the ten inputs. */
const adamW = (changed: Record<number, tf.Tensor>) => {
  const shapes = [0, 1, 2, 3].flatMap(() => [[3], [2, 2]]);
  return [...shapes.map((shape) => tf.ones(shape)), tf.scalar(1), tf.ones([9])].map((x, i) => changed[i] ?? x);
};
const shapesOfScalars = 'grad_scale must be a scalar and scalars have shape [9], but they have';
const ofVariable = (i: number, own: string) => `gradient and moments of variable ${i} must have its shape, ${own}, but`;
for (const [inputs, expected] of [
  [adamW({}), none],
  [adamW({8: tf.ones([1])}), `${shapesOfScalars} [1] and [9]`],
  [adamW({9: tf.ones([8])}), `${shapesOfScalars} [] and [8]`],
  [adamW({2: tf.ones([4])}), `${ofVariable(0, '[3]')} one has [4]`],
  [adamW({7: tf.ones([4])}), `${ofVariable(1, '[2,2]')} one has [4]`],
] as [tf.Tensor[], string][]) {
  call('AdamW', inputs, {ints: {P: 2, M: 2}}, 6, expected);
}

const words = tf.zeros([3, 16], 'int32');
const scales = tf.ones([3, 2]);
for (const [inputs, expected] of [
  [[tf.ones([2, 64]), words, scales, tf.ones([3])], none],
  [[tf.ones([2, 60]), words, scales], 'x must have shape [rows,64], but has [2,60]'],
  [[tf.ones([64]), words, scales], 'x must have shape [rows,64], but has [64]'],
  [
    [tf.ones([2, 64]), words, tf.ones([3, 3])],
    'words must have eight columns for each one of scales, [3,3], but has [3,16]',
  ],
  [[tf.ones([2, 64]), tf.zeros([16], 'int32'), tf.ones([2])], 'scales must have rank 2, but has shape [2]'],
  [[tf.ones([2, 64]), words, scales, tf.ones([2])], 'bias must have shape [3], but has [2]'],
] as [tf.Tensor[], string][]) {
  call('PackedMatVec', inputs, {ints: {NS: 1, NB: inputs.length - 3}}, 1, expected);
}
for (const [inputs, expected] of [
  [[words, scales], none],
  [[words, tf.ones([2, 3])], 'words must have eight columns for each one of scales, [2,3], but has [3,16]'],
  [[tf.scalar(0, 'int32'), tf.scalar(1)], 'words must have eight columns for each one of scales, [], but has []'],
] as [tf.Tensor[], string][]) {
  call('UnpackRows', inputs, {ints: {NS: 1}}, 1, expected);
}

const [state, spread, shape] = [tf.zeros([16], 'int32'), tf.ones([2]), labels(2, 3)];
for (const [inputs, expected] of [
  [[state, spread, shape], none],
  [[state, tf.ones([996]), shape], none],
  [[tf.zeros([4, 4], 'int32'), spread, shape], 'state must have shape [16], but has [4,4]'],
  [[state, tf.ones([3]), shape], 'spread must have shape [2] or [996], but has [3]'],
  [[state, spread, tf.scalar(2, 'int32')], 'shape must have rank 1, but has shape []'],
  [[state, spread, labels(2, -3)], 'shape must not be negative, but is [2,-3]'],
] as [tf.Tensor[], string][]) {
  call('Draw', inputs, {}, 1, expected);
}

wrongSteps(call);

console.log(JSON.stringify(calls));
