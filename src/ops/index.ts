/** The ops of the public surface; importing them registers their kernels and gradients. */
export {causalConv1d} from './causalConv1d';
export type {CausalConv1dArgs, CausalConv1dResult} from './causalConv1d';
export type {ConvActivation} from './causalConv1d/kernels';
export {causalConv1dUpdate} from './causalConv1dUpdate';
export type {CausalConv1dUpdateArgs, CausalConv1dUpdateResult} from './causalConv1dUpdate';
export {crossEntropy} from './crossEntropy';
export type {CrossEntropyArgs} from './crossEntropy';
export {embedding} from './embedding';
export type {EmbeddingArgs} from './embedding';
export {linear} from './linear';
export type {LinearArgs} from './linear';
export {rmsNorm} from './rmsNorm';
export type {RmsNormArgs, RmsNormResult} from './rmsNorm';
export {selectiveScan} from './selectiveScan';
export type {SelectiveScanArgs, SelectiveScanResult} from './selectiveScan';
export {selectiveStateUpdate} from './selectiveStateUpdate';
export type {SelectiveStateUpdateArgs, SelectiveStateUpdateResult} from './selectiveStateUpdate';
