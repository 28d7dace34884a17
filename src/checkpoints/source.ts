/**
 * Where a checkpoint is read from: a folder or file (Node), a URL, or the id of a model on the Hugging Face Hub. Whatever it
 * is, the rest of this room sees a folder whose files can be opened by name.
 */
import {show} from '../mixers/fields';
import type {ByteFile, OnBytes} from './bytes';
import {openCache, type CacheOption} from './cache';
import {CheckedCache} from './checkedCache';
import {RefusedError} from './endpoint';
import {openHttpFile} from './http';
import type {HttpOptions} from './httpFile';
import {maxJsonBytes} from './json';
import {filePlatform} from './platform';
import {withoutSecrets} from './secrets';

/** A folder with a checkpoint in it. A program may bring its own, say of files that the user has chosen in a browser. */
export interface CheckpointSource {
  /** What errors call it. */
  readonly name: string;
  /** The weight file, or index of weight files, that was asked for by name. */
  readonly weights?: string;
  /** Why a file that `open` did not find may be there all the same, for the error that says what is missing. */
  readonly doubt?: string;
  /** A file of the folder; undefined if there is none of that name. `onBytes` is told of its bytes as they come. */
  open(file: string, onBytes?: OnBytes): Promise<ByteFile | undefined>;
}

/** How a source is opened. */
export interface SourceOptions {
  /** Ends the loading; it then rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Branch, tag or commit of a model on the Hub ('main'). */
  revision?: string;
  /**
   * Whether downloads are kept for the next time (false). What comes out of the cache is checked, and fetched again if it is
   * damaged; this needs `crypto.subtle`, which pages have on https and localhost only, and without which nothing is kept. In Node, `true`
   * keeps models of the Hub where Hugging Face's Python library does and finds what that has kept: `HF_HUB_CACHE`, or `hub` in `HF_HOME`.
   */
  cache?: CacheOption;
  /** Milliseconds for which a server may be silent, before its answer or within it, until it is asked once more (30,000). */
  timeout?: number;
  /** For models on the Hub that are not for everybody; it goes to the Hub alone. In Node `HF_TOKEN`, unless given. */
  token?: string;
}

/**
 * @param source `https://…` or, in a page, `./…` or `/…`: the URL of a folder or of a file in it. `owner/name`: a model on
 *   the Hub. In Node also a path, which comes before a Hub id of the same look.
 * @param op What errors name first.
 */
export async function openSource(
  source: string | URL | CheckpointSource,
  options: SourceOptions = {},
  op = 'fromPretrained',
): Promise<CheckpointSource> {
  const {signal, revision, timeout} = options;
  if (source instanceof URL) source = source.href;
  if (timeout !== undefined && !(typeof timeout === 'number' && timeout > 0)) {
    throw new Error(`${op}: timeout must be a positive number of milliseconds, but is ${show(timeout)}`);
  }
  signal?.throwIfAborted();
  const isUrl = typeof source === 'string' && /^https?:\/\//i.test(source);
  const onDisk = typeof source === 'string' && !isUrl ? await filePlatform()?.openSource(source) : undefined;
  const folder = typeof source === 'object' ? source : onDisk;
  if (folder === undefined && hubId.test(source as string)) return openOnHub(source as string, options, op);
  if (folder === undefined || isUrl) {
    const url = checkpointUrl(source as string, revision, op);
    return httpSource(url, {signal, timeout, cache: await openCheckedCache(options.cache, op)});
  }
  if (revision !== undefined) refuseRevision(folder.name, op);
  return folder;
}

const hubId = /^[A-Za-z0-9][\w.-]*\/[\w.-]+$/;
const hubAddress = 'https://huggingface.co';

