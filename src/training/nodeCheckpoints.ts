/**
 * Training checkpoints in a folder, for Node; only src/node.ts imports this file.
 *
 * Every checkpoint is a folder of its own, named by a number. It is written under another name, flushed to the disk, and only then
 * renamed, which happens in one piece: whatever has a number is whole. The older ones go when the new one has its name, so a crash or
 * a full disk never leaves less than the last checkpoint.
 */
import {mkdir, open, readdir, rename, rm} from 'node:fs/promises';
import {join} from 'node:path';
import {blocked} from '../fileErrors';
import {openStaging} from '../nodeStaging';
import {checkNumber} from '../ops/adamW/hyperparameters';
import {checkKeys, describe} from '../ops/check';
import type {CheckpointFiles, TrainingStore} from './checkpoint';

/** The options of {@link folderCheckpoints}. */
export interface FolderCheckpointsOptions {
  /** How many of the last checkpoints stay (1). To go on from an earlier one, remove the folders with higher numbers. */
  keep?: number;
}

const OP = 'folderCheckpoints';
const UNFINISHED = 'unfinished';

/**
 * Keeps the checkpoints of one training run in `folder`, which is made if need be.
 *
 * @throws Error if an option is wrong or the folder holds something else.
 */
export function folderCheckpoints(folder: string, options: FolderCheckpointsOptions = {}): TrainingStore {
  if (typeof folder !== 'string' || folder === '')
    throw new Error(`${OP}: folder must be a path, but is ${describe(folder)}`);
  checkKeys(OP, options, ['keep']);
  const {keep = 1} = options;
  checkNumber(OP, 'keep', keep, 'positiveCount');
  const explained = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: Error) => {
      throw blocked(OP, 'folder', folder, 'a folder', error);
    });
  const unfinished = join(folder, UNFINISHED);
  const stage = async () => {
    await rm(unfinished, {recursive: true, force: true});
    await mkdir(folder, {recursive: true});
    return openStaging(unfinished);
  };
  const store: Required<TrainingStore> = {
    async prepare() {
      await finished(folder);
      const staging = await stage();
      try {
        await staging.write('trial', [new Uint8Array(1)]);
      } finally {
        await staging.discard();
      }
    },
    async save(files) {
      const older = await finished(folder);
      const staging = await stage();
      try {
        for (const [name, bytes] of Object.entries(files)) await staging.write(name, [bytes]);
        await staging.publish(join(folder, String((older.at(-1) ?? 0) + 1)));
      } catch (error) {
        await staging.discard().catch(() => {}); // room for what else is to be saved
        throw error;
      }
      for (const number of older.slice(0, older.length - keep + 1)) {
        await rename(join(folder, String(number)), unfinished); // what has a number is whole, to the end
        await rm(unfinished, {recursive: true});
      }
    },
    async load() {
      const last = (await finished(folder)).at(-1);
      return last === undefined ? undefined : readFiles(join(folder, String(last)));
    },
  };
  return {
    prepare: () => explained(store.prepare()),
    save: (files) => explained(store.save(files)),
    load: () => explained(store.load()),
  };
}

/** The numbers of the finished checkpoints, rising. */
async function finished(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const other = names.find((name) => !/^\d+$/.test(name) && name !== UNFINISHED);
  if (other !== undefined) {
    throw new Error(`folderCheckpoints: ${folder} must be a folder for nothing but checkpoints, but holds ${other}`);
  }
  return names
    .filter((name) => name !== UNFINISHED)
    .map(Number)
    .sort((a, b) => a - b);
}

async function readFiles(folder: string): Promise<CheckpointFiles> {
  const files: CheckpointFiles = {};
  for (const name of await readdir(folder)) {
    files[name] = await readBytes(join(folder, name));
  }
  return files;
}

/** Reads a file of any size: fs.readFile refuses 2 GiB and more, which the moments of a larger model have. */
async function readBytes(path: string): Promise<Uint8Array> {
  const file = await open(path);
  try {
    const bytes = new Uint8Array((await file.stat()).size);
    for (let offset = 0; offset < bytes.length;) {
      const {bytesRead} = await file.read(bytes, offset, Math.min(2 ** 30, bytes.length - offset), offset);
      if (bytesRead === 0) throw new Error(`folderCheckpoints: ${path} became shorter while it was read`);
      offset += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}
