/**
 * Keeps downloaded bytes for the next time: in the browser in its Cache API, in Node in a folder. Entries are named by URL,
 * version and byte range, so a changed file is never mixed with its predecessor, and a broken download goes on where it
 * stopped. What comes back is checked (checkedCache.ts), so a cache need not be reliable.
 */
import {filePlatform} from './platform';

/** Keeps downloaded bytes by a key. */
export interface ByteCache {
  /** What was put under the key; undefined if nothing was. */
  get(key: string): Promise<Uint8Array | undefined>;
  /** Keeps the bytes, in place of what the key had. */
  put(key: string, bytes: Uint8Array): Promise<void>;
}

/** true: where this machine keeps such things; a string: that folder (Node). */
export type CacheOption = boolean | string | ByteCache;

export async function openCache(option: CacheOption = false, op = 'fromPretrained'): Promise<ByteCache | undefined> {
  if (option === false) return undefined;
  if (typeof option === 'object') return option;
  const folder = option === true ? undefined : option;
  const platform = filePlatform();
  if (platform) return platform.openCache(folder);
  if (folder !== undefined) {
    throw new Error(`${op}: cache is the folder ${folder}, and folders need the entry point tfjs-mamba/node`);
  }
  if (typeof caches === 'undefined') {
    throw new Error(`${op}: cache needs the Cache API, which browsers have on https and localhost only`);
  }
  return browserCache(await caches.open('tfjs-mamba'));
}

/** The Cache API stores responses under URLs; only ours are in this cache, so the host is without meaning. */
export function browserCache(cache: Cache): ByteCache {
  const url = (key: string) => `https://tfjs-mamba.invalid/?${encodeURIComponent(key)}`;
  return {
    async get(key) {
      const response = await cache.match(url(key));
      return response && new Uint8Array(await response.arrayBuffer());
    },
    put: (key, bytes) => cache.put(url(key), new Response(bytes as Uint8Array<ArrayBuffer>)),
  };
}
