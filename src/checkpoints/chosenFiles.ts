/** Files that somebody chose in a page, or dropped on it, as a checkpoint: a folder, or its files one by one. */
import {blobFile} from './bytes';
import type {CheckpointSource} from './source';

/**
 * The source for `fromPretrained`: nothing is read before it is needed, and nothing leaves the page.
 *
 * @param files Of an `<input type="file" multiple>`, with `webkitdirectory` or without, or of a drop; config.json is among them.
 * @throws Error if there are none, or two of one name.
 */
export function chosenFiles(files: Iterable<File>): CheckpointSource {
  const byName = new Map<string, File>();
  for (const file of files) {
    if (byName.has(file.name)) {
      throw new Error(`chosenFiles: there are two files ${file.name}; choose those of one checkpoint`);
    }
    byName.set(file.name, file);
  }
  if (byName.size === 0) throw new Error('chosenFiles: there are no files');
  return {
    name: 'the chosen files',
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
