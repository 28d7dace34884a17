/** Checkpoints behind URLs, from a server in this process that can misbehave in every way listed here. */
import {mkdtemp, readdir, rm} from 'node:fs/promises';
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {browserCache, type ByteCache} from '../../src/checkpoints/cache';
import {readCheckpoint, type LoadOptions, type LoadProgress} from '../../src/checkpoints/load';
import {nodeFiles} from '../../src/checkpoints/nodeFiles';
import {registerFilePlatform} from '../../src/checkpoints/platform';
import {clock} from '../../src/checkpoints/retry';
import {checkpointUrl} from '../../src/checkpoints/source';
import {collect, expectSameWeights, folderFiles, golden, readFiles, type Files} from './memoryFiles';

const single = folderFiles(join(golden, 'lm/mamba_v97_h48')); // 258 kB of weights: more than one request
const sharded = folderFiles(join(golden, 'lm/mamba_v64_h32/sharded'));
const pickled = folderFiles(join(golden, 'official/official_mamba'));
delete pickled['model.safetensors'];

type Answer = (request: IncomingMessage, response: ServerResponse, body: Uint8Array) => void;

/** A server that knows ranges. */
const ranges: Answer = (request, response, body) => {
  const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  if (start === undefined) return whole(request, response, body);
  const stop = Math.min(Number(end) + 1, body.length);
  response.writeHead(206, {
    'content-range': `bytes ${start}-${stop - 1}/${body.length}`,
    'content-length': stop - Number(start),
    etag: '"v1"',
  });
  response.end(body.subarray(Number(start), stop));
};

/** One that does not. */
const whole: Answer = (_request, response, body) => {
  response.writeHead(200, {'content-length': body.length, etag: '"v1"'});
  response.end(body);
};

