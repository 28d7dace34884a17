/** Wrong calls of Mamba-2's ops: the scan, its single step and the gated norm. What all ops share is in the tables of the others. */
import {gatedRmsNorm, ssd, ssdStep} from '../../../src/ops';
import type {WrongCalls} from './table';
import {bool, disposed, float, int} from './table';

const wrongLimits: WrongCalls['wrong'] = [
  ['deltaLimit', () => ({deltaLimit: 0.1}), 'must be two numbers [min, max], min ≤ max, but is 0.1'],
  ['deltaLimit', () => ({deltaLimit: [0.1]}), 'must be two numbers [min, max], min ≤ max, but is [0.1]'],
  ['deltaLimit', () => ({deltaLimit: [0.5, 0.1]}), 'must be two numbers [min, max], min ≤ max, but is [0.5,0.1]'],
  ['deltaLimit', () => ({deltaLimit: [0, NaN]}), 'must be two numbers [min, max], min ≤ max, but is [0,NaN]'],
  ['deltaLimit', () => ({deltaLimit: ['0', 1]}), 'must be two numbers [min, max], min ≤ max, but is [0,1]'],
];

export const wrongSsds: WrongCalls = {
  op: 'ssd',
  call: (args) => ssd(args as Parameters<typeof ssd>[0]),
  good: () => ({
    ...{u: float(2, 5, 4, 6), delta: float(2, 5, 4), A: float(4)},
    ...{B: float(2, 5, 2, 3), C: float(2, 5, 2, 3), deltaLimit: [0, Infinity]},
  }),
  wrong: [
    ['u', () => ({u: undefined}), 'is missing'],
    ['u', () => ({u: int(2, 5, 4, 6)}), 'must have dtype float32, but has int32'],
    ['u', () => ({u: float(2, 5, 24)}), 'must have rank 4, [batch, length, heads, headDim], but has shape [2,5,24]'],
    ['u', () => ({u: float(2, 0, 4, 6)}), 'must not be empty, but has shape [2,0,4,6]'],
    ['delta', () => ({delta: undefined}), 'is missing'],
    ['delta', () => ({delta: float(2, 5, 3)}), 'must have a value per position and head, [2,5,4], but has [2,5,3]'],
    [
      'delta',
      () => ({delta: float(2, 5, 4, 6)}),
      'must have a value per position and head, [2,5,4], but has [2,5,4,6]',
    ],
    ['A', () => ({A: undefined}), 'is missing'],
    ['A', () => ({A: float(3)}), 'must have a value per head, [4], but has [3]'],
    ['A', () => ({A: float(4, 3)}), 'must have a value per head, [4], but has [4,3]'],
    ['B', () => ({B: undefined}), 'is missing'],
    ['B', () => ({B: bool(2, 5, 2, 3)}), 'must have dtype float32, but has bool'],
    ['B', () => ({B: float(2, 5, 2, 0)}), 'must not be empty, but has shape [2,5,2,0]'],
    ['B', () => ({B: float(2, 4, 3)}), 'must have a row of dState values per position, [2,5,3], but has [2,4,3]'],
    ['B', () => ({B: float(4, 3)}), 'must have shape [2,5,3] or [2,5,groups,3], but has [4,3]'],
    ['B', () => ({B: float(2, 5, 3, 3)}), 'must have a number of groups that divides the 4 heads, but has 3'],
    ['B', () => ({B: float(1, 5, 2, 3)}), 'must have shape [..., groups, dState], [2,5,2,3], but has [1,5,2,3]'],
    ['C', () => ({C: undefined}), 'is missing'],
    ['C', () => ({C: float(2, 5, 1, 3)}), 'must have the shape of B, [2,5,2,3], but has [2,5,1,3]'],
    ['C', () => ({C: float(2, 5, 3)}), 'must have the shape of B, [2,5,2,3], but has [2,5,3]'],
    ['C', () => ({C: disposed(2, 5, 2, 3)}), 'must be a tensor in use, but has been disposed'],
    ['D', () => ({D: float(6)}), 'must have a value per head, [4], but has [6]'],
    ['D', () => ({D: float(4, 1)}), 'must have a value per channel, [4,6], but has [4,1]'],
    ['D', () => ({D: float(1, 4, 6)}), 'must have a value per head, [4], but has [1,4,6]'],
    ['z', () => ({z: float(2, 5, 4)}), 'must have the shape of u, [2,5,4,6], but has [2,5,4]'],
    ['deltaBias', () => ({deltaBias: float(6)}), 'must have a value per head, [4], but has [6]'],
    [
      'initialState',
      () => ({initialState: float(2, 4, 3, 6)}),
      'must have shape [batch, heads, headDim, dState], [2,4,6,3], but has [2,4,3,6]',
    ],
    ['sequenceIds', () => ({sequenceIds: int(5)}), 'must have an id per position, [batch, length], [2,5], but has [5]'],
    ['sequenceIds', () => ({sequenceIds: float(2, 5)}), 'must have dtype int32, but has float32'],
    ['deltaSoftplus', () => ({deltaSoftplus: 'yes'}), 'must be true or false, but is "yes"'],
    ...wrongLimits,
    [
      'unknown',
      () => ({dtLimit: [0, 1]}),
      'argument dtLimit; expected u, delta, A, B, C, D, z, deltaBias, initialState, sequenceIds, deltaSoftplus, deltaLimit',
    ],
  ],
};

