/** The functions that JavaScript calls (but for those of a block, which are only kept apart by this), with pointers into TensorFlow.js's heap. Everything is float32 unless it says otherwise. */
export {causalConv1d, causalConv1dGrad} from './conv';
export {gatedRmsNorm, gatedRmsNormGrad} from './gatedNorm';
export {crossEntropy, crossEntropyGrad} from './loss';
export {product, columnSums} from './product';
export {rmsNorm, rmsNormGrad} from './norm';
export {adamW, storeFloat, sumSquares} from './optimizer';
export {scanBlockAnyhow, selectiveScan} from './scan';
export {backBlockAnyhow, selectiveScanGrad} from './scanGrad';
export {selectiveStateUpdate} from './stateUpdate';
export {ssd, ssdBytes} from './ssd';
export {ssdGrad, ssdGradBytes} from './ssdGrad';
export {ssdStep} from './ssdStep';
