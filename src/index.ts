/**
 * Mamba for TensorFlow.js. Importing this registers the package's kernels and gradients for every backend that TensorFlow.js knows,
 * and its layers for serialization; no backend package is imported.
 *
 * @packageDocumentation
 */
import './requireTfjs';
import './kernels/all';
import './serialization';

export * from './ops';

export type {BackendChoice} from './autoBackend';
export {autoBackend} from './autoBackend';
export type {WeightBackup} from './recovery';
export {backupWeights, restartBackend} from './recovery';

/** The layers' factories, as `tf.layers` has its own: `layers.mamba({…})`. */
export * as layers from './layers';
export * from './layers/classes';

export * from './entry/adapters';
export * from './entry/mixers';
export * from './entry/lm';
export * from './entry/training';
