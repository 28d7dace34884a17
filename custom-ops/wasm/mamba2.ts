/** The recurrence of `mamba2` and its norm. */
export {gatedRmsNorm, gatedRmsNormGrad} from './gatedNorm';
export {ssd, ssdBytes} from './ssd';
export {ssdGrad, ssdGradBytes} from './ssdGrad';
export {ssdStep} from './ssdStep';
