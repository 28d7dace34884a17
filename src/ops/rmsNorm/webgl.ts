/** The root-mean-square norm on WebGL2: one pass over the rows for their sums, one over the elements. */
import type * as tf from '@tensorflow/tfjs';
import type {Pass} from '../../backends/webgl';
import {runPasses} from '../../backends/webgl';
import {columnSums} from '../../backends/webglSums';
import {byName, registerArrayKernel} from '../kernel';
import type {RmsNormGradInput, RmsNormInput} from './kernels';

const sumPass: Pass = {
  name: 'RmsNorm (residual)',
  inputs: ['x', 'residual'],
  outputs: 1,
  main: `out_0 = get_x(index) + get_residual(index);`,
};

/** 1/√(mean r² + ε) of each row. Sums are in parts of 64, so that their errors stay small. */
const inversePass: Pass = {
  name: 'RmsNorm (rows)',
  inputs: ['r'],
  outputs: 1,
  ints: ['channels'],
  floats: ['epsilon'],
  main: `
  float total = 0.;
  for (int from = 0; from < channels; from += 64) {
    float sum = 0.;
    for (int d = from; d < min(from + 64, channels); d++) {
      float r = get_r(index * channels + d);
      sum += r * r;
    }
    total += sum;
  }
  out_0 = 1. / sqrt(total / float(channels) + epsilon);`,
};

const outputPass: Pass = {
  name: 'RmsNorm',
  inputs: ['r', 'weight', 'inverse'],
  outputs: 1,
  ints: ['channels'],
  main: `out_0 = get_r(index) * get_inverse(index / channels) * get_weight(index % channels);`,
};

/** What the norm takes back along r: mean(weight·dy·r)/(mean r² + ε) of each row. */
const pullPass: Pass = {
  name: 'RmsNormGrad (rows)',
  inputs: ['r', 'weight', 'dy', 'inverse'],
  outputs: 1,
  ints: ['channels'],
  main: `
  float total = 0.;
  for (int from = 0; from < channels; from += 64) {
    float sum = 0.;
    for (int d = from; d < min(from + 64, channels); d++) {
      int at = index * channels + d;
      sum += get_weight(d) * get_dy(at) * get_r(at);
    }
    total += sum;
  }
  float inverse = get_inverse(index);
  out_0 = total / float(channels) * inverse * inverse;`,
};

const gradPass: Pass = {
  name: 'RmsNormGrad',
  inputs: ['r', 'weight', 'dy', 'inverse', 'pull'],
  optional: ['dResidual'],
  outputs: 2,
  ints: ['channels'],
  floats: ['epsilon'],
  main: `
  int row = index / channels;
  float inverse = get_inverse(row);
  float r = get_r(index);
  float g = get_weight(index % channels) * get_dy(index);
  // A single channel is all along r: what the norm leaves of its gradient is due to ε alone, and would drown in the difference.
  float dr = channels == 1 ? g * epsilon * inverse * inverse * inverse : (g - r * get_pull(row)) * inverse;
#if HAS_dResidual
  dr += get_dResidual(index);
#endif
  out_0 = dr;
  out_1 = get_dy(index) * r * inverse;`,
};

function sizes(r: tf.TensorInfo) {
  const channels = r.shape[r.shape.length - 1];
  const count = r.shape.reduce((a, b) => a * b, 1);
  return {ints: {channels}, count, rows: count / channels};
}

registerArrayKernel('RmsNorm', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('rmsNorm', backend, (kernel) => {
    const {x, weight, residual} = byName<RmsNormInput, tf.TensorInfo>(inputs, attrs.present);
    const {ints, count, rows} = sizes(x!);
    const floats = {epsilon: attrs.epsilon as number};
    let r = x!;
    if (residual) {
      r = kernel.output(x!.shape);
      kernel.draw(sumPass, {inputs: {x, residual}, count, outputs: [r]});
    }
    const inverse = kernel.temporary([rows]);
    kernel.draw(inversePass, {inputs: {r}, ints, floats, count: rows, outputs: [inverse]});
    const y = kernel.output(r.shape);
    kernel.draw(outputPass, {inputs: {r, weight, inverse}, ints, count, outputs: [y]});
    return residual ? [y, r] : [y];
  }),
);

registerArrayKernel('RmsNormGrad', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('the gradient of rmsNorm', backend, (kernel) => {
    const {r, weight, dy, dResidual} = byName<RmsNormGradInput, tf.TensorInfo>(inputs, attrs.present);
    const {ints, count, rows} = sizes(r!);
    const floats = {epsilon: attrs.epsilon as number};
    const inverse = kernel.temporary([rows]);
    kernel.draw(inversePass, {inputs: {r}, ints, floats, count: rows, outputs: [inverse]});
    const pull = kernel.temporary([rows]);
    kernel.draw(pullPass, {inputs: {r, weight, dy, inverse}, ints, count: rows, outputs: [pull]});
    const dr = kernel.output(r!.shape);
    const shares = kernel.temporary(r!.shape);
    const all = {r, weight, dy, inverse, pull, dResidual};
    kernel.draw(gradPass, {inputs: all, ints, floats, count, outputs: [dr, shares]});
    const dWeight = kernel.output(weight!.shape);
    columnSums(kernel, {a: shares, rows, columns: ints.channels, output: dWeight});
    return [dr, dWeight];
  }),
);
