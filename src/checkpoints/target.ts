/** Where a checkpoint is written to: a folder (Node), or a function of the caller's that takes whole files (browsers). */
import {blocked} from '../fileErrors';
import {filePlatform} from './platform';

/**
 * Takes one file of a checkpoint, whole. `maxShardBytes` bounds its size. The file that makes the others a checkpoint, `model.safetensors`
 * or the index of the shards, comes last.
 */
export interface SaveHandler {
  /** Takes a file by its name in the checkpoint; the next one comes when this is done. */
  write(name: string, bytes: Uint8Array<ArrayBuffer>): void | Promise<void>;
}

/** A place that takes files as streams, and shows them only when all of them are there. */
export interface CheckpointTarget {
  /** Whether a file of that name is there, so that another is to be found for one that belongs with others. */
  isTaken(name: string): boolean;
  write(name: string, size: number, pieces: AsyncIterable<Uint8Array>): Promise<void>;
  /** All files are written: they become visible. */
  commit(): Promise<void>;
  /** Something went wrong: what was there before stays. */
  discard(): Promise<void>;
}

/** @param op What errors name first. */
export async function openTarget(target: string | SaveHandler, op = 'savePretrained'): Promise<CheckpointTarget> {
  if (typeof target === 'object' && typeof target?.write === 'function') return handlerTarget(target);
  if (typeof target !== 'string' || target === '') {
    const given = JSON.stringify(target) ?? typeof target;
    throw new Error(`${op}: target must be a folder or an object {write(name, bytes)}, but is ${given}`);
  }
  const platform = filePlatform();
  if (!platform) {
    throw new Error(
      `${op}: target is the folder ${target}, and folders need the entry point tfjs-mamba/node; ` +
        'elsewhere give an object {write(name, bytes)}',
    );
  }
  try {
    return await platform.openTarget(target);
  } catch (error) {
    throw blocked(op, 'target', target, 'a folder', error as Error);
  }
}

function handlerTarget(handler: SaveHandler): CheckpointTarget {
  return {
    isTaken: () => false,
    async write(name, size, pieces) {
      const bytes = new Uint8Array(size);
      let at = 0;
      for await (const piece of pieces) {
        bytes.set(piece, at);
        at += piece.length;
      }
      await handler.write(name, bytes);
    },
    commit: async () => {},
    discard: async () => {},
  };
}
