/**
 * Checkpoints written to a folder, for Node; only nodeFiles.ts imports this file.
 *
 * The files are written to a hidden folder inside the target, with a list of their names, and when all are on the disk that folder gets
 * the name `.saved`, in one piece: this is the moment from which the new checkpoint counts. Then they are moved to their places, and
 * what is left of the earlier checkpoint goes. Who opens or writes the folder first finishes a move that was cut short, so it always
 * reads as the old checkpoint or the new. Shards never take a name that is in use, and the file that names them is moved last: for other
 * readers too, an old index never leads to new shards.
 */
import {randomUUID} from 'node:crypto';
import {mkdir, readdir, readFile, rename, rm} from 'node:fs/promises';
import {join} from 'node:path';
import {openStaging, syncFolder} from '../nodeStaging';
import type {CheckpointTarget} from './target';

const SAVED = '.saved';
const LIST = 'files.json';

/** Weights of whatever save: those that the new one has not written would be taken for part of it. */
const weights = /^model((-v\d+)?-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?$/;
/** Of an adapter, which may stand beside a model. */
const adapter = ['adapter_config.json', 'adapter_model.safetensors'];
const configs = [...adapter, 'config.json', 'generation_config.json', 'tokenizer.json', 'tokenizer_config.json'];

/** Other files in the folder are left alone. */
export async function folderTarget(folder: string): Promise<CheckpointTarget> {
  await mkdir(folder, {recursive: true});
  await finishSave(folder);
  const present = new Set(await readdir(folder));
  const staging = await openStaging(join(folder, `.saving-${randomUUID()}`));
  const written: string[] = [];
  return {
    isTaken: (name) => present.has(name),
    async write(name, _size, pieces) {
      await staging.write(name, pieces);
      written.push(name);
    },
    async commit() {
      await staging.write(LIST, [new TextEncoder().encode(JSON.stringify(written))]);
      await rm(join(folder, SAVED), {recursive: true, force: true}); // empty, if anything
      await staging.publish(join(folder, SAVED));
      await finishSave(folder);
    },
    discard: () => staging.discard(),
  };
}

/** Moves the files of a complete save to their places; does nothing if there is none. */
export async function finishSave(folder: string): Promise<void> {
  const saved = join(folder, SAVED);
  const list = await readFile(join(saved, LIST), 'utf8').catch(ifMissing);
  if (list === undefined) return;
  try {
    const names = readList(list);
    for (const name of names) await rename(join(saved, name), join(folder, name)).catch(ifMissing); // moved before
    await syncFolder(folder);
    const isModel = names.some((name) => weights.test(name));
    for (const name of await readdir(folder)) {
      const isStale = isModel && weights.test(name) && !names.includes(name);
      // Of saves that were cut short before they were complete.
      const isUnfinished = /^\.saving-[\da-f-]{36}$/.test(name);
      if (isStale || isUnfinished) await rm(join(folder, name), {recursive: true, force: true});
    }
    await rm(saved, {recursive: true, force: true});
  } catch (error) {
    const {message} = error as Error;
    throw new Error(`${folder} has a complete save in ${SAVED} that cannot be moved to its place: ${message}`, {
      cause: error,
    });
  }
}

/** Who gave the folder may have written the list: it must not lead anywhere else. */
function readList(text: string): string[] {
  const names = JSON.parse(text) as unknown;
  const isOurs = (name: unknown) => typeof name === 'string' && (configs.includes(name) || weights.test(name));
  if (!Array.isArray(names) || !names.every(isOurs)) throw new Error(`${LIST} does not list a checkpoint's files`);
  return names as string[];
}

function ifMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
  return undefined;
}
