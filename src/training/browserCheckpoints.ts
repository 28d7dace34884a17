/** Training checkpoints in a browser, by name: as in a folder, the last whole one stays until the next is whole. */
import {openDatabase} from '../indexedDb';
import type {CheckpointFiles, TrainingStore} from './checkpoint';

/**
 * Keeps the last checkpoint of one training run in this browser's IndexedDB.
 *
 * @param name Of the run; the same name goes on with it, after a reload too.
 */
export function browserCheckpoints(name: string): TrainingStore {
  if (typeof name !== 'string' || name === '') throw new Error('browserCheckpoints: name must be a text, not empty');
  const database = openDatabase<CheckpointFiles>('browserCheckpoints', 'checkpoints');
  return {save: (files) => database.put(name, files), load: () => database.get(name)};
}

/** Deletes what {@link browserCheckpoints} keeps under a name. */
export function deleteBrowserCheckpoint(name: string): Promise<void> {
  return openDatabase<CheckpointFiles>('deleteBrowserCheckpoint', 'checkpoints').delete(name);
}
