/** Wrong calls of the convolution, the norm, the loss, the linear map and the embedding. */
import * as tf from '@tensorflow/tfjs';
import {causalConv1d, causalConv1dUpdate, crossEntropy, embedding, linear, rmsNorm} from '../../../src/ops';
import type {WrongCalls} from './table';
import {bool, disposed, float, int} from './table';

export const wrongConvolutions: WrongCalls = {
  op: 'causalConv1d',
  call: (args) => causalConv1d(args as Parameters<typeof causalConv1d>[0]),
  good: () => ({x: float(2, 5, 4), weight: float(4, 3)}),
  wrong: [
    ['x', () => ({x: undefined}), 'is missing'],
    ['x', () => ({x: int(2, 5, 4)}), 'must have dtype float32, but has int32'],
    ['x', () => ({x: float(5, 4)}), 'must have rank 3, [batch, length, channels], but has shape [5,4]'],
    ['x', () => ({x: float(2, 0, 4)}), 'must not be empty, but has shape [2,0,4]'],
    ['x', () => ({x: disposed(2, 5, 4)}), 'must be a tensor in use, but has been disposed'],
    ['weight', () => ({weight: undefined}), 'is missing'],
    [
      'weight',
      () => ({weight: float(3, 4)}),
      'must have a row per channel of x, [channels, width], [4,4], but has [3,4]',
    ],
    ['weight', () => ({weight: float(4, 1, 3)}), 'must have rank 2, [channels, width], but has shape [4,1,3]'],
    ['weight', () => ({weight: float(4, 0)}), 'must not be empty, but has shape [4,0]'],
    ['weight', () => ({weight: int(4, 3)}), 'must have dtype float32, but has int32'],
    ['bias', () => ({bias: float(3)}), 'must have a value per channel, [4], but has [3]'],
    ['bias', () => ({bias: int(4)}), 'must have dtype float32, but has int32'],
    [
      'initialState',
      () => ({initialState: float(2, 3, 4)}),
      'must have shape [batch, width - 1, channels], [2,2,4], but has [2,3,4]',
    ],
    [
      'initialState',
      () => ({initialState: float(2, 4, 2)}),
      'must have shape [batch, width - 1, channels], [2,2,4], but has [2,4,2]',
    ],
    [
      'initialState',
      () => ({initialState: float(1, 2, 4)}),
      'must have shape [batch, width - 1, channels], [2,2,4], but has [1,2,4]',
    ],
    ['initialState', () => ({initialState: int(2, 2, 4)}), 'must have dtype float32, but has int32'],
    ['activation', () => ({activation: 'relu'}), `must be one of 'linear', 'silu', but is "relu"`],
    ['activation', () => ({activation: 1}), "must be one of 'linear', 'silu', but is number 1"],
    [
      'sequenceIds',
      () => ({sequenceIds: int(2, 4)}),
      'must have an id per position, [batch, length], [2,5], but has [2,4]',
    ],
    ['sequenceIds', () => ({sequenceIds: float(2, 5)}), 'must have dtype int32, but has float32'],
    [
      'unknown',
      () => ({kernel: float(4, 3)}),
      'argument kernel; expected x, weight, bias, initialState, sequenceIds, activation',
    ],
  ],
};