/** A model on the Hub, by way of the folder that keeps such models, if it may. */
async function openOnHub(id: string, options: SourceOptions, op: string): Promise<CheckpointSource> {
  const {revision = 'main', cache, signal, timeout} = options;
  const hub = filePlatform()?.hub;
  const known = hub?.settings();
  const token = options.token ?? known?.token;
  if (hub && (cache === true || known?.offline)) return hub.open({id, revision, token, signal, timeout});
  const url = checkpointUrl(id, revision, op, known?.endpoint);
  return httpSource(url, {signal, timeout, token, cache: await openCheckedCache(cache, op)});
}

/**
 * The URL that a source names. A folder's ends with a slash.
 *
 * @throws If it names none.
 */
export function checkpointUrl(source: string, revision?: string, op = 'fromPretrained', endpoint = hubAddress): URL {
  if (hubId.test(source)) return new URL(`${endpoint}/${source}/resolve/${encodeURIComponent(revision ?? 'main')}/`);
  if (revision !== undefined) refuseRevision(source, op);
  const inPage = typeof document !== 'undefined' && /^\.{0,2}\//.test(source);
  if (inPage || /^https?:\/\//i.test(source)) {
    const url = parseUrl(source, inPage ? document.baseURI : undefined, op);
    if (!isFile(url) && !url.pathname.endsWith('/')) url.pathname += '/';
    return url;
  }
  const hint = filePlatform() ? 'there is no such file or folder' : 'files need the entry point tfjs-mamba/node';
  throw new Error(
    `${op}: source must be a URL, a Hub id (owner/name) or a path, but is ${JSON.stringify(withoutSecrets(source))}; ${hint}`,
  );
}

function parseUrl(source: string, base: string | undefined, op: string): URL {
  let url: URL;
  try {
    url = new URL(source, base);
  } catch {
    // What the URL class throws has the whole address in it.
    throw new Error(`${op}: source ${withoutSecrets(source)} is no valid URL`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new Error(
      `${op}: source ${withoutSecrets(url.href)} has a user name or a password before the host, which fetch ` +
        'refuses; leave them out, or give a CheckpointSource that sends them in a header',
    );
  }
  return url;
}

async function openCheckedCache(option: CacheOption | undefined, op: string): Promise<CheckedCache | undefined> {
  const cache = await openCache(option, op);
  if (cache === undefined || globalThis.crypto?.subtle) return cache && new CheckedCache(cache);
  console.warn(
    `${op}: nothing is cached, because what is kept is checked with crypto.subtle, which pages have on https and ` +
      'localhost only',
  );
  return undefined;
}

function httpSource(url: URL, options: HttpOptions): CheckpointSource {
  const file = isFile(url) ? lastSegment(url) : undefined;
  let opened = false;
  let doubt: string | undefined;
  return {
    name: withoutSecrets(url.href),
    weights: weightFileName(file),
    get doubt() {
      return doubt;
    },
    async open(name, onBytes) {
      const address = new URL(encodeURIComponent(name), url);
      // Signed URLs carry their signature here.
      address.search = url.search;
      try {
        const found = await openHttpFile(
          address.href,
          options,
          onBytes,
          name.endsWith('.json') ? maxJsonBytes : undefined,
        );
        opened ||= found !== undefined;
        return found;
      } catch (error) {
        // Buckets whose contents may not be listed answer so for a file that they do not have.
        if (!opened || !(error instanceof RefusedError && error.status === 403)) throw error;
        doubt = error.message;
        return undefined;
      }
    },
  };
}

function lastSegment({pathname}: URL): string {
  const segment = pathname.split('/').at(-1)!;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

function isFile(url: URL): boolean {
  return /\.(safetensors|bin|gguf|json)$/.test(url.pathname);
}

/** The name, unless it is that of the configuration, which stands for the whole folder. */
export function weightFileName(file: string | undefined): string | undefined {
  return file === 'config.json' ? undefined : file;
}

function refuseRevision(source: string, op: string): never {
  throw new Error(`${op}: revision is for models on the Hub, but source is ${withoutSecrets(source)}`);
}
