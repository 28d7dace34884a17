/**
 * Training checkpoints in a folder, for Node; only src/node.ts imports this file.
 *
 * Every checkpoint is a folder of its own, named by a number. It is written under another name, flushed to the disk, and only then
 * renamed, which happens in one piece: whatever has a number is whole. The older ones go when the new one has its name, so a crash or
 * a full disk never leaves less than the last checkpoint.
 */
import {mkdir, open, readdir, rename, rm} from 'node:fs/promises';
import {join} from 'node:path';
import type {CheckpointFiles, CheckpointTarget} from './checkpoint';

const UNFINISHED = 'unfinished';

/**
 * Keeps the checkpoints of one training run in `folder`, which is made if need be.
 *
 * @throws Error if the folder holds something else.
 */
export function folderCheckpoints(folder: string): CheckpointTarget {
  return {
    async save(files) {
      const older = await finished(folder);
      const unfinished = join(folder, UNFINISHED);
      await rm(unfinished, {recursive: true, force: true});
      await mkdir(unfinished, {recursive: true});
      for (const [name, bytes] of Object.entries(files)) {
        await writeDurably(join(unfinished, name), bytes);
      }
      await rename(unfinished, join(folder, String((older.at(-1) ?? 0) + 1)));
      for (const number of older) {
        await rm(join(folder, String(number)), {recursive: true});
      }
    },
    async load() {
      const last = (await finished(folder)).at(-1);
      return last === undefined ? undefined : readFiles(join(folder, String(last)));
    },
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

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
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
