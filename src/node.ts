/**
 * Mamba for TensorFlow.js in Node: all of the root entry, with files and folders as sources and targets.
 *
 * @packageDocumentation
 */
import {totalmem} from 'node:os';
import {nodeFiles} from './checkpoints/nodeFiles';
import {registerFilePlatform} from './checkpoints/platform';
import {setHostMemory} from './lm/memory';

registerFilePlatform(nodeFiles);
setHostMemory(totalmem());

export * from './index';
export {folderCheckpoints} from './training/nodeCheckpoints';
