/**
 * AdamW and the global norm over typed arrays, for `cpu` and `wasm`. One pass over each variable; the arithmetic of an element is
 * float64 and rounded once, and so is the sum of squares, whose terms would otherwise drown in it.
 */
import {registerTypedArrayKernel} from '../../backends/typedArrays';
import type {Operand} from '../../backends/typedArrays';
import type {AdamWAttrs} from './kernels';
import {adamWShape, globalNormShape} from './shapes';

function update(inputs: Operand[], outputs: Operand[], attrs: AdamWAttrs): void {
  const {learningRate, beta1, beta2, epsilon, step, weightDecay} = attrs;
  const count = weightDecay.length;
  const gradScale = inputs[4 * count].values[0];
  const stepSize = learningRate / (1 - beta1 ** step);
  const secondCorrection = 1 / Math.sqrt(1 - beta2 ** step);
  for (let i = 0; i < count; i++) {
    const [param, grad, m, v] = [0, 1, 2, 3].map((list) => inputs[list * count + i].values);
    const [newParam, newM, newV] = [0, 1, 2].map((list) => outputs[list * count + i].values);
    const kept = 1 - learningRate * weightDecay[i];
    for (let k = 0; k < param.length; k++) {
      const g = grad[k] * gradScale;
      const first = beta1 * m[k] + (1 - beta1) * g;
      const second = beta2 * v[k] + (1 - beta2) * g * g;
      newM[k] = first;
      newV[k] = second;
      newParam[k] = kept * param[k] - (stepSize * first) / (Math.sqrt(second) * secondCorrection + epsilon);
    }
  }
}

registerTypedArrayKernel({
  ...adamWShape,
  compute: update,
});

registerTypedArrayKernel({
  ...globalNormShape,
  compute: (tensors, [norm]) => {
    let sum = 0;
    for (const {values} of tensors) {
      for (let k = 0; k < values.length; k++) {
        sum += values[k] * values[k];
      }
    }
    norm.values[0] = Math.sqrt(sum);
  },
});
