/** The gradient of the cross entropy, for every backend. Labels are integers and have none. */
import {defineGradient} from '../kernel';
import type {CrossEntropyAttrs, CrossEntropyInput} from './kernels';
import {runCrossEntropyGrad} from './kernels';

defineGradient<CrossEntropyInput, CrossEntropyAttrs>(
  'CrossEntropy',
  [false, true],
  ([dy], {logits, labels}, [logSumExp], {ignoreIndex}) =>
    runCrossEntropyGrad({logits, labels, logSumExp, dy}, {ignoreIndex}),
);