export const wrongSsdSteps: WrongCalls = {
  op: 'ssdStep',
  call: (args) => ssdStep(args as Parameters<typeof ssdStep>[0]),
  good: () => ({
    ...{state: float(2, 4, 6, 3), u: float(2, 4, 6), delta: float(2, 4), A: float(4)},
    ...{B: float(2, 3), C: float(2, 3), D: float(4, 6)},
  }),
  wrong: [
    ['state', () => ({state: undefined}), 'is missing'],
    [
      'state',
      () => ({state: float(2, 24, 3)}),
      'must have rank 4, [batch, heads, headDim, dState], but has shape [2,24,3]',
    ],
    ['state', () => ({state: float(2, 4, 6, 0)}), 'must not be empty, but has shape [2,4,6,0]'],
    ['u', () => ({u: float(2, 1, 4, 6)}), 'must have shape [batch, heads, headDim], [2,4,6], but has [2,1,4,6]'],
    ['delta', () => ({delta: float(2, 4, 6)}), 'must have a value per head, [2,4], but has [2,4,6]'],
    ['A', () => ({A: float(4, 3)}), 'must have a value per head, [4], but has [4,3]'],
    ['B', () => ({B: float(2, 4)}), 'must have a row of dState values per position, [2,3], but has [2,4]'],
    ['B', () => ({B: float(2, 3, 3)}), 'must have a number of groups that divides the 4 heads, but has 3'],
    ['C', () => ({C: float(2, 1, 3)}), 'must have the shape of B, [2,3], but has [2,1,3]'],
    ['D', () => ({D: float(6)}), 'must have a value per head, [4], but has [6]'],
    ['z', () => ({z: float(2, 4)}), 'must have the shape of u, [2,4,6], but has [2,4]'],
    ['deltaBias', () => ({deltaBias: float(2, 4)}), 'must have a value per head, [4], but has [2,4]'],
    ['deltaSoftplus', () => ({deltaSoftplus: 0}), 'must be true or false, but is number 0'],
    ...wrongLimits,
    [
      'unknown',
      () => ({initialState: float(2, 4, 6, 3)}),
      'argument initialState; expected state, u, delta, A, B, C, D, z, deltaBias, deltaSoftplus, deltaLimit',
    ],
  ],
};

export const wrongGatedNorms: WrongCalls = {
  op: 'gatedRmsNorm',
  call: (args) => gatedRmsNorm(args as Parameters<typeof gatedRmsNorm>[0]),
  good: () => ({x: float(2, 6), weight: float(6), z: float(2, 6), groups: 3}),
  wrong: [
    ['x', () => ({x: undefined}), 'is missing'],
    ['x', () => ({x: 3}), 'must have rank 1 or more, [..., channels], but has shape []'],
    ['x', () => ({x: float(0, 6)}), 'must not be empty, but has shape [0,6]'],
    ['weight', () => ({weight: undefined}), 'is missing'],
    ['weight', () => ({weight: float(2)}), 'must have a value per channel of x, [6], but has [2]'],
    ['weight', () => ({weight: float(2, 6)}), 'must have rank 1, [channels], but has shape [2,6]'],
    ['z', () => ({z: float(6)}), 'must have the shape of x, [2,6], but has [6]'],
    ['groups', () => ({groups: 4}), 'must be a whole number that divides the 6 channels, but is 4'],
    ['groups', () => ({groups: 1.5}), 'must be a whole number that divides the 6 channels, but is 1.5'],
    ['groups', () => ({groups: 0}), 'must be a positive number, but is number 0'],
    ['normBeforeGate', () => ({normBeforeGate: 1}), 'must be true or false, but is number 1'],
    ['epsilon', () => ({epsilon: 0}), 'must be a positive number, but is number 0'],
    ['unknown', () => ({gate: float(2, 6)}), 'argument gate; expected x, weight, z, groups, normBeforeGate, epsilon'],
  ],
};
