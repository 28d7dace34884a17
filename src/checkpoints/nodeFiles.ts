/**
 * Sources, targets and caches on disk. Node only: nothing but the entry point `tfjs-mamba/node` imports this file, and
 * hands it to platform.ts.
 */
import {createHash, randomUUID} from 'node:crypto';
import {mkdir, open, readdir, readFile, rename, rm, stat, writeFile, type FileHandle} from 'node:fs/promises';
import {homedir} from 'node:os';
import {basename, dirname, join} from 'node:path';
import {fileURLToPath} from 'node:url';
import {openStaging} from '../nodeStaging';
import type {ByteFile, OnBytes} from './bytes';
import type {ByteCache} from './cache';
import {nodeHub} from './nodeHub';
import {finishSave, folderTarget} from './nodeTarget';
import {zooFolder} from './nodeZoo';
import type {FilePlatform} from './platform';
import {weightFileName, type CheckpointSource} from './source';

/** What `registerFilePlatform` is to be given in Node. */
export const nodeFiles: FilePlatform = {
  async openSource(path) {
    const local = path.startsWith('file:') ? fileURLToPath(path) : path;
    const found = await statOrUndefined(local);
    if (!found) {
      const zoo = await zooFolder(path);
      return zoo === undefined ? undefined : folderSource(zoo);
    }
    await finishSave(found.isDirectory() ? local : dirname(local));
    if (found.isDirectory()) return folderSource(local);
    if (!/\.(safetensors|bin|gguf|json)$/.test(local)) {
      throw new Error(
        `${local} is no model: that is a folder, or a file .safetensors, .bin (of state-spaces), .gguf or config.json`,
      );
    }
    return {...folderSource(dirname(local)), name: local, weights: weightFileName(basename(local))};
  },

  async openFile(path) {
    const local = path.startsWith('file:') ? fileURLToPath(path) : path;
    return folderSource(dirname(local)).open(basename(local));
  },

  async writeFile(path, bytes) {
    const local = path.startsWith('file:') ? fileURLToPath(path) : path;
    await mkdir(dirname(local), {recursive: true});
    const staging = await openStaging(join(dirname(local), `.saving-${randomUUID()}`));
    try {
      await staging.write(basename(local), [bytes]);
      await staging.publishFile(basename(local), local);
    } finally {
      await staging.discard();
    }
  },

  async openTarget(path) {
    return folderTarget(path.startsWith('file:') ? fileURLToPath(path) : path);
  },

  hub: nodeHub((path, onBytes) => folderSource(dirname(path)).open(basename(path), onBytes)),

  async openCache(path) {
    const folder = path ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tfjs-mamba');
    await mkdir(folder, {recursive: true});
    await removeLeftovers(folder).catch(() => {}); // as good as it goes: nothing depends on it
    return folderCache(folder);
  },
};

/** Follows links, also out of the folder: Hugging Face's own cache is made of links to blobs that lie elsewhere. */
function folderSource(folder: string): CheckpointSource {
  return {
    name: folder,
    async open(file, onBytes) {
      const path = join(folder, file);
      const found = await statOrUndefined(path);
      return found?.isFile() ? new NodeFile(path, found.size, found.mtimeMs, onBytes) : undefined;
    },
  };
}

/** Opens the file for each read: nothing has to be closed, and reads are few and large. */
class NodeFile implements ByteFile {
  constructor(
    readonly name: string,
    readonly size: number,
    private readonly modified: number,
    private readonly onBytes?: OnBytes,
  ) {}

  read(start: number, end: number): Promise<Uint8Array> {
    return this.readOpened(start, end).catch(naming(this.name));
  }

  private async readOpened(start: number, end: number): Promise<Uint8Array> {
    const file = await open(this.name);
    try {
      const {size, mtimeMs} = await file.stat();
      if (size !== this.size || mtimeMs !== this.modified) throw new Error(`${this.name} changed while it was read`);
      return await readFully(this.name, file, start, end, this.onBytes);
    } finally {
      await file.close();
    }
  }
}

async function readFully(
  name: string,
  file: FileHandle,
  start: number,
  end: number,
  onBytes?: OnBytes,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start);
  for (let at = 0; at < bytes.length;) {
    const {bytesRead} = await file.read(bytes, at, bytes.length - at, start + at);
    if (bytesRead === 0) throw new Error(`${name} ends at byte ${start + at}, where ${end} were expected`);
    at += bytesRead;
    onBytes?.(bytesRead);
  }
  return bytes;
}

function folderCache(folder: string): ByteCache {
  const path = (key: string) => join(folder, createHash('sha256').update(key).digest('hex'));
  return {
    get: (key) => readFile(path(key)).catch(undefinedIfMissing),
    async put(key, bytes) {
      const temporary = join(folder, `${randomUUID()}.partial`);
      try {
        await writeFile(temporary, bytes);
        await rename(temporary, path(key));
      } catch (error) {
        await rm(temporary, {force: true});
        throw error;
      }
    },
  };
}

/** What a process left that was ended while it wrote; a file that is being written is younger. */
async function removeLeftovers(folder: string): Promise<void> {
  const yesterday = Date.now() - 24 * 3600 * 1000;
  for (const name of await readdir(folder)) {
    if (!/^[\da-f-]{36}\.partial$/.test(name)) continue;
    const found = await statOrUndefined(join(folder, name));
    if (found && found.mtimeMs < yesterday) await rm(join(folder, name), {force: true});
  }
}

function statOrUndefined(path: string) {
  return stat(path).catch(undefinedIfMissing).catch(naming(path));
}

/** Not every system error names a file, and none says that it was to be read. */
function naming(path: string) {
  return (error: NodeJS.ErrnoException): never => {
    if (error.code === undefined) throw error;
    throw new Error(`${path} cannot be read: ${error.message}`, {cause: error});
  };
}

function undefinedIfMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
  return undefined;
}
