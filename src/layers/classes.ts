/** The classes of the layers and the types of their options. */
export {CausalConv1D} from './causalConv1d';
export type {CausalConv1DArgs} from './causalConv1d';
export type {LastTokenArgs} from './lastToken';
export {LastToken} from './lastToken';
export {Mamba} from './mamba';
export type {MambaLayerArgs, MambaOptions} from './mamba';
export type {Mamba2LayerArgs} from './mamba2';
export {Mamba2, Mamba2Block} from './mamba2';
export {MambaBlock} from './mambaBlock';
export type {MambaBlockArgs} from './mambaBlock';
export type {SequenceOptions} from './mixerLayer';
export type {SequenceCall} from './sequenceCall';
export {MixerLayer} from './mixerLayer';
export type {LayerArgs} from './options';
export {RMSNormalization} from './rmsNormalization';
export type {RMSNormalizationArgs} from './rmsNormalization';
