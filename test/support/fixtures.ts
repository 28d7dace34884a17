/**
 * Reads data files of the repository: from the disk in Node, over HTTP in a browser, where the server offers test/fixtures as /fixtures
 * and models as /models.
 */

/** The bytes of a file under test/fixtures. */
export function fixtureBytes(path: string): Promise<ArrayBuffer> {
  return bytesOf(`/fixtures/${path}`, `../fixtures/${path}`);
}

/** The bytes of a file under models. */
export function modelBytes(path: string): Promise<ArrayBuffer> {
  return bytesOf(`/models/${path}`, `../../models/${path}`);
}

/** The text that the main job trains on. */
export async function corpus(): Promise<string> {
  return new TextDecoder().decode(await modelBytes('data/tinyshakespeare.txt'));
}

async function bytesOf(address: string, pathFromHere: string): Promise<ArrayBuffer> {
  if (typeof document !== 'undefined') {
    const response = await fetch(address);
    if (!response.ok) {
      throw new Error(`${address}: ${response.status} ${response.statusText}`);
    }
    return response.arrayBuffer();
  }
  const {readFile} = await import('node:fs/promises');
  const bytes = await readFile(new URL(pathFromHere, import.meta.url));
  return new Uint8Array(bytes).buffer;
}

/** A JSON file under test/fixtures. A NaN, which Python writes and JSON does not know, becomes null. */
export async function fixtureJson<T>(path: string): Promise<T> {
  const text = new TextDecoder().decode(await fixtureBytes(path));
  return JSON.parse(text.replace(/\bNaN\b/g, 'null')) as T;
}
