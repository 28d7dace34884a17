/** Where README.md has the other programs installed. */
import {existsSync} from 'node:fs';
import {join} from 'node:path';

const folder = join(import.meta.dirname, '../../.cache/peers');

/** A Python with torch, transformers and gguf. */
export const peerPython = join(folder, 'bin/python');

/** The module node-llama-cpp. */
export const peerLlama = join(folder, 'node_modules/node-llama-cpp/dist/index.js');

/** The module @wllama/wllama, for a page. */
export const peerWllama = join(folder, 'node_modules/@wllama/wllama/esm/index.js');

/** Whether a peer is there; if not, a line says so. */
export function isInstalled(what: string, path: string): boolean {
  const found = existsSync(path);
  if (!found) console.log(`${what} is left out: bench/peers/README.md says how to install it.`);
  return found;
}

/** What a peer gives; if it fails, as one does that is not installed whole, a line says so, and the benchmark goes on without it. */
export function ofPeer<T>(what: string, measure: () => T): T | undefined {
  try {
    return measure();
  } catch (error) {
    console.log(`${what} is left out: ${(error as Error).message}\nbench/peers/README.md says how to install it.`);
    return undefined;
  }
}
