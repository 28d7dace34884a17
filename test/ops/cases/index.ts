/** Every op of the package. */
import type {OpUnderTest} from '../opUnderTest';
import {anyOp} from '../opUnderTest';
import {convCase, convUpdateCase} from './causalConv1d';
import {crossEntropyCase} from './crossEntropy';
import {gatedRmsNormCase} from './gatedRmsNorm';
import {embeddingCase, linearCase} from './linear';
import {rmsNormCase} from './rmsNorm';
import {scanCase} from './selectiveScan';
import {stateUpdateCase} from './selectiveStateUpdate';
import {ssdCase} from './ssd';
import {ssdStepCase} from './ssdStep';

export const opsUnderTest: readonly OpUnderTest[] = [
  anyOp(scanCase),
  anyOp(stateUpdateCase),
  anyOp(convCase),
  anyOp(convUpdateCase),
  anyOp(rmsNormCase),
  anyOp(crossEntropyCase),
  anyOp(linearCase),
  anyOp(embeddingCase),
  anyOp(ssdCase),
  anyOp(ssdStepCase),
  anyOp(gatedRmsNormCase),
];
