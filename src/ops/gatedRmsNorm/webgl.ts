/** The gated norm on WebGL2: one pass over the groups of the rows for their sums, one over the elements. */
import type * as tf from '@tensorflow/tfjs';
import type {Pass} from '../../backends/webgl';
import {runPasses} from '../../backends/webgl';
import {columnSums} from '../../backends/webglSums';
import {byName, registerArrayKernel} from '../kernel';
import type {GatedRmsNormGradInput, GatedRmsNormInput} from './kernels';

/** What is normed, and what the gradient of y is before it meets the norm. */
const normed = `
float normed(int i) {
#if HAS_z && !NORM_FIRST
  return get_x(i) * silu(get_z(i));
#else
  return get_x(i);
#endif
}`;
const gradient = `
float gradient(int i) {
#if HAS_z && NORM_FIRST
  return get_dy(i) * silu(get_z(i));
#else
  return get_dy(i);
#endif
}`;

/** Σ of `term` over a group of a row, in parts of 64, so that errors stay small. */
const groupSum = (term: string) => `
  float total = 0.;
  for (int part = 0; part < width; part += 64) {
    float sum = 0.;
    for (int k = part; k < min(part + 64, width); k++) {
      int i = index * width + k;
      sum += ${term};
    }
    total += sum;
  }`;

/** 1/√(mean r² + ε) of each group of a row. */
const inversePass: Pass = {
  name: 'GatedRmsNorm (rows)',
  inputs: ['x'],
  optional: ['z'],
  outputs: 1,
  ints: ['width'],
  floats: ['epsilon'],
  declarations: normed,
  main: `${groupSum('normed(i) * normed(i)')}
  out_0 = 1. / sqrt(total / float(width) + epsilon);`,
};

const outputPass: Pass = {
  name: 'GatedRmsNorm',
  inputs: ['x', 'weight', 'inverse'],
  optional: ['z'],
  outputs: 1,
  ints: ['width', 'channels'],
  declarations: normed,
  main: `
  float y = normed(index) * get_inverse(index / width) * get_weight(index % channels);
#if HAS_z && NORM_FIRST
  y *= silu(get_z(index));
#endif
  out_0 = y;`,
};

/** What the norm takes back along r: mean(weight·g·r)/(mean r² + ε) of each group of a row. */
const pullPass: Pass = {
  name: 'GatedRmsNormGrad (rows)',
  inputs: ['x', 'weight', 'dy', 'inverse'],
  optional: ['z'],
  outputs: 1,
  ints: ['width', 'channels'],
  declarations: normed + gradient,
  main: `${groupSum('get_weight(i % channels) * gradient(i) * normed(i)')}
  float inverse = get_inverse(index);
  out_0 = total / float(width) * inverse * inverse;`,
};

/** The gradients of x and z, and what each element gives to that of the weight. */
const gradPass: Pass = {
  name: 'GatedRmsNormGrad',
  inputs: ['x', 'weight', 'dy', 'inverse', 'pull'],
  optional: ['z'],
  outputs: 3,
  ints: ['width', 'channels'],
  floats: ['epsilon'],
  declarations: normed + gradient,
  main: `
  int row = index / width;
  float inverse = get_inverse(row);
  float r = normed(index);
  float weight = get_weight(index % channels);
  float g = weight * gradient(index);
  // A single channel is all along r: what the norm leaves of its gradient is due to ε alone, and would drown in the difference.
  float dr = width == 1 ? g * epsilon * inverse * inverse * inverse : (g - r * get_pull(row)) * inverse;
  out_1 = gradient(index) * r * inverse;
#if HAS_z && NORM_FIRST
  out_0 = dr;
  out_2 = get_dy(index) * r * inverse * weight * siluSlope(get_z(index));
#elif HAS_z
  out_0 = dr * silu(get_z(index));
  out_2 = dr * get_x(index) * siluSlope(get_z(index));
#else
  out_0 = dr;
  out_2 = 0.;
#endif`,
};

function settingsOf({shape}: tf.TensorInfo, {groups, normBeforeGate, epsilon}: Record<string, unknown>) {
  const channels = shape[shape.length - 1];
  const count = shape.reduce((a, b) => a * b, 1);
  const width = channels / (groups as number);
  const settings = {
    ints: {channels, width},
    floats: {epsilon: epsilon as number},
    flags: {NORM_FIRST: normBeforeGate as boolean},
  };
  return {settings, channels, count, rows: count / width};
}

registerArrayKernel('GatedRmsNorm', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('gatedRmsNorm', backend, (kernel) => {
    const {x, weight, z} = byName(inputs, attrs.present) as Record<GatedRmsNormInput, tf.TensorInfo>;
    const {settings, count, rows} = settingsOf(x, attrs);
    const inverse = kernel.temporary([rows]);
    kernel.draw(inversePass, {inputs: {x, z}, ...settings, count: rows, outputs: [inverse]});
    const y = kernel.output(x.shape);
    kernel.draw(outputPass, {inputs: {x, weight, inverse, z}, ...settings, count, outputs: [y]});
    return [y];
  }),
);

registerArrayKernel('GatedRmsNormGrad', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('the gradient of gatedRmsNorm', backend, (kernel) => {
    const {x, weight, z, dy} = byName(inputs, attrs.present) as Record<GatedRmsNormGradInput, tf.TensorInfo>;
    const {settings, channels, count, rows} = settingsOf(x, attrs);
    const inverse = kernel.temporary([rows]);
    kernel.draw(inversePass, {inputs: {x, z}, ...settings, count: rows, outputs: [inverse]});
    const pull = kernel.temporary([rows]);
    kernel.draw(pullPass, {inputs: {x, weight, dy, inverse, z}, ...settings, count: rows, outputs: [pull]});
    const dx = kernel.output(x.shape);
    const shares = kernel.temporary(x.shape);
    const dz = z ? kernel.output(x.shape) : kernel.temporary(x.shape);
    const all = {x, weight, dy, inverse, pull, z};
    kernel.draw(gradPass, {inputs: all, ...settings, count, outputs: [dx, shares, dz]});
    const dWeight = kernel.output(weight.shape);
    columnSums(kernel, {a: shares, rows: count / channels, columns: channels, output: dWeight});
    return z ? [dx, dWeight, dz] : [dx, dWeight];
  }),
);
