/**
 * Writes several files so that they appear together or not at all, and stay if the machine loses its power. Node only.
 *
 * A staging folder is filled out of sight, each file flushed to the disk; then it gets its name, which a
 * file system does in one piece, and the folder that holds the name is flushed as well.
 */
import {mkdir, open, rename, rm, writeFile} from 'node:fs/promises';
import {dirname, join} from 'node:path';

/** Files that nobody sees yet. */
interface Staging {
  /** Writes a file and flushes it to the disk. */
  write(name: string, pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<void>;
  /** Gives the whole folder its name, which nothing else may have. */
  publish(path: string): Promise<void>;
  /** Gives one of the files its place, of what was there before. */
  publishFile(name: string, path: string): Promise<void>;
  /** Takes the folder away, with what is left in it. */
  discard(): Promise<void>;
}

/** @param path A name of its own inside the folder where the files will be. */
export async function openStaging(path: string): Promise<Staging> {
  await mkdir(path);
  return {
    async write(name, pieces) {
      const place = join(path, name);
      const file = await open(place, 'wx');
      try {
        for await (const piece of pieces) {
          for (let at = 0; at < piece.length;) at += (await file.write(piece, at)).bytesWritten;
        }
        await file.sync();
      } catch (error) {
        throw naming(place, error as Error);
      } finally {
        await file.close();
      }
    },
    async publish(name) {
      await syncFolder(path);
      await rename(path, name);
      await syncFolder(dirname(name));
    },
    async publishFile(name, place) {
      await rename(join(path, name), place);
      await syncFolder(dirname(place));
    },
    discard: () => rm(path, {recursive: true, force: true}),
  };
}

/** Writes a small file in one piece: who reads it finds it as it was or as it is to be. */
export async function writeWhole(path: string, text: string): Promise<void> {
  const unfinished = `${path}.unfinished`;
  try {
    await writeFile(unfinished, text);
    await rename(unfinished, path);
  } catch (error) {
    await rm(unfinished, {force: true}).catch(() => {});
    throw naming(path, error as Error);
  }
}

/** An error that says which file: Node leaves it out where a disk is full. */
function naming(path: string, error: Error): Error {
  return error.message.includes(path)
    ? error
    : new Error(`${path} cannot be written: ${error.message}`, {cause: error});
}

/** Flushes the names in a folder; where the system has no such thing (Windows), they are as safe as it makes them. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path);
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
