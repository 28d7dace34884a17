/**
 * Where a checkpoint is read from: a folder or file (Node), a URL, or the id of a model on the Hugging Face Hub. Whatever it
 * is, the rest of this room sees a folder whose files can be opened by name.
 */
import type {ByteFile, OnBytes} from './bytes';
import {openCache, type CacheOption} from './cache';
import {openHttpFile, type HttpOptions} from './http';
import {filePlatform} from './platform';

/** A folder with a checkpoint in it. A program may bring its own, say of files that the user has chosen in a browser. */
export interface CheckpointSource {
  /** What errors call it. */
  readonly name: string;
  /** The weight file, or index of weight files, that was asked for by name. */
  readonly weights?: string;
  /** A file of the folder; undefined if there is none of that name. `onBytes` is told of its bytes as they come. */
  open(file: string, onBytes?: OnBytes): Promise<ByteFile | undefined>;
}

/** How a source is opened. */
export interface SourceOptions {
  /** Ends the loading; it then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Branch, tag or commit of a model on the Hub ('main'). */
  revision?: string;
  /** Whether downloads are kept for the next time (false). */
  cache?: CacheOption;
}

/**
 * @param source `https://…` or, in a page, `./…` or `/…`: the URL of a folder or of a file in it. `owner/name`: a model on
 *   the Hub. In Node also a path, which comes before a Hub id of the same look.
 */
export async function openSource(
  source: string | CheckpointSource,
  options: SourceOptions = {},
): Promise<CheckpointSource> {
  const {signal, revision} = options;
  signal?.throwIfAborted();
  const isUrl = typeof source === 'string' && /^https?:\/\//i.test(source);
  const onDisk = typeof source === 'string' && !isUrl ? await filePlatform()?.openSource(source) : undefined;
  const folder = typeof source === 'object' ? source : onDisk;
  if (folder === undefined || isUrl) {
    const http: HttpOptions = {signal, cache: await openCache(options.cache)};
    const url = checkpointUrl(source as string, revision);
    return httpSource(url, http);
  }
  if (revision !== undefined) refuseRevision(folder.name);
  return folder;
}

/**
 * The URL that a source names. A folder's ends with a slash.
 *
 * @throws If it names none.
 */
export function checkpointUrl(source: string, revision?: string): URL {
  const [, owner, name] = /^([A-Za-z0-9][\w.-]*)\/([\w.-]+)$/.exec(source) ?? [];
  if (owner !== undefined) {
    return new URL(`https://huggingface.co/${owner}/${name}/resolve/${encodeURIComponent(revision ?? 'main')}/`);
  }
  if (revision !== undefined) refuseRevision(source);
  const inPage = typeof document !== 'undefined' && /^\.{0,2}\//.test(source);
  if (inPage || /^https?:\/\//i.test(source)) {
    const url = new URL(source, inPage ? document.baseURI : undefined);
    if (!isFile(url) && !url.pathname.endsWith('/')) url.pathname += '/';
    return url;
  }
  const hint = filePlatform() ? 'there is no such file or folder' : 'files need the entry point tfjs-mamba/node';
  throw new Error(
    `fromPretrained: source must be a URL, a Hub id (owner/name) or a path, but is ${JSON.stringify(source)}; ${hint}`,
  );
}

function httpSource(url: URL, options: HttpOptions): CheckpointSource {
  const file = isFile(url) ? decodeURIComponent(url.pathname.split('/').at(-1)!) : undefined;
  return {
    name: url.href,
    weights: weightFileName(file),
    open(name, onBytes) {
      const address = new URL(encodeURIComponent(name), url);
      // Signed URLs carry their signature here.
      address.search = url.search;
      return openHttpFile(address.href, options, onBytes);
    },
  };
}

function isFile(url: URL): boolean {
  return /\.(safetensors|bin|json)$/.test(url.pathname);
}

/** The name, unless it is that of the configuration, which stands for the whole folder. */
export function weightFileName(file: string | undefined): string | undefined {
  return file === 'config.json' ? undefined : file;
}

function refuseRevision(source: string): never {
  throw new Error(`fromPretrained: revision is for models on the Hub, but source is ${source}`);
}
