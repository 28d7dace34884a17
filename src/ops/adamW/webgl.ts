/** AdamW and the global norm on WebGL2: one draw a variable for its three results, two for its share of the norm. */
import type * as tf from '@tensorflow/tfjs';
import type {Pass} from '../../backends/webgl';
import {runPasses} from '../../backends/webgl';
import {columnSums} from '../../backends/webglSums';
import {registerArrayKernel} from '../kernel';
import type {AdamWAttrs} from './kernels';

/** The learning rate and what depends on the step are uniforms: nothing is compiled again from step to step. */
const stepPass: Pass = {
  name: 'AdamW',
  inputs: ['param', 'grad', 'm', 'v', 'gradScale'],
  outputs: 3,
  floats: ['beta1', 'oneMinusBeta1', 'beta2', 'oneMinusBeta2', 'epsilon', 'kept', 'stepSize', 'correction'],
  main: `
  float g = get_grad(index) * get_gradScale(0);
  float m = beta1 * get_m(index) + oneMinusBeta1 * g;
  float v = beta2 * get_v(index) + oneMinusBeta2 * g * g;
  out_0 = kept * get_param(index) - stepSize * m / (sqrt(v) * correction + epsilon);
  out_1 = m;
  out_2 = v;`,
};

const rootPass: Pass = {
  name: 'GlobalNorm',
  inputs: ['sums'],
  outputs: 1,
  main: `out_0 = sqrt(get_sums(0));`,
};

/** A variable's sum of squares in its place of the list. */
const gatherPass: Pass = {
  name: 'GlobalNorm (gather)',
  inputs: ['before', 'sum'],
  outputs: 1,
  main: `out_0 = get_before(0) + get_sum(0);`,
};

const sizeOf = ({shape}: tf.TensorInfo) => shape.reduce((a, b) => a * b, 1);

registerArrayKernel('AdamW', 'webgl', ({inputs, backend, attrs}) =>
  runPasses('adamWUpdate', backend, (kernel) => {
    const {learningRate, beta1, beta2, epsilon, step, weightDecay} = attrs as unknown as AdamWAttrs;
    const count = weightDecay.length;
    const results = weightDecay.map((decay, i) => {
      const [param, grad, m, v] = [0, 1, 2, 3].map((list) => inputs[list * count + i]);
      const outputs = [0, 1, 2].map(() => kernel.output(param.shape));
      kernel.draw(stepPass, {
        inputs: {param, grad, m, v, gradScale: inputs[4 * count]},
        floats: {
          ...{beta1, oneMinusBeta1: 1 - beta1, beta2, oneMinusBeta2: 1 - beta2, epsilon},
          kept: 1 - learningRate * decay,
          stepSize: learningRate / (1 - beta1 ** step),
          correction: 1 / Math.sqrt(1 - beta2 ** step),
        },
        count: sizeOf(param),
        outputs,
      });
      return outputs;
    });
    return [0, 1, 2].flatMap((list) => results.map((result) => result[list]));
  }),
);

registerArrayKernel('GlobalNorm', 'webgl', ({inputs, backend}) =>
  runPasses('globalNorm', backend, (kernel) => {
    const sums = inputs.map((a) => {
      const output = kernel.temporary([1]);
      columnSums(kernel, {a, b: a, rows: sizeOf(a), columns: 1, output});
      return output;
    });
    const all = sums.reduce((before, sum) => {
      const output = kernel.temporary([1]);
      kernel.draw(gatherPass, {inputs: {before, sum}, count: 1, outputs: [output]});
      return output;
    });
    const norm = kernel.output([]);
    kernel.draw(rootPass, {inputs: {sums: all}, count: 1, outputs: [norm]});
    return [norm];
  }),
);
