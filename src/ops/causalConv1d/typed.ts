/**
 * The causal convolution over typed arrays, for `cpu` and `wasm`: rows of channels in memory order, K of them alive at a time.
 * Sums over batch and time are float64. Packed documents are taken one after the other, each as if it were alone.
 */
import type {Operand} from '../../backends/typedArrays';
import {registerTypedArrayKernel} from '../../backends/typedArrays';
import type {Document} from '../documents';
import {documentsOf} from '../documents';
import type {PresentAttr} from '../kernel';
import {byName} from '../kernel';
import {sigmoid, siluSlope} from '../scalar';
import type {ConvAttrs, ConvGradInput, ConvInput} from './kernels';
import {convInputs} from './kernels';
import {convShape, convGradShape} from './shapes';

type Operands = Record<'x' | 'weight', Operand> & {[K in ConvGradInput]?: Operand};

/** Writes a document of batch row `b` with its K-1 past inputs in front, [K-1+length,D]. */
function extend({x, weight, initialState}: Operands, b: number, {begin, end}: Document, extended: Float32Array): void {
  const [, length, channels] = x.shape;
  const past = (weight.shape[1] - 1) * channels;
  if (begin === 0 && initialState) {
    extended.set(initialState.values.subarray(b * past, (b + 1) * past));
  } else {
    extended.fill(0, 0, past);
  }
  extended.set(x.values.subarray((b * length + begin) * channels, (b * length + end) * channels), past);
}

/** [D,K] → [K,D], so that the inner loop over channels reads rows. */
function byColumn({shape: [channels, width], values}: Operand): Float32Array {
  const columns = new Float32Array(values.length);
  for (let d = 0; d < channels; d++) {
    for (let k = 0; k < width; k++) {
      columns[k * channels + d] = values[d * width + k];
    }
  }
  return columns;
}

/** The sums of position t before the activation, into `sums` [D]. */
function sumRow(
  extended: Float32Array,
  columns: Float32Array,
  bias: Float32Array | undefined,
  t: number,
  sums: Float64Array,
): void {
  const channels = sums.length;
  if (bias) {
    sums.set(bias);
  } else {
    sums.fill(0);
  }
  for (let k = 0, column = 0; column < columns.length; k++, column += channels) {
    const row = (t + k) * channels;
    for (let d = 0; d < channels; d++) {
      sums[d] += columns[column + d] * extended[row + d];
    }
  }
}

function forward(operands: Operands, [y, finalState]: Operand[], activation: ConvAttrs['activation']): void {
  const {x, weight, bias, sequenceIds} = operands;
  const [batch, length, channels] = x.shape;
  const past = (weight.shape[1] - 1) * channels;
  const columns = byColumn(weight);
  const extended = new Float32Array(past + length * channels);
  const sums = new Float64Array(channels);
  for (let b = 0; b < batch; b++) {
    for (const document of documentsOf(sequenceIds, b, length)) {
      const {begin, end} = document;
      extend(operands, b, document, extended);
      for (let t = begin; t < end; t++) {
        sumRow(extended, columns, bias?.values, t - begin, sums);
        const row = (b * length + t) * channels;
        for (let d = 0; d < channels; d++) {
          y.values[row + d] = activation === 'silu' ? sums[d] * sigmoid(sums[d]) : sums[d];
        }
      }
      if (end === length) {
        const last = (end - begin) * channels;
        finalState.values.set(extended.subarray(last, last + past), b * past);
      }
    }
  }
}

function backward(
  operands: Operands & Record<'dy' | 'dFinalState', Operand>,
  gradients: {[K in ConvInput]?: Operand},
  activation: ConvAttrs['activation'],
): void {
  const {x, weight, bias, dy, dFinalState, sequenceIds} = operands;
  const [batch, length, channels] = x.shape;
  const width = weight.shape[1];
  const past = (width - 1) * channels;
  const columns = byColumn(weight);
  const extended = new Float32Array(past + length * channels);
  const dExtended = new Float32Array(extended.length);
  const sums = new Float64Array(channels);
  const dColumns = new Float64Array(width * channels);
  const dBias = new Float64Array(channels);
  for (let b = 0; b < batch; b++) {
    for (const document of documentsOf(sequenceIds, b, length)) {
      const {begin, end} = document;
      const size = (end - begin) * channels;
      extend(operands, b, document, extended);
      dExtended.fill(0, 0, past + size);
      if (end === length) dExtended.set(dFinalState.values.subarray(b * past, (b + 1) * past), size);
      for (let t = begin; t < end; t++) {
        const row = (b * length + t) * channels;
        if (activation === 'silu') {
          sumRow(extended, columns, bias?.values, t - begin, sums);
        }
        for (let d = 0; d < channels; d++) {
          sums[d] = dy.values[row + d] * (activation === 'silu' ? siluSlope(sums[d]) : 1); // now the gradient of the sum
          dBias[d] += sums[d];
        }
        for (let k = 0; k < width; k++) {
          const from = (t - begin + k) * channels;
          for (let d = 0; d < channels; d++) {
            dExtended[from + d] += columns[k * channels + d] * sums[d];
            dColumns[k * channels + d] += extended[from + d] * sums[d];
          }
        }
      }
      if (begin === 0) gradients.initialState?.values.set(dExtended.subarray(0, past), b * past);
      gradients.x!.values.set(dExtended.subarray(past, past + size), (b * length + begin) * channels);
    }
  }
  for (let d = 0; d < channels; d++) {
    for (let k = 0; k < width; k++) {
      gradients.weight!.values[d * width + k] = dColumns[k * channels + d];
    }
  }
  gradients.bias?.values.set(dBias);
}

registerTypedArrayKernel({
  ...convShape,
  compute: (inputs, outputs, {present, activation}: ConvAttrs & PresentAttr) =>
    forward(byName(inputs, present) as Operands, outputs, activation),
});

registerTypedArrayKernel({
  ...convGradShape,
  compute: (inputs, outputs, {present, activation}: ConvAttrs & PresentAttr) =>
    backward(
      byName(inputs, present) as Operands & Record<'dy' | 'dFinalState', Operand>,
      byName(
        outputs,
        convInputs.filter((name) => present.includes(name)),
      ),
      activation,
    ),
});