describe('checkpoints behind URLs', () => {
  let server: Server;
  let base: string;
  let files: Files;
  let answer: Answer;
  let missing: Answer;
  let requests: string[];
  let sentBytes: number;

  beforeEach(async () => {
    registerFilePlatform(nodeFiles);
    spyOn(clock, 'sleep').and.resolveTo();
    files = single;
    answer = ranges;
    missing = (_request, response) => response.writeHead(404).end('no such file');
    requests = [];
    sentBytes = 0;
    server = createServer((request, response) => {
      const name = new URL(request.url!, base).pathname.replace('/model/', '');
      const body = Object.hasOwn(files, name) ? (files[name] as Uint8Array) : undefined;
      requests.push(`${name} ${request.headers.range ?? 'whole'}`);
      response.on('finish', () => (sentBytes += Number(response.getHeader('content-length') ?? 0)));
      if (body) answer(request, response, body);
      else missing(request, response, new Uint8Array(0));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model`;
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  const read = async (options?: LoadOptions, url = base) => collect(await readCheckpoint(url, options));

  it('read in ranges, each byte once', async () => {
    for (files of [single, sharded, pickled]) {
      sentBytes = 0;
      expectSameWeights(await read(), await readFiles(files));
      const size = Object.values(files).reduce((sum, {length}) => sum + length, 0);
      // The pickle's table of contents lies at its end, and is read before the rest.
      expect(sentBytes).toBeLessThan(files === pickled ? 2 * size : size + 1);
      expect(requests.some((request) => request.endsWith('whole'))).toBeFalse();
    }
  });

  it('read from servers that know no ranges', async () => {
    for (const chunked of [false, true]) {
      answer = chunked ? (_request, response, body) => void response.writeHead(200).end(body) : whole;
      for (files of [single, sharded, pickled]) expectSameWeights(await read(), await readFiles(files));
    }
  });

  it('read by the URL of a file, a signed one too', async () => {
    expectSameWeights(await read({}, `${base}/`), await readFiles(single));
    expectSameWeights(await read({}, `${base}/model.safetensors?signature=a%2Fb`), await readFiles(single));
    expectSameWeights(await read({}, `${base}/config.json`), await readFiles(single));
    files = {...pickled, 'model.safetensors': new Uint8Array(3)};
    expectSameWeights(await read({}, `${base}/pytorch_model.bin`), await readFiles(pickled));
  });

  it('take an HTML page for a missing file, as servers of single-page applications send it', async () => {
    missing = (_request, response) =>
      response.writeHead(200, {'content-type': 'text/html; charset=utf-8'}).end('<html>');
    for (files of [single, sharded]) expectSameWeights(await read(), await readFiles(files));
  });

  it('tell of their progress', async () => {
    for (answer of [ranges, whole]) {
      const seen: LoadProgress[] = [];
      await read({onProgress: (progress) => seen.push(progress)});
      const size = single['model.safetensors'].length;
      expect(seen.length).toBeGreaterThan(1);
      expect(seen.at(-1)).toEqual({loadedBytes: size, totalBytes: size, file: 'model.safetensors'});
      expect(seen.every(({loadedBytes}, i) => i === 0 || loadedBytes >= seen[i - 1].loadedBytes)).toBeTrue();
    }
  });

  it('fail with the URL in the message when the server does', async () => {
    const weights =
      (other: Answer): Answer =>
      (request, response, body) =>
        (request.url!.endsWith('.safetensors') ? other : ranges)(request, response, body);
    const later = (other: Answer) =>
      weights((request, response, body) =>
        (request.headers.range === 'bytes=0-65535' ? ranges : other)(request, response, body),
      );
    const failing: [Answer, RegExp][] = [
      [weights((_request, response) => response.writeHead(500).end()), /model\.safetensors: the server answered 500/],
      [weights((_request, response) => response.writeHead(403).end()), /answered 403 Forbidden; it may be private/],
      [weights((_request, response) => response.writeHead(401).end()), /answered 401 .*not there at all/],
      [weights((_request, response) => response.destroy()), /model\.safetensors could not be fetched/],
      [later((_request, response) => response.writeHead(500).end()), /model\.safetensors: the server answered 500/],
      [
        later((_request, response) => response.writeHead(404).end()),
        /model\.safetensors: .* but the server answered 404/,
      ],
      [
        later((_request, response, body) =>
          response
            .writeHead(206, {'content-range': `bytes 0-9/${body.length}`, etag: '"v1"'})
            .end(body.subarray(0, 10)),
        ),
        /bytes \d+ to \d+ were asked for, but the server sent others/,
      ],
      [
        later((request, response, body) => {
          const write = response.writeHead.bind(response) as (status: number, headers: object) => ServerResponse;
          response.writeHead = ((status: number, headers: object) =>
            write(status, {...headers, etag: '"v2"'})) as never;
          ranges(request, response, body);
        }),
        /model\.safetensors changed on the server while it was read/,
      ],
      [
        later((request, response, body) => {
          const [, start, end] = /(\d+)-(\d+)/.exec(request.headers.range!)!;
          response.writeHead(206, {'content-range': `bytes ${start}-${end}/${body.length}`, etag: '"v1"'});
          response.end(body.subarray(Number(start), Number(start) + 100));
        }),
        /bytes were expected, but 100 came/,
      ],
      [
        later((request, response, body) => {
          const [, start, end] = /(\d+)-(\d+)/.exec(request.headers.range!)!;
          response.writeHead(206, {'content-range': `bytes ${start}-${end}/${body.length}`, etag: '"v1"'});
          response.end(Buffer.concat([body.subarray(Number(start), Number(end) + 1), Buffer.alloc(9)]));
        }),
        /bytes were expected, but more came/,
      ],
      [
        weights((_request, response, body) => {
          response.writeHead(200, {'content-length': body.length});
          response.write(body.subarray(0, 1000), () => response.destroy());
        }),
        /model\.safetensors/,
      ],
      [weights((_request, response, body) => response.writeHead(200).end(body.subarray(0, 90_000))), /cut off/],
    ];
    for (const [bad, message] of failing) {
      answer = bad;
      await expectAsync(read()).toBeRejectedWithError(message);
    }
    files = {};
    await expectAsync(read()).toBeRejectedWithError(/model\/ has no config\.json/);
    await expectAsync(read({}, 'http://127.0.0.1:1/model')).toBeRejectedWithError(
      /127\.0\.0\.1:1.*could not be fetched/,
    );
  });

  it('stop in the middle of a download', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    for (const inRanges of [true, false]) {
      const stopped = new AbortController();
      answer = (request, response, body) => {
        if (!request.url!.endsWith('.safetensors') || (inRanges && request.headers.range === 'bytes=0-65535')) {
          return ranges(request, response, body);
        }
        response.writeHead(inRanges ? 206 : 200, {'content-length': body.length, etag: '"v1"'});
        response.write(body.subarray(0, 1000), () => stopped.abort(reason));
      };
      await expectAsync(read({signal: stopped.signal})).toBeRejectedWith(reason);
    }
    controller.abort(reason);
    requests = [];
    await expectAsync(read({signal: controller.signal})).toBeRejectedWith(reason);
    expect(requests).toEqual([]);
  });

  it('are cached on request, until they change', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tfjs-mamba-'));
    try {
      for (answer of [ranges, whole]) {
        await read({cache: folder});
        expect((await readdir(folder)).length).toBeGreaterThan(0);
        requests = [];
        sentBytes = 0;
        expectSameWeights(await read({cache: folder}), await readFiles(single));
        const rest = requests.filter((request) => !request.endsWith('bytes=0-65535'));
        expect(rest).toEqual([]);
      }
      answer = (request, response, body) => {
        const write = response.writeHead.bind(response) as (status: number, headers: object) => ServerResponse;
        response.writeHead = ((status: number, headers: object) => write(status, {...headers, etag: '"v2"'})) as never;
        ranges(request, response, body);
      };
      requests = [];
      await read({cache: folder});
      expect(requests.some((request) => !request.endsWith('bytes=0-65535'))).toBeTrue();
    } finally {
      await rm(folder, {recursive: true});
    }
  });

  it('are cached by a cache that the caller brings, and load although it is full', async () => {
    const kept = new Map<string, Uint8Array>();
    const cache: ByteCache = {get: async (key) => kept.get(key), put: async (key, bytes) => void kept.set(key, bytes)};
    expectSameWeights(await read({cache}), await readFiles(single));
    expect([...kept.keys()].every((key) => key.startsWith(`${base}/model.safetensors "v1" `))).toBeTrue();
    expect(kept.size).toBeGreaterThan(0);
    const warning = spyOn(console, 'warn');
    const full: ByteCache = {get: async () => undefined, put: () => Promise.reject(new Error('full'))};
    expectSameWeights(await read({cache: full}), await readFiles(single));
    expect(warning.calls.argsFor(0)[0]).toMatch(/could not be cached: full/);
  });

  it("are cached by the browser's Cache API", async () => {
    const kept = new Map<string, Response>();
    const cache = browserCache({
      match: async (url: string) => kept.get(new URL(url).href)?.clone(),
      put: async (url: string, response: Response) => void kept.set(new URL(url).href, response),
    } as unknown as Cache);
    expect(await cache.get('http://a/b?c "1" 0-2')).toBeUndefined();
    await cache.put('http://a/b?c "1" 0-2', Uint8Array.of(1, 2));
    expect(await cache.get('http://a/b?c "1" 0-2')).toEqual(Uint8Array.of(1, 2));
    expect(await cache.get('http://a/b?c "1" 0-3')).toBeUndefined();
  });
});

describe('sources', () => {
  afterEach(() => registerFilePlatform(nodeFiles));

  it('may be ids of the Hub, with a revision', () => {
    const hub = 'https://huggingface.co/state-spaces/mamba-130m-hf/resolve';
    expect(checkpointUrl('state-spaces/mamba-130m-hf').href).toBe(`${hub}/main/`);
    expect(checkpointUrl('state-spaces/mamba-130m-hf', 'refs/pr/1').href).toBe(`${hub}/refs%2Fpr%2F1/`);
    expect(checkpointUrl('https://example.org/a').href).toBe('https://example.org/a/');
    expect(checkpointUrl('https://example.org/a/config.json').href).toBe('https://example.org/a/config.json');
  });

  it('are refused if they are nothing, or not to be reached from here', async () => {
    registerFilePlatform(nodeFiles);
    await expectAsync(readCheckpoint('./nowhere')).toBeRejectedWithError(/"\.\/nowhere"; there is no such file/);
    await expectAsync(readCheckpoint(golden, {revision: 'main'})).toBeRejectedWithError(
      /revision is for models on the Hub/,
    );
    expect(() => checkpointUrl('https://example.org/a', 'main')).toThrowError(/revision is for models on the Hub/);
    registerFilePlatform(undefined as never);
    await expectAsync(readCheckpoint(golden)).toBeRejectedWithError(/files need the entry point tfjs-mamba\/node/);
    for (const cache of [true, 'folder']) {
      await expectAsync(readCheckpoint('https://example.org/a', {cache})).toBeRejectedWithError(
        /fromPretrained: cache/,
      );
    }
  });
});
