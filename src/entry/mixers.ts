/** What the entry points for layers and for language models both show of mixers. */
/** Mixers: what mixes along the sequence, as plain data and functions; `registerMixer` makes one of your own known. */
export {registerMixer} from '../mixers';
export type {BlockConfig} from '../mixers/block';
export type {Field, FieldTable} from '../mixers/fields';
export type {Start} from '../mixers/initializers';
export type {Mamba1Options, MixerConfig} from '../mixers/mamba1/config';
export type {LayerState} from '../mixers/mamba1/run';
export type {Mamba2Config, Mamba2Options} from '../mixers/mamba2/config';
export type {Mamba2State} from '../mixers/mamba2/run';
export type {Alignment, Padding} from '../mixers/masking';
export type {AnyMixer, Mixer, RunContext, State, Weights} from '../mixers/mixer';
export type {Addition, HuggingFaceFamily, JsonObject, Published, StateSpacesLayer} from '../mixers/published';
/** How a mixer reads the weights that its table calls matrices: `weights.linear({x, weight})`. */
export * as weights from '../mixers/weight';
export type {DenseWeight, LoraWeight, PackedWeight, Weight} from '../mixers/weight';
export type {Layout, WeightSpec} from '../mixers/weightSpec';