export const wrongConvolutionUpdates: WrongCalls = {
  op: 'causalConv1dUpdate',
  call: (args) => causalConv1dUpdate(args as Parameters<typeof causalConv1dUpdate>[0]),
  good: () => ({x: float(2, 4), state: float(2, 2, 4), weight: float(4, 3)}),
  wrong: [
    ['x', () => ({x: undefined}), 'is missing'],
    ['x', () => ({x: float(2, 1, 4)}), 'must have rank 2, [batch, channels], but has shape [2,1,4]'],
    ['x', () => ({x: bool(2, 4)}), 'must have dtype float32, but has bool'],
    ['state', () => ({state: undefined}), 'is missing'],
    [
      'state',
      () => ({state: float(2, 3, 4)}),
      'must have shape [batch, width - 1, channels], [2,2,4], but has [2,3,4]',
    ],
    [
      'state',
      () => ({state: float(2, 4, 2)}),
      'must have shape [batch, width - 1, channels], [2,2,4], but has [2,4,2]',
    ],
    ['state', () => ({state: int(2, 2, 4)}), 'must have dtype float32, but has int32'],
    [
      'weight',
      () => ({weight: float(5, 3)}),
      'must have a row per channel of x, [channels, width], [4,3], but has [5,3]',
    ],
    ['weight', () => ({weight: float(4)}), 'must have rank 2, [channels, width], but has shape [4]'],
    ['bias', () => ({bias: float(4, 1)}), 'must have a value per channel, [4], but has [4,1]'],
    ['activation', () => ({activation: 'SiLU'}), `must be one of 'linear', 'silu', but is "SiLU"`],
    [
      'unknown',
      () => ({initialState: float(2, 2, 4)}),
      'argument initialState; expected x, state, weight, bias, activation',
    ],
  ],
};

export const wrongNorms: WrongCalls = {
  op: 'rmsNorm',
  call: (args) => rmsNorm(args as Parameters<typeof rmsNorm>[0]),
  good: () => ({x: float(2, 5, 4), weight: float(4)}),
  wrong: [
    ['x', () => ({x: undefined}), 'is missing'],
    ['x', () => ({x: int(2, 4)}), 'must have dtype float32, but has int32'],
    ['x', () => ({x: 1}), 'must have rank 1 or more, [..., channels], but has shape []'],
    ['x', () => ({x: float(2, 0)}), 'must not be empty, but has shape [2,0]'],
    ['weight', () => ({weight: undefined}), 'is missing'],
    ['weight', () => ({weight: float(5)}), 'must have a value per channel of x, [4], but has [5]'],
    ['weight', () => ({weight: float(1, 4)}), 'must have rank 1, [channels], but has shape [1,4]'],
    ['weight', () => ({weight: int(4)}), 'must have dtype float32, but has int32'],
    ['residual', () => ({residual: float(2, 4, 4)}), 'must have the shape of x, [2,5,4], but has [2,4,4]'],
    ['residual', () => ({residual: float(4)}), 'must have the shape of x, [2,5,4], but has [4]'],
    ['residual', () => ({residual: int(2, 5, 4)}), 'must have dtype float32, but has int32'],
    ['epsilon', () => ({epsilon: 0}), 'must be a positive number, but is number 0'],
    ['epsilon', () => ({epsilon: -1e-5}), 'must be a positive number, but is number -0.00001'],
    ['epsilon', () => ({epsilon: NaN}), 'must be a positive number, but is number NaN'],
    ['epsilon', () => ({epsilon: '1e-5'}), 'must be a positive number, but is "1e-5"'],
    ['unknown', () => ({eps: 1e-5}), 'argument eps; expected x, weight, residual, epsilon'],
  ],
};

