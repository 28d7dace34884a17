/** Every op of the package. */
import type {OpUnderTest} from '../opUnderTest';
import {convCase, convUpdateCase} from './causalConv1d';
import {crossEntropyCase} from './crossEntropy';
import {embeddingCase, linearCase} from './linear';
import {rmsNormCase} from './rmsNorm';
import {scanCase} from './selectiveScan';
import {stateUpdateCase} from './selectiveStateUpdate';

export const opsUnderTest = [
  scanCase,
  stateUpdateCase,
  convCase,
  convUpdateCase,
  rmsNormCase,
  crossEntropyCase,
  linearCase,
  embeddingCase,
] as unknown as readonly OpUnderTest[];
