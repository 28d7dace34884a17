/**
 * Mamba for TensorFlow.js. Importing this registers the package's kernels and gradients for every backend that TensorFlow.js knows,
 * and its layers for serialization; no backend package is imported.
 *
 * @packageDocumentation
 */
import './requireTfjs';

export * from './ops';

export type {BackendChoice} from './autoBackend';
export {autoBackend} from './autoBackend';
export type {WeightBackup} from './recovery';
export {backupWeights, restartBackend} from './recovery';

/** The layers' factories, as `tf.layers` has its own: `layers.mamba({…})`. */
export * as layers from './layers';
export {CausalConv1D} from './layers/causalConv1d';
export type {CausalConv1DArgs} from './layers/causalConv1d';
export type {LastTokenArgs} from './layers/lastToken';
export {LastToken} from './layers/lastToken';
export {Mamba} from './layers/mamba';
export type {MambaLayerArgs, MambaOptions} from './layers/mamba';
export type {Mamba2LayerArgs} from './layers/mamba2';
export {Mamba2, Mamba2Block} from './layers/mamba2';
export {MambaBlock} from './layers/mambaBlock';
export type {MambaBlockArgs} from './layers/mambaBlock';
export type {SequenceOptions} from './layers/mixerLayer';
export {MixerLayer} from './layers/mixerLayer';

export type {LayerArgs} from './layers/options';
export {RMSNormalization} from './layers/rmsNormalization';
export type {RMSNormalizationArgs} from './layers/rmsNormalization';

/** Mixers: what mixes along the sequence, as plain data and functions; `registerMixer` makes one of your own known. */
export {registerMixer} from './mixers';
export type {BlockConfig} from './mixers/block';
export type {Field, FieldTable} from './mixers/fields';
export type {Start} from './mixers/initializers';
export type {Mamba1Options, MixerConfig} from './mixers/mamba1/config';
export type {LayerState} from './mixers/mamba1/run';
export type {Mamba2Config, Mamba2Options} from './mixers/mamba2/config';
export type {Mamba2State} from './mixers/mamba2/run';
export type {Alignment, Padding} from './mixers/masking';
export type {AnyMixer, Mixer, RunContext, State, Weights} from './mixers/mixer';
export type {HuggingFaceFamily, JsonObject, Published, StateSpacesLayer} from './mixers/published';
/** How a mixer reads the weights that its table calls matrices: `weights.linear({x, weight})`. */
export * as weights from './mixers/weight';
export type {DenseWeight, LoraWeight, PackedWeight, Weight} from './mixers/weight';
export type {Layout, WeightSpec} from './mixers/weightSpec';

export type {MambaConfig, ModelConfig, ResolvedMambaConfig} from './config/config';
export type {PresetName} from './config/presets';
export {presets} from './config/presets';
export type {GeneratedText, GeneratedToken, GenerateOptions, GenerationEnd} from './lm/generate';
export type {MambaCompileArgs, MambaLMOptions, MambaState, TokenIds} from './lm/model';
export {MambaLM, mambaLM} from './lm/model';
export type {FromPretrainedOptions, SavePretrainedOptions} from './lm/pretrained';
export {fromPretrained, savePretrained} from './lm/pretrained';
export type {SamplingOptions} from './lm/sampling';
export type {LoadTokenizerOptions, Tokenizer} from './lm/tokenizers';
export {byteTokenizer, characterTokenizer, loadTokenizer} from './lm/tokenizers';
export type {ByteFile, OnBytes} from './checkpoints/bytes';
export type {ByteCache, CacheOption} from './checkpoints/cache';
export type {LoadOptions, LoadProgress} from './checkpoints/load';
export type {SaveOptions} from './checkpoints/save';
export type {CheckpointSource, SourceOptions} from './checkpoints/source';
export type {SaveHandler} from './checkpoints/target';

export type {Cluster, Reduction} from './cluster/cluster';
export type {AdamWOptions} from './training/adamW';
export {AdamW, adamW} from './training/adamW';
export type {CheckpointFiles, CheckpointTarget, TrainingStore} from './training/checkpoint';
export {memoryCheckpoints} from './training/checkpoint';
export type {
  Batch,
  BatchDataset,
  BatchIterator,
  Json,
  TokenBatch,
  TokenWindows,
  TokenWindowsOptions,
} from './training/data';
export {tokenWindows} from './training/data';
export type {Objective} from './training/gradients';
export type {LossCurveOptions, LossHistory, LossPoint, LossSeries} from './training/lossCurve';
export {lossCurve} from './training/lossCurve';
export {defaultNoDecay} from './training/noDecay';
export type {Evaluation, FitOptions, FitResult, StepReport, TrainerCallbacks, TrainerOptions} from './training/options';
export type {Schedule, ScheduleConfig, WarmupCosineOptions} from './training/schedules';
export {warmupCosine} from './training/schedules';
export {Trainer, trainer} from './training/trainer';
