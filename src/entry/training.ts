/**
 * Training: optimizer, schedules, windows of tokens, trainer, checkpoints. It brings no kernels: import those of the backends that the
 * program runs on, such as `tfjs-mamba/backends/webgpu`.
 *
 * @packageDocumentation
 */
export type {Cluster, Reduction} from '../cluster/cluster';
export type {AdamWOptions} from '../training/adamW';
export {AdamW, adamW} from '../training/adamW';
export {browserCheckpoints, deleteBrowserCheckpoint} from '../training/browserCheckpoints';
export type {CheckpointFiles, CheckpointTarget, TrainingStore} from '../training/checkpoint';
export {loadCheckpoint, memoryCheckpoints} from '../training/checkpoint';
export type {
  Batch,
  BatchDataset,
  BatchIterator,
  Json,
  TokenBatch,
  TokenSource,
  TokenWindows,
  TokenWindowsOptions,
} from '../training/data';
export {tokenWindows} from '../training/data';
export type {Objective} from '../training/gradients';
export type {LossCurveOptions, LossHistory, LossPoint, LossSeries} from '../training/lossCurve';
export {lossCurve} from '../training/lossCurve';
export {defaultNoDecay} from '../training/noDecay';
export type {
  Evaluation,
  FitOptions,
  FitResult,
  StepReport,
  TrainerCallbacks,
  TrainerOptions,
} from '../training/options';
export type {PackOptions, PackedBatch, PackedBatches, PackedBatchesOptions, PackedRows} from '../training/packing';
export {packDocuments, packedBatches} from '../training/packing';
export type {
  Schedule,
  ScheduleConfig,
  WarmupConstantOptions,
  WarmupCosineOptions,
  WarmupLinearOptions,
} from '../training/schedules';
export {warmupConstant, warmupCosine, warmupLinear} from '../training/schedules';
export {Trainer, trainer} from '../training/trainer';
