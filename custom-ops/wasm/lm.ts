/** What a language model and its training run besides its layers. */
export {decayRates} from './decayRates';
export {crossEntropy, crossEntropyGrad} from './loss';
export {adamW, storeFloat, sumSquares} from './optimizer';
export {packedProduct} from './packed';
