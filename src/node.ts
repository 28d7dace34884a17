/**
 * Mamba for TensorFlow.js in Node: all of the root entry, with files and folders as sources and targets, and the native kernels where
 * `tfjs-mamba setup-native` has built them.
 *
 * @packageDocumentation
 */
import {totalmem} from 'node:os';
import * as tf from '@tensorflow/tfjs';
import {loadNative} from './backends/nodeNative';
import {useNativeKernels} from './backends/tensorflow';
import {isTensorflowOnGpu} from './backends/traits';
import {nodeFiles} from './checkpoints/nodeFiles';
import {registerFilePlatform} from './checkpoints/platform';
import {setHostMemory} from './lm/memory';
import './nativeDraw';

registerFilePlatform(nodeFiles);
setHostMemory(totalmem());

const {loader: addon} = loadNative();
if (addon) useNativeKernels(addon);

/** What {@link backendInfo} tells. */
export interface BackendInfo {
  /** The backend in use. */
  backend: string;
  /** The version of TensorFlow behind tfjs-node, if it and the native library are loaded. */
  tensorflow?: string;
  /** Where TensorFlow runs. */
  device?: 'CPU' | 'GPU';
  /** Threads of the native kernels. */
  threads?: number;
  /** The instruction set the native kernels use: baseline, avx2 or avx512. */
  simd?: string;
  /** The kernels served by the native library; on backend `tensorflow` any other is composed of TensorFlow.js ops. */
  nativeKernels: readonly string[];
  /** What is missing for the fast path, and how to get it. */
  hint?: string;
}

/** Says what the ops run on, and what to do where they could be faster. */
export function backendInfo(): BackendInfo {
  tf.backend(); // starts the default backend if none has been chosen yet
  const {loader, hint} = loadNative();
  const backend = tf.getBackend();
  if (!loader) return {backend, nativeKernels: [], hint};
  return {
    backend,
    device: isTensorflowOnGpu() ? 'GPU' : 'CPU',
    ...loader.info(),
    nativeKernels: useNativeKernels(loader),
  };
}

export * from './index';
export type {DataPart, OpenDataOptions, OpenedData, OpenedText} from './data';
export {openData} from './data';
export type {ByteStream} from './data/documents';
export type {FolderCheckpointsOptions} from './training/nodeCheckpoints';
export {folderCheckpoints} from './training/nodeCheckpoints';
export type {TensorBoardLog} from './training/nodeTensorBoard';
export {tensorBoardLog} from './training/nodeTensorBoard';
export {joinCluster} from './cluster/nodeCluster';
export type {ClusterConfig, ClusterDescription} from './cluster/config';
