/** The causal convolution on WebGL2: a fragment per output; the weight's gradient in stages over the rows. */
import type * as tf from '@tensorflow/tfjs';
import type {Kernel, Pass} from '../../backends/webgl';
import {runPasses} from '../../backends/webgl';
import {columnSums, TERMS} from '../../backends/webglSums';
import {byName, registerArrayKernel} from '../kernel';
import type {ConvAttrs, ConvGradInput, ConvInput} from './kernels';
import {convInputs} from './kernels';

const sizes = ['len', 'channels', 'width'] as const;

/** Whether positions `from` and `to` of row b, from ≤ to, are of one document. What is before the row is of its first. */
const isSame = `
bool isSame(int b, int from, int to) {
#if HAS_ids
  for (int t = max(from, 0); t < to; t++) if (get_ids(b * len + t) != get_ids(b * len + t + 1)) return false;
#endif
  return true;
}`;

/** The sequence with its past in front: time counts from -(K-1). */
const extended = `${isSame}
float extended(int b, int t, int d) {
  if (t >= 0) return get_x((b * len + t) * channels + d);
#if HAS_initialState
  return get_initialState((b * (width - 1) + width - 1 + t) * channels + d);
#else
  return 0.;
#endif
}`;

/** The sum of position t before the activation. */
const sumAt = `${extended}
float sumAt(int b, int t, int d) {
  float sum = 0.;
#if HAS_bias
  sum = get_bias(d);
#endif
  for (int k = 0; k < width; k++) {
    if (isSame(b, t - width + 1 + k, t)) sum += get_weight(d * width + k) * extended(b, t - width + 1 + k, d);
  }
  return sum;
}`;

/** Where an element of a tensor [B, rows, D] is. */
const place = (rows: string) => `
  int d = index % channels;
  int t = (index / channels) % (${rows});
  int b = index / channels / (${rows});`;

const outputPass: Pass = {
  name: 'CausalConv1d',
  inputs: ['x', 'weight'],
  optional: ['bias', 'initialState', 'ids'],
  outputs: 1,
  ints: sizes,
  declarations: sumAt,
  main: `${place('len')}
  float sum = sumAt(b, t, d);
  out_0 = SILU == 1 ? silu(sum) : sum;`,
};

const statePass: Pass = {
  name: 'CausalConv1d (state)',
  inputs: ['x'],
  optional: ['initialState', 'ids'],
  outputs: 1,
  ints: sizes,
  declarations: extended,
  main: `${place('width - 1')}
  int time = len - width + 1 + t;
  out_0 = isSame(b, time, len - 1) ? extended(b, time, d) : 0.;`,
};

/** The gradient of the sums before the activation. */
const sumGradPass: Pass = {
  name: 'CausalConv1dGrad (sums)',
  inputs: ['x', 'weight', 'dy'],
  optional: ['bias', 'initialState', 'ids'],
  outputs: 1,
  ints: sizes,
  declarations: sumAt,
  main: `${place('len')}
  out_0 = SILU == 1 ? get_dy(index) * siluSlope(sumAt(b, t, d)) : get_dy(index);`,
};

/** The gradient of the extended sequence: of x (PAST 0), or of what came before it (PAST 1). */
const inputGradPass: Pass = {
  name: 'CausalConv1dGrad (inputs)',
  inputs: ['weight', 'dSum'],
  optional: ['dFinalState', 'ids'],
  outputs: 1,
  ints: sizes,
  declarations: isSame,
  main: `${place('PAST == 1 ? width - 1 : len')}
  int time = PAST == 1 ? t - width + 1 : t;
  float sum = 0.;
#if HAS_dFinalState
  int fromEnd = time - (len - width + 1);
  if (fromEnd >= 0 && isSame(b, time, len - 1)) sum = get_dFinalState((b * (width - 1) + fromEnd) * channels + d);
#endif
  for (int k = 0; k < width; k++) {
    int at = time + width - 1 - k;
    if (at >= 0 && at < len && isSame(b, time, at)) sum += get_weight(d * width + k) * get_dSum((b * len + at) * channels + d);
  }
  out_0 = sum;`,
};

