/** The functions that JavaScript calls, with pointers into TensorFlow.js's heap. Everything is float32 unless it says otherwise. */
export {causalConv1d, causalConv1dGrad} from './conv';
export {crossEntropy, crossEntropyGrad} from './loss';
export {product, columnSums} from './product';
export {rmsNorm, rmsNormGrad} from './norm';
export {adamW, storeFloat, sumSquares} from './optimizer';
export {selectiveScan} from './scan';
export {selectiveScanGrad} from './scanGrad';
export {selectiveStateUpdate} from './stateUpdate';
