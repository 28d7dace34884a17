/**
 * A model in a Web Worker, as the page sees it. The worker's own file imports `tfjs-mamba/worker/serve`.
 *
 * @packageDocumentation
 */
export type {Selection} from '../lm/selection';
export {droppedFiles} from '../checkpoints/chosenFiles';
export type {WorkerGenerateOptions, WorkerLoadOptions} from '../worker/client';
export {blobWorker, ModelWorker, modelWorker, WorkerHistory, WorkerModel} from '../worker/client';
export type {ModelConfigOrName, WorkerBackend, WorkerFitOptions, WorkerFitResult} from '../worker/types';
