/** What is kept of downloads: never taken at its word, and never for another version than the one whose bytes it is. */
import {chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, utimes, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {ByteCache} from '../../src/checkpoints/cache';
import {CheckedCache} from '../../src/checkpoints/checkedCache';
import {readCheckpoint, type LoadOptions} from '../../src/checkpoints/load';
import {nodeFiles} from '../../src/checkpoints/nodeFiles';
import {registerFilePlatform} from '../../src/checkpoints/platform';
import {honest, largerFiles, Loopback} from './loopback';
import {areSameWeights, collect, readFiles} from './memoryFiles';

const larger = largerFiles();
const weightFile = 'model.safetensors';
/** What comes after the first request, which is not kept. */
const rest = (larger[weightFile] as Uint8Array).length - 65_536;

describe('the cache of downloads', () => {
  let server: Loopback;
  let folder: string;

  beforeAll(async () => {
    registerFilePlatform(nodeFiles);
    server = await Loopback.start();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    server.reset(larger);
    folder = await mkdtemp(join(tmpdir(), 'tfjs-mamba-'));
  });
  afterEach(() => rm(folder, {recursive: true}));

  const read = async (options: LoadOptions = {cache: folder}) =>
    collect(await readCheckpoint(`${server.origin}/model`, options));
  const expectLoaded = async (options?: LoadOptions, files = larger) =>
    expect(areSameWeights(await read(options), await readFiles(files))).toBeTrue();
  /** How many requests for weights a load needs beyond the first bytes. */
  const requests = async () => {
    server.log.length = 0;
    await expectLoaded();
    return server.log.filter((line) => line.startsWith(weightFile)).length - 1;
  };
  const entries = async () => (await readdir(folder)).map((name) => join(folder, name));
  const change = async (path: string, edit: (bytes: Buffer) => Buffer) => writeFile(path, edit(await readFile(path)));

  it('keeps the bytes of a version under its name, whatever was said of another before', async () => {
    const [a, b] = [1, 2].map((version) => largerFiles(version));
    server.answer = ({name, ...exchange}) => {
      const [version, etag] = exchange.range ? [a, '"a"'] : [b, '"b"'];
      honest({ranges: false, headers: {etag}})({...exchange, name, body: body(version, name)});
    };
    await expectLoaded(undefined, b);
    server.answer = ({name, ...exchange}) =>
      honest({ranges: false, headers: {etag: '"a"'}})({...exchange, name, body: body(a, name)});
    await expectLoaded(undefined, a);
    server.answer = ({name, ...exchange}) =>
      honest({ranges: false, headers: {etag: '"b"'}})({...exchange, name, body: body(b, name)});
    await expectLoaded(undefined, b);
    expect(server.log.filter((line) => line === `${weightFile} whole`).length).toBe(2);
  });

  it('fetches again what is damaged, and keeps that', async () => {
    const damages: [string, (path: string) => Promise<unknown>][] = [
      ['a byte of the weights', (path) => change(path, (bytes) => flipped(bytes, bytes.length - 1000))],
      ['a byte of the digest', (path) => change(path, (bytes) => flipped(bytes, 3))],
      ['a byte of the name', (path) => change(path, (bytes) => flipped(bytes, 70))],
      ['a missing end', async (path) => truncate(path, (await stat(path)).size - 4)],
      ['more at the end', (path) => change(path, (bytes) => Buffer.concat([bytes, Buffer.alloc(4)]))],
      ['nothing left', (path) => truncate(path, 0)],
      ['no header, as entries had none once', (path) => change(path, (bytes) => bytes.subarray(-rest))],
      ['no file', (path) => rm(path)],
    ];
    for (const ranges of [true, false]) {
      server.answer = honest({ranges});
      expect(await requests()).toBeGreaterThan(0);
      expect(await requests()).toBe(0);
      for (const [what, damage] of damages) {
        for (const path of await entries()) await damage(path);
        expect(await requests())
          .withContext(what)
          .toBeGreaterThan(0);
        expect(await requests())
          .withContext(what)
          .toBe(0);
      }
      for (const path of await entries()) await rm(path);
    }
  });

  it('fetches again what cannot be read', async () => {
    const warning = spyOn(console, 'warn');
    await read();
    const paths = await entries();
    for (const path of paths) {
      await rm(path);
      await mkdir(path);
    }
    expect(await requests()).toBeGreaterThan(0);
    expect(warning.calls.allArgs().join()).toMatch(/model\.safetensors could not be cached/);
    // Nothing is left of what could not be put in its place.
    expect((await entries()).sort()).toEqual(paths.sort());
    const refusing: ByteCache = {get: () => Promise.reject(new Error('torn')), put: async () => {}};
    await expectLoaded({cache: refusing});
    const odd: ByteCache = {get: async () => 'text' as never, put: async () => {}};
    await expectLoaded({cache: odd});
    await chmod(folder, 0o500); // of no effect for the superuser
    await expectLoaded();
    await chmod(folder, 0o700);
  });

  it('clears away what was left of a write that never ended, and nothing else', async () => {
    const partial = '01234567-89ab-cdef-0123-456789abcdef.partial';
    const names = [partial, partial.replace('0', '1'), 'notes.partial'];
    for (const name of names) await writeFile(join(folder, name), 'x');
    const old = Date.now() / 1000 - 2 * 24 * 3600;
    for (const name of [partial, 'notes.partial']) await utimes(join(folder, name), old, old);
    await nodeFiles.openCache(folder);
    expect((await readdir(folder)).sort()).toEqual(names.slice(1).sort());
  });

  it('knows an entry in the place of another', async () => {
    const kept = new Map<string, Uint8Array>();
    const cache = new CheckedCache({
      get: async (key) => kept.get(key),
      put: async (key, bytes) => void kept.set(key, bytes),
    });
    await cache.put('a', Uint8Array.of(1, 2));
    await cache.put('b', Uint8Array.of(3, 4));
    expect(await cache.get('a', 2)).toEqual(Uint8Array.of(1, 2));
    expect(await cache.get('a', 1)).toBeUndefined();
    expect(await cache.get('c', 2)).toBeUndefined();
    kept.set('a', kept.get('b')!);
    expect(await cache.get('a', 2)).toBeUndefined();
    expect(await cache.get('b', 2)).toEqual(Uint8Array.of(3, 4));
  });

  it('keeps nothing that could not be checked', async () => {
    const kept = new Map<string, Uint8Array>();
    const cache: ByteCache = {get: async (key) => kept.get(key), put: async (key, bytes) => void kept.set(key, bytes)};
    const warning = spyOn(console, 'warn');
    spyOnProperty(globalThis, 'crypto').and.returnValue({} as Crypto); // as in a page on http
    await expectLoaded({cache});
    expect(kept.size).toBe(0);
    expect(warning.calls.argsFor(0)[0]).toMatch(/^fromPretrained: nothing is cached, because .* crypto\.subtle/);
  });

  function body(files: typeof larger, name: string): Uint8Array {
    return typeof files[name] === 'string' ? new TextEncoder().encode(files[name]) : files[name];
  }

  function flipped(bytes: Buffer, at: number): Buffer {
    bytes[at] ^= 1;
    return bytes;
  }
});