export const wrongCrossEntropies: WrongCalls = {
  op: 'crossEntropy',
  call: (args) => crossEntropy(args as Parameters<typeof crossEntropy>[0]),
  good: () => ({logits: float(2, 5, 7), labels: int(2, 5)}),
  wrong: [
    ['logits', () => ({logits: undefined}), 'is missing'],
    ['logits', () => ({logits: int(2, 5, 7)}), 'must have dtype float32, but has int32'],
    ['logits', () => ({logits: 1}), 'must have rank 1 or more, [..., classes], but has shape []'],
    ['logits', () => ({logits: float(2, 5, 0)}), 'must not be empty, but has shape [2,5,0]'],
    ['labels', () => ({labels: undefined}), 'is missing'],
    ['labels', () => ({labels: float(2, 5)}), 'must have dtype int32, but has float32'],
    [
      'labels',
      () => ({labels: int(2, 4)}),
      'must have the shape of logits without its last axis, [2,5], but has [2,4]',
    ],
    [
      'labels',
      () => ({labels: int(2, 5, 7)}),
      'must have the shape of logits without its last axis, [2,5], but has [2,5,7]',
    ],
    ['labels', () => ({labels: int(10)}), 'must have the shape of logits without its last axis, [2,5], but has [10]'],
    ['labels', () => ({labels: disposed(2, 5)}), 'must be a tensor in use, but has been disposed'],
    ['ignoreIndex', () => ({ignoreIndex: 0.5}), 'must be an integer, but is 0.5'],
    ['ignoreIndex', () => ({ignoreIndex: 'none'}), 'must be an integer, but is none'],
    ['unknown', () => ({targets: int(2, 5)}), 'argument targets; expected logits, labels, ignoreIndex'],
  ],
};

export const wrongLinears: WrongCalls = {
  op: 'linear',
  call: (args) => linear(args as Parameters<typeof linear>[0]),
  good: () => ({x: float(2, 5, 4), kernel: float(4, 3)}),
  wrong: [
    ['x', () => ({x: undefined}), 'is missing'],
    ['x', () => ({x: int(2, 4)}), 'must have dtype float32, but has int32'],
    ['x', () => ({x: float()}), 'must have rank 1 or more, [..., in], but has shape []'],
    ['x', () => ({x: float(0, 4)}), 'must not be empty, but has shape [0,4]'],
    ['kernel', () => ({kernel: undefined}), 'is missing'],
    ['kernel', () => ({kernel: float(3, 4)}), 'must have the width of x, 4, on axis 0, [4,4], but has [3,4]'],
    [
      'kernel',
      () => ({kernel: float(4, 3), transposeKernel: true}),
      'must have the width of x, 4, on axis 1, [4,4], but has [4,3]',
    ],
    ['kernel', () => ({kernel: float(4)}), 'must have rank 2, [in, out], but has shape [4]'],
    ['kernel', () => ({kernel: float(4, 0)}), 'must not be empty, but has shape [4,0]'],
    ['bias', () => ({bias: float(4)}), 'must have a value per output, [3], but has [4]'],
    ['bias', () => ({bias: int(3)}), 'must have dtype float32, but has int32'],
    ['transposeKernel', () => ({transposeKernel: 'no'}), 'must be true or false, but is "no"'],
    ['unknown', () => ({weight: float(4, 3)}), 'argument weight; expected x, kernel, bias, transposeKernel'],
  ],
};

export const wrongEmbeddings: WrongCalls = {
  op: 'embedding',
  call: (args) => embedding(args as Parameters<typeof embedding>[0]),
  good: () => ({ids: int(2, 5), weight: float(7, 3)}),
  wrong: [
    ['ids', () => ({ids: undefined}), 'is missing'],
    ['ids', () => ({ids: float(2, 5)}), 'must have dtype int32, but has float32'],
    ['ids', () => ({ids: int(2, 0)}), 'must not be empty, but has shape [2,0]'],
    ['ids', () => ({ids: 'text'}), 'must be a tensor or an array of numbers, but is "text"'],
    ['weight', () => ({weight: undefined}), 'is missing'],
    ['weight', () => ({weight: float(7)}), 'must have rank 2, [rows, channels], but has shape [7]'],
    ['weight', () => ({weight: int(7, 3)}), 'must have dtype float32, but has int32'],
    ['weight', () => ({weight: float(0, 3)}), 'must not be empty, but has shape [0,3]'],
    ['weight', () => ({weight: tf.zeros([7, 3, 1])}), 'must have rank 2, [rows, channels], but has shape [7,3,1]'],
    ['unknown', () => ({inputDim: 7}), 'argument inputDim; expected ids, weight'],
  ],
};
