/** Reads test/fixtures: from the disk in Node, over HTTP in a browser, where the server offers the folder as /fixtures. */

/** The bytes of a file under test/fixtures. */
export async function fixtureBytes(path: string): Promise<ArrayBuffer> {
  if (typeof document !== 'undefined') {
    const response = await fetch(`/fixtures/${path}`);
    if (!response.ok) {
      throw new Error(`/fixtures/${path}: ${response.status} ${response.statusText}`);
    }
    return response.arrayBuffer();
  }
  const {readFile} = await import('node:fs/promises');
  const bytes = await readFile(new URL(`../fixtures/${path}`, import.meta.url));
  return new Uint8Array(bytes).buffer;
}

/** A JSON file under test/fixtures. A NaN, which Python writes and JSON does not know, becomes null. */
export async function fixtureJson<T>(path: string): Promise<T> {
  const text = new TextDecoder().decode(await fixtureBytes(path));
  return JSON.parse(text.replace(/\bNaN\b/g, 'null')) as T;
}
