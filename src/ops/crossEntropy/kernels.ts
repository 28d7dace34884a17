/** The two kernels of the cross entropy: inputs in order, attributes. */
import {defineKernel} from '../kernel';

export type CrossEntropyInput = 'logits' | 'labels';
export type CrossEntropyGradInput = CrossEntropyInput | 'logSumExp' | 'dy';

export interface CrossEntropyAttrs {
  ignoreIndex: number;
}

/** The loss [] and each row's log Σ exp [R]; logits [R,V], labels int32 [R]. */
export const runCrossEntropy = defineKernel<CrossEntropyInput, CrossEntropyAttrs>({
  kernelName: 'CrossEntropy',
  order: ['logits', 'labels'],
});

/** The gradient of the logits. */
export const runCrossEntropyGrad = defineKernel<CrossEntropyGradInput, CrossEntropyAttrs>({
  kernelName: 'CrossEntropyGrad',
  order: ['logits', 'labels', 'logSumExp', 'dy'],
});
