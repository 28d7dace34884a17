/**
 * What the layers of every family run. As in the modules beside it (mamba.ts, mamba2.ts, lm.ts), these are the functions that JavaScript
 * calls, with pointers into TensorFlow.js's heap; everything is float32 unless it says otherwise.
 */
export {causalConv1d, causalConv1dGrad} from './conv';
export {product, columnSums} from './product';
export {rmsNorm, rmsNormGrad} from './norm';
