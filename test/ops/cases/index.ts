/** Every op of the package. */
import type {OpUnderTest} from '../opUnderTest';
import {anyOp} from '../opUnderTest';
import {convCase, convUpdateCase} from './causalConv1d';
import {crossEntropyCase} from './crossEntropy';
import {embeddingCase, linearCase} from './linear';
import {rmsNormCase} from './rmsNorm';
import {scanCase} from './selectiveScan';
import {stateUpdateCase} from './selectiveStateUpdate';

export const opsUnderTest: readonly OpUnderTest[] = [
  anyOp(scanCase),
  anyOp(stateUpdateCase),
  anyOp(convCase),
  anyOp(convUpdateCase),
  anyOp(rmsNormCase),
  anyOp(crossEntropyCase),
  anyOp(linearCase),
  anyOp(embeddingCase),
];