/** What each row gives to the gradient of the weight, added up over as many rows as a stage takes: [stages, D·K]. */
const weightGradPass: Pass = {
  name: 'CausalConv1dGrad (weight)',
  inputs: ['x', 'dSum'],
  optional: ['initialState', 'ids'],
  outputs: 1,
  ints: [...sizes, 'rows', 'terms'],
  declarations: extended,
  main: `
  int column = index % (channels * width);
  int d = column / width;
  int k = column % width;
  int first = (index / (channels * width)) * terms;
  float sum = 0.;
  for (int row = first; row < min(first + terms, rows); row++) {
    int b = row / len;
    int t = row % len;
    if (isSame(b, t - width + 1 + k, t)) sum += get_dSum(row * channels + d) * extended(b, t - width + 1 + k, d);
  }
  out_0 = sum;`,
};

type Operands = Record<'x' | 'weight', tf.TensorInfo> & {[K in ConvGradInput]?: tf.TensorInfo};

const sizeOf = ({shape}: tf.TensorInfo) => shape.reduce((a, b) => a * b, 1);

function settings({x, weight}: Operands) {
  const [batch, len, channels] = x.shape;
  const width = weight.shape[1];
  return {batch, ints: {len, channels, width}, stateShape: [batch, width - 1, channels]};
}

function forward(
  kernel: Kernel,
  {x, weight, bias, initialState, sequenceIds: ids}: Operands,
  SILU: boolean,
): tf.TensorInfo[] {
  const {ints, stateShape} = settings({x, weight});
  // A width of 1 has no past, and a state without elements.
  const inputs = {x, weight, bias, initialState: ints.width > 1 ? initialState : undefined, ids};
  const y = kernel.output(x.shape);
  const finalState = kernel.output(stateShape);
  kernel.draw(outputPass, {inputs, ints, flags: {SILU}, count: sizeOf(x), outputs: [y]});
  kernel.draw(statePass, {
    inputs: {x, initialState: inputs.initialState, ids},
    ints,
    count: sizeOf(finalState),
    outputs: [finalState],
  });
  return [y, finalState];
}

function backward(kernel: Kernel, operands: Operands, SILU: boolean): {[K in ConvInput]?: tf.TensorInfo} {
  const {x, weight, bias, dy, dFinalState, sequenceIds: ids} = operands;
  const {batch, ints, stateShape} = settings(operands);
  const {len, channels, width} = ints;
  const initialState = width > 1 ? operands.initialState : undefined;
  const dSum = kernel.temporary(x.shape);
  const inputs = {x, weight, bias, initialState, dy, ids};
  kernel.draw(sumGradPass, {inputs, ints, flags: {SILU}, count: sizeOf(x), outputs: [dSum]});

  const gradients = {x: kernel.output(x.shape), weight: kernel.output(weight.shape)};
  const back = {weight, dSum, dFinalState: width > 1 ? dFinalState : undefined, ids};
  kernel.draw(inputGradPass, {inputs: back, ints, flags: {PAST: 0}, count: sizeOf(x), outputs: [gradients.x]});

  const rows = batch * len;
  const terms = Math.min(rows, TERMS);
  const stages = Math.ceil(rows / terms);
  const partial = kernel.temporary([stages * channels * width]);
  kernel.draw(weightGradPass, {
    inputs: {x, dSum, initialState, ids},
    ints: {...ints, rows, terms},
    count: stages * channels * width,
    outputs: [partial],
  });
  columnSums(kernel, {a: partial, rows: stages, columns: channels * width, output: gradients.weight});

  const result: {[K in ConvInput]?: tf.TensorInfo} = gradients;
  if (bias) {
    result.bias = kernel.output(bias.shape);
    columnSums(kernel, {a: dSum, rows, columns: channels, output: result.bias});
  }
  if (operands.initialState) {
    result.initialState = kernel.output(stateShape);
    const count = sizeOf(result.initialState);
    kernel.draw(inputGradPass, {inputs: back, ints, flags: {PAST: 1}, count, outputs: [result.initialState]});
  }
  return result;
}

const isSilu = (attrs: object) => (attrs as ConvAttrs).activation === 'silu';

registerArrayKernel('CausalConv1d', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('causalConv1d', backend, (kernel) =>
    forward(kernel, byName(inputs, attrs.present) as Operands, isSilu(attrs)),
  ),
);

registerArrayKernel('CausalConv1dGrad', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('the gradient of causalConv1d', backend, (kernel) => {
    const operands = byName(inputs, attrs.present) as Operands;
    const gradients = backward(kernel, operands, isSilu(attrs));
    return convInputs.filter((name) => operands[name]).map((name) => gradients[name]!);
  }),
);
