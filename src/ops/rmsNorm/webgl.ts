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

/**
 * For each row a factor, 1 unless squares leave float32, and 1/√(mean (factor·r)² + factor²·ε). Sums are in parts of 64, so that their
 * errors stay small.
 */
const inversePass: Pass = {
  name: 'RmsNorm (rows)',
  inputs: ['r'],
  outputs: 1,
  texels: true,
  ints: ['channels'],
  floats: ['epsilon'],
  declarations: `
const float LARGE = 1208925819614629174706176.; // 2^80
float squaresOf(int row, float factor) {
  float total = 0.;
  for (int from = 0; from < channels; from += 64) {
    float sum = 0.;
    for (int d = from; d < min(from + 64, channels); d++) {
      float r = factor * get_r(row * channels + d);
      sum += r * r;
    }
    total += sum;
  }
  return total;
}`,
  main: `
  float factor = 1.;
  float squares = squaresOf(index, factor);
  if (!(squares < 3e38 && squares / float(channels) + epsilon > 1e-30)) {
    factor = squares > 1. ? 1. / LARGE : LARGE;
    squares = squaresOf(index, factor);
  }
  out_0 = vec4(factor, 1. / sqrt(squares / float(channels) + epsilon * factor * factor), 0., 0.);`,
};

const outputPass: Pass = {
  name: 'RmsNorm',
  inputs: ['r', 'weight', 'inverse4'],
  outputs: 1,
  ints: ['channels'],
  main: `
  vec4 inverse = get_inverse4(index / channels);
  out_0 = inverse.x * get_r(index) * inverse.y * get_weight(index % channels);`,
};

/** What the norm takes back along factor·r: mean(weight·dy·factor·r)/(mean (factor·r)² + factor²·ε) of each row. */
const pullPass: Pass = {
  name: 'RmsNormGrad (rows)',
  inputs: ['r', 'weight', 'dy', 'inverse4'],
  outputs: 1,
  ints: ['channels'],
  main: `
  vec4 inverse = get_inverse4(index);
  float total = 0.;
  for (int from = 0; from < channels; from += 64) {
    float sum = 0.;
    for (int d = from; d < min(from + 64, channels); d++) {
      int at = index * channels + d;
      sum += get_weight(d) * get_dy(at) * (inverse.x * get_r(at));
    }
    total += sum;
  }
  out_0 = total / float(channels) * inverse.y * inverse.y;`,
};

const gradPass: Pass = {
  name: 'RmsNormGrad',
  inputs: ['r', 'weight', 'dy', 'inverse4', 'pull'],
  optional: ['dResidual'],
  outputs: 2,
  ints: ['channels'],
  floats: ['epsilon'],
  main: `
  int row = index / channels;
  vec4 row4 = get_inverse4(row);
  float factor = row4.x;
  float inverse = row4.y;
  float r = factor * get_r(index);
  float g = get_weight(index % channels) * get_dy(index);
  // A single channel is all along r: what the norm leaves of its gradient is due to ε alone, and would drown in the difference.
  float dr = channels == 1 ? g * (epsilon * factor * factor) * inverse * inverse : g - r * get_pull(row);
  dr *= inverse * factor;
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
    const inverse4 = kernel.texels(rows);
    kernel.draw(inversePass, {inputs: {r}, ints, floats, count: rows, outputs: [inverse4]});
    const y = kernel.output(r.shape);
    kernel.draw(outputPass, {inputs: {r, weight, inverse4}, ints, count, outputs: [y]});
    return residual ? [y, r] : [y];
  }),
);

registerArrayKernel('RmsNormGrad', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('the gradient of rmsNorm', backend, (kernel) => {
    const {r, weight, dy, dResidual} = byName<RmsNormGradInput, tf.TensorInfo>(inputs, attrs.present);
    const {ints, count, rows} = sizes(r!);
    const floats = {epsilon: attrs.epsilon as number};
    const inverse4 = kernel.texels(rows);
    kernel.draw(inversePass, {inputs: {r}, ints, floats, count: rows, outputs: [inverse4]});
    const pull = kernel.temporary([rows]);
    kernel.draw(pullPass, {inputs: {r, weight, dy, inverse4}, ints, count: rows, outputs: [pull]});
    const dr = kernel.output(r!.shape);
    const shares = kernel.temporary(r!.shape);
    const all = {r, weight, dy, inverse4, pull, dResidual};
    kernel.draw(gradPass, {inputs: all, ints, floats, count, outputs: [dr, shares]});
    const dWeight = kernel.output(weight!.shape);
    columnSums(kernel, {a: shares, rows, columns: ints.channels, output: dWeight});
    return [dr, dWeight];
  }),
);
