/**
 * A model in a Web Worker, as the page sees it. The worker's own file imports `tfjs-mamba/worker/serve`.
 *
 * @packageDocumentation
 */
export type {Selection} from '../lm/selection';
export type {WorkerGenerateOptions} from '../worker/client';
export {ModelWorker, modelWorker, WorkerHistory, WorkerModel} from '../worker/client';
export type {ModelConfigOrName, WorkerBackend, WorkerFitOptions} from '../worker/types';
