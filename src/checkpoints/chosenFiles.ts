/** Files that somebody chose in a page, or dropped on it, as a checkpoint: a folder, or its files one by one. */
import {blobFile} from './bytes';
import type {CheckpointSource} from './source';

/** A file, and where it was: `folder/below/name`, or its name alone. */
export interface FileAt {
  path: string;
  file: File;
}

/**
 * The source for `fromPretrained`: nothing is read before it is needed, and nothing leaves the page.
 *
 * @param files Of an `<input type="file" multiple>`, with `webkitdirectory` or without, or of a drop; config.json is among them. Of several
 *   folders, that nearest to the top with a config.json has the model.
 * @throws Error if there are none, or two of one name.
 */
export function chosenFiles(files: Iterable<File>): CheckpointSource {
  if (typeof (files as Partial<Iterable<File>> | undefined)?.[Symbol.iterator] !== 'function') {
    throw new Error("chosenFiles: files must be a list of File, such as an input's files");
  }
  const byName = new Map<string, File>();
  for (const file of filesOfModel([...files].map(fileAt))) {
    if (byName.has(file.name)) {
      throw new Error(`chosenFiles: there are two files ${file.name}; choose those of one checkpoint`);
    }
    byName.set(file.name, file);
  }
  if (byName.size === 0) throw new Error('chosenFiles: there are no files');
  return {
    name: 'the choice of files',
    async open(name, onBytes) {
      const file = byName.get(name);
      if (!file) return undefined;
      const {read, ...rest} = blobFile(name, file);
      return {
        ...rest,
        async read(start, end) {
          const bytes = await read(start, end);
          onBytes?.(bytes.length);
          return bytes;
        },
      };
    },
  };
}

/** A file that somebody chose; where it lay is not known of all, and in Node a file that has been sent has no name either. */
export function fileAt(file: File): FileAt {
  return {path: file.webkitRelativePath || (file.name ?? ''), file};
}

/** The files in the folder nearest to the top that has a config.json; all of them if none has. */
export function filesOfModel(files: readonly FileAt[]): File[] {
  const folders = files.filter(({path}) => nameOf(path) === 'config.json').map(({path}) => folderOf(path));
  const depth = (folder: string) => folder.split('/').length;
  const top = Math.min(...folders.map(depth));
  const nearest = [...new Set(folders.filter((folder) => depth(folder) === top))];
  if (nearest.length > 1) {
    throw new Error(
      `chosenFiles: there is a config.json in ${nearest.join(' and in ')}; choose the folder of one model`,
    );
  }
  const chosen = nearest.length === 0 ? files : files.filter(({path}) => folderOf(path) === nearest[0]);
  return chosen.map(({file}) => file);
}

/**
 * The files of the model that was dropped on a page: files, or a folder with what is in the folders below. To be called at once in the
 * listener, as the browser forgets what was dropped; the result goes into `fromPretrained` of a worker, or {@link chosenFiles}.
 *
 * @param data `event.dataTransfer` of a `drop`.
 * @throws Error if there are several models.
 */
export async function droppedFiles(data: Pick<DataTransfer, 'items'>): Promise<File[]> {
  const {items}: Partial<DataTransfer> = data ?? {};
  if (items === undefined) throw new Error('droppedFiles: data must be the dataTransfer of a drop');
  const entries = [...items].flatMap((item) => item.webkitGetAsEntry() ?? []);
  return filesOfModel((await Promise.all(entries.map(filesBelow))).flat());
}

async function filesBelow(entry: FileSystemEntry): Promise<FileAt[]> {
  const path = entry.fullPath.slice(1);
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
    return [{path, file}];
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  const all: FileAt[] = [];
  for (;;) {
    // Gives some hundred at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...(await Promise.all(some.map(filesBelow))).flat());
  }
}

const nameOf = (path: string) => path.slice(path.lastIndexOf('/') + 1);
const folderOf = (path: string) => path.slice(0, path.length - nameOf(path).length);
