/** Servers and networks that misbehave, each in one way: what still loads, and what is said of the rest. */
import type {ServerResponse} from 'node:http';
import {join} from 'node:path';
import {openHttpFile} from '../../src/checkpoints/http';
import {readCheckpoint, type LoadOptions, type LoadProgress} from '../../src/checkpoints/load';
import {nodeFiles} from '../../src/checkpoints/nodeFiles';
import {registerFilePlatform} from '../../src/checkpoints/platform';
import {clock} from '../../src/checkpoints/retry';
import {checkpointUrl} from '../../src/checkpoints/source';
import {cutAfter, endless, honest, largerFiles, Loopback, type Answer, type Exchange} from './loopback';
import {areSameWeights, collect, folderFiles, golden, readFiles, tinyFiles, type Files} from './memoryFiles';

const larger = largerFiles();
const sharded = folderFiles(join(golden, 'lm/mamba_v64_h32/sharded'));
const small = tinyFiles();
const weightFile = 'model.safetensors';
const firstBytes = `${weightFile} 0-65536`;

describe('a server that misbehaves', () => {
  let server: Loopback;
  let other: Loopback;
  let waits: number[];

  // New servers for each spec, so that none inherits a connection that another has broken.
  beforeEach(async () => {
    registerFilePlatform(nodeFiles);
    server = await Loopback.start();
    other = await Loopback.start();
    for (const each of [server, other]) each.reset(larger);
    waits = [];
    spyOn(clock, 'sleep').and.callFake(async (milliseconds) => void waits.push(milliseconds));
  });
  afterEach(async () => {
    await server.stop();
    await other.stop();
  });

  const read = async (options?: LoadOptions, query = '') =>
    collect(await readCheckpoint(`${server.origin}/model/${query}`, options));
  const expectLoaded = async (loading = read(), files: Files = server.files) =>
    expect(areSameWeights(await loading, await readFiles(files))).toBeTrue();
  const expectError = async (message: RegExp, options?: LoadOptions) =>
    expectAsync(read(options)).toBeRejectedWithError(message);

  /** Something else in answer to a request for weights: to the first one, or to later ones. */
  const atFirst =
    (bad: Answer, good = honest()): Answer =>
    (exchange) =>
      (exchange.name === weightFile && exchange.range?.start === 0 ? bad : good)(exchange);
  const later =
    (bad: Answer, good = honest()): Answer =>
    (exchange) =>
      (exchange.name === weightFile && exchange.range?.start !== 0 ? bad : good)(exchange);
  /** Something else the first time only. */
  const once = (bad: Answer, good = honest()): Answer => {
    let done = false;
    return (exchange) => {
      (done ? good : bad)(exchange);
      done = true;
    };
  };
  const status =
    (code: number, headers: Record<string, string> = {}): Answer =>
    ({response}) =>
      response.writeHead(code, headers).end();

  it('sends a page for a file that is not there', async () => {
    const types = ['Text/HTML', 'text/html; charset=utf-8', 'TEXT/HTML ;x=y', 'application/xhtml+xml'];
    for (const type of [...types, 'Application/XHTML+XML;charset=utf-8']) {
      for (const code of [200, 203, 206]) {
        const page = '<html></html>';
        const range = code === 206 ? {'content-range': `bytes 0-${page.length - 1}/${page.length}`} : {};
        server.missing = ({response}) => response.writeHead(code, {'content-type': type, ...range}).end(page);
        for (server.files of [small, sharded]) await expectLoaded();
      }
    }
    server.files = larger;
    server.answer = later(({response, body, range}) =>
      response
        .writeHead(206, {
          'content-type': 'Text/HTML',
          'content-range': `bytes ${range!.start}-${range!.end - 1}/${body!.length}`,
          etag: '"v1"',
        })
        .end(),
    );
    await expectError(/model\.safetensors: bytes \d+ to \d+ .* answered with a page/);
  });

  it('forbids what it does not have, once the configuration could be read', async () => {
    server.missing = status(403);
    for (server.files of [larger, sharded]) await expectLoaded();
    server.files = {'config.json': larger['config.json']};
    await expectError(/has no weights; looked for .*; http.*403 Forbidden; it may be private, gated/);
    const {'model-00002-of-00003.safetensors': shard, ...others} = sharded;
    expect(shard).toBeDefined();
    server.files = others;
    await expectError(/names the shard model-00002.*missing; http.*answered 403 Forbidden; it may be private/);
    server.files = {};
    await expectError(/config\.json: the server answered 403 Forbidden; it may be private/);
  });

  it('marks one version as weak and strong in turn', async () => {
    const tagged = (tags: string[], modified = ['Mon, 02 Jan 2006 15:04:05 GMT']): Answer => {
      let count = 0;
      return (exchange) => {
        const i = count++;
        const headers = {etag: tags[i % tags.length], 'last-modified': modified[i % modified.length]};
        honest({headers})(exchange);
      };
    };
    const dates = ['Mon, 02 Jan 2006 15:04:05 GMT', 'Tue, 03 Jan 2006 15:04:05 GMT'];
    for (const good of [tagged(['"v1"', 'W/"v1"']), tagged(['W/"v1"']), tagged(['"v1"'], dates)]) {
      server.answer = good;
      await expectLoaded();
    }
    for (const bad of [tagged(['"v1"', 'W/"v1"'], dates), tagged(['W/"v1"'], dates), tagged(['"v1"', '"v2"'])]) {
      server.answer = bad;
      await expectError(/model\.safetensors changed on the server while it was read/);
    }
  });

  it('sends the whole file in answer to a range', async () => {
    server.answer = later(honest({ranges: false}));
    await expectLoaded();
    expect(server.log.filter((line) => line.startsWith(weightFile)).length).toBeLessThan(6);
    server.answer = later(once(honest({ranges: false, send: cutAfter(100_000)}), honest({ranges: false})));
    await expectLoaded();
    server.answer = later(honest({ranges: false, headers: {etag: '"v2"'}}));
    await expectError(/model\.safetensors changed on the server while it was read/);
  });

  it('sends without an end', async () => {
    let sent = 0;
    const forever: Answer = ({response}) => {
      const write = response.write.bind(response) as (chunk: Uint8Array) => boolean;
      response.write = ((chunk: Uint8Array) => {
        sent += chunk.length;
        return write(chunk);
      }) as never;
      endless(response.writeHead(200, {etag: '"v1"'}));
    };
    server.answer = forever;
    await expectError(/config\.json has more than the 33554432 bytes such a file may have/);
    expect(sent).toBeLessThan(80e6);
    const open = () => openHttpFile(`${server.origin}/${weightFile}`, {}, undefined, 1e6);
    const refused: [Answer, RegExp][] = [
      [forever, /more than the 1000000 bytes/],
      [
        ({response}) => endless(response.writeHead(200, {'content-length': 1e12})),
        /has 1000000000000 bytes, more than the 1000000/,
      ],
      [
        ({response, range}) => {
          const headers: Record<string, string> = range ? {'content-range': 'bytes 0-65535/1000000000000'} : {};
          endless(response.writeHead(range ? 206 : 200, headers));
        },
        /has 1000000000000 bytes, more than the 1000000/,
      ],
      [
        ({response}) => endless(response.writeHead(206, {'content-range': 'bytes 0-65535/1000000', etag: '"v1"'})),
        /65536 bytes were expected, but more came/,
      ],
    ];
    for (const [bad, message] of refused) {
      server.answer = bad;
      await expectAsync(open()).toBeRejectedWithError(message);
    }
  });

  it('tells no version: then the file comes in one request, and is of one piece', async () => {
    const versions = [1, 2].map((version) => largerFiles(version));
    for (const firstVersion of [0, 1]) {
      server.reset(larger);
      server.answer = (exchange) => {
        const isWeights = exchange.name === weightFile;
        const body = isWeights
          ? (versions[(exchange.count + firstVersion) % 2][weightFile] as Uint8Array)
          : exchange.body;
        honest({headers: {}})({...exchange, body});
      };
      await expectLoaded(read(), versions[1 - firstVersion]);
      expect(server.log.filter((line) => line.startsWith(weightFile))).toEqual([firstBytes, `${weightFile} whole`]);
    }
  });

  it('breaks off, or is busy, once at every request', async () => {
    /** Ends as if that were all. */
    const short: Answer = ({response, body, range}) => {
      if (!range) return response.destroy();
      const contentRange = `bytes ${range.start}-${range.end - 1}/${body!.length}`;
      response
        .writeHead(206, {'content-range': contentRange, etag: '"v1"'})
        .end(body!.subarray(range.start, range.start + 10));
    };
    const faults: [string, Answer][] = [
      ['a reset', ({response}) => response.destroy()],
      ['a cut body', honest({send: cutAfter(1000)})],
      ['a short body', short],
      ...[408, 429, 500, 502, 503, 504].map((code): [string, Answer] => [`status ${code}`, status(code)]),
    ];
    for (const [name, bad] of faults) {
      for (const good of [honest(), honest({headers: {}}), honest({ranges: false})]) {
        server.reset(larger);
        const failed = new Set<string>();
        server.answer = (exchange) => {
          const key = `${exchange.name} ${exchange.range?.end}`;
          (failed.has(key) ? good : bad)(exchange);
          failed.add(key);
        };
        const tally: number[] = [];
        await expectLoaded(read({onProgress: ({loadedBytes}) => tally.push(loadedBytes)}));
        expect(failed.size).withContext(name).toBeGreaterThan(2);
        expect(tally.every((bytes, i) => i === 0 || bytes >= tally[i - 1])).toBeTrue();
      }
    }
  });

  it('is asked for the missing bytes only', async () => {
    const came = 50_000;
    let [first, cut] = [undefined as ServerResponse | undefined, false];
    const others: Exchange[] = [];
    server.answer = later((exchange) => {
      if (cut) return honest()(exchange);
      if (first) return void others.push(exchange);
      first = exchange.response;
      honest({send: (response, body) => void response.write(body.subarray(0, came))})(exchange);
    });
    // Broken off when the bytes have come: what is still on its way would be lost, or not.
    const onProgress = ({loadedBytes}: LoadProgress) => {
      if (cut || loadedBytes < 65_536 + came) return;
      cut = true;
      first!.destroy();
      others.forEach(honest());
    };
    await expectLoaded(read({onProgress}));
    expect(server.log.some((line) => line.startsWith(`${weightFile} ${65_536 + came}-`))).toBeTrue();
    // Fewer bytes than were asked for are what they are.
    server.answer = (exchange) => {
      const {range} = exchange;
      honest()({...exchange, range: range && {...range, end: Math.min(range.end, range.start + 30_000)}});
    };
    await expectLoaded();
    expect(waits.length).toBe(1);
  });

  it('tells of each byte once, though it comes twice', async () => {
    const size = larger[weightFile].length;
    for (const good of [{}, {headers: {}}, {ranges: false}]) {
      server.answer = once(
        honest({...good, send: cutAfter(70_000)}),
        once(honest({...good, send: cutAfter(90_000)}), honest(good)),
      );
      let told = 0;
      const file = await openHttpFile(`${server.origin}/${weightFile}`, {}, (count) => (told += count));
      expect((await file!.read(0, size)).length).toBe(size);
      expect(told).toBe(size);
    }
  });

  it('has four ranges to send at a time', async () => {
    const waiting: Exchange[] = [];
    server.answer = later((exchange) => {
      waiting.push(exchange);
      if (waiting.length === 4) waiting.forEach(honest());
    });
    await expectLoaded();
    expect(waiting.length).toBe(4);
    const parts = waiting.map(({range}) => range!).sort((a, b) => a.start - b.start);
    expect(parts.every(({start}, i) => start === (i === 0 ? 65536 : parts[i - 1].end))).toBeTrue();
  });

  it('is not asked for ever, and less and less often', async () => {
    server.answer = atFirst(status(503));
    await expectError(/model\.safetensors: the server answered 503 Service Unavailable/);
    expect(waits.length).toBe(4);
    for (const [i, wait] of waits.entries()) {
      expect(wait).toBeGreaterThanOrEqual(125 * 2 ** i);
      expect(wait).toBeLessThanOrEqual(250 * 2 ** i);
    }
    expect(new Set(waits.map((wait, i) => wait / 2 ** i)).size).toBeGreaterThan(1);
  });

  it('says how long to wait', async () => {
    const cases: [string, number, number][] = [
      ['7', 7000, 7000],
      [new Date(Date.now() + 30_000).toUTCString(), 28_000, 30_000],
      ['soon', 125, 250],
    ];
    for (const [value, least, most] of cases) {
      waits = [];
      server.answer = atFirst(once(status(429, {'retry-after': value})));
      await expectLoaded();
      expect(waits.length).toBe(1);
      expect(waits[0]).toBeGreaterThanOrEqual(least);
      expect(waits[0]).toBeLessThanOrEqual(most);
    }
    waits = [];
    server.answer = atFirst(status(429, {'retry-after': '3600'}));
    await expectError(/429 Too Many Requests; it asks to wait 3600 s/);
    expect(waits).toEqual([]);
  });

  it('ends the waiting at once when the load is aborted', async () => {
    (clock.sleep as jasmine.Spy).and.callThrough();
    const reason = new Error('enough');
    const quiet: Answer = () => {};
    for (const bad of [status(503, {'retry-after': '50'}), quiet]) {
      const controller = new AbortController();
      server.answer = later((exchange) => {
        bad(exchange);
        setTimeout(() => controller.abort(reason), 20);
      });
      await expectAsync(read({signal: controller.signal})).toBeRejectedWith(reason);
    }
  });

  it('is silent', async () => {
    server.answer = atFirst(() => {});
    await expectError(/model\.safetensors: the server was silent for 0\.15 s/, {timeout: 150});
    expect(server.log.filter((line) => line === firstBytes).length).toBe(2);
    const half = (response: Exchange['response'], body: Uint8Array) =>
      response.write(body.subarray(0, body.length / 2));
    server.answer = later(once(honest({send: (response, body) => void half(response, body)})));
    await expectLoaded(read({timeout: 400}));
    server.answer = later(honest({send: (response, body) => void half(response, body)}));
    await expectError(/model\.safetensors: the server was silent for 0\.15 s/, {timeout: 150});
    server.reset(larger);
    for (const timeout of [0, -1, NaN, '5', null]) {
      await expectError(/fromPretrained: timeout must be a positive number of milliseconds, but is/, {
        timeout: timeout as number,
      });
    }
    expect(server.log).toEqual([]);
    await expectLoaded(read({timeout: Infinity}));
  });

  it('redirects to another, which is then asked itself, and is not told what was in the address', async () => {
    for (const query of ['', '?token=hush']) {
      for (const each of [server, other]) each.reset(larger);
      let signature = 0;
      server.answer = ({name, response}) =>
        response.writeHead(302, {location: `${other.origin}/blobs/${++signature}/${name}`}).end();
      await expectLoaded(read({}, query));
      expect(server.log).toEqual(['config.json 0-65536', 'generation_config.json 0-65536', firstBytes]);
      expect(other.log.length).toBeGreaterThan(5);
      expect(other.seen).not.toContain('hush');
      expect(server.seen.includes('hush')).toBe(query !== '');
      // A signed address that has expired is asked for anew.
      for (const each of [server, other]) each.reset(larger);
      let fresh = 0;
      server.answer = ({name, response}) =>
        response.writeHead(307, {location: `${other.origin}/blobs/${++fresh}/${name}`}).end();
      const uses = new Map<string, number>();
      other.answer = (exchange) => {
        const {url} = exchange.request;
        uses.set(url!, (uses.get(url!) ?? 0) + 1);
        (uses.get(url!)! > 2 ? status(403) : honest())(exchange);
      };
      await expectLoaded(read({}, query));
      expect(fresh).toBeGreaterThan(2);
      expect(other.seen).not.toContain('hush');
    }
  });

  it('is never named with a password, a user or a signature', async () => {
    const secret = /hush|alice/;
    const {origin} = server;
    const place = `${origin.replace('//', '//alice:hush@')}/model`;
    const messages: string[] = [];
    const fail = async (loading: () => unknown) => {
      try {
        await loading();
      } catch (error) {
        const {message, stack, cause} = error as Error & {cause?: Error};
        messages.push(message);
        const all = [message, stack, cause?.message, cause?.stack].join('\n');
        expect(all).not.toMatch(secret);
        return;
      }
      expect('an error').toBe('there');
    };
    for (const source of [place, `${place}/${weightFile}`, 'http://alice:hush@[', 'ftp://alice:hush@host/a?b=hush']) {
      await fail(() => readCheckpoint(source));
      await fail(() => checkpointUrl(source, 'main'));
    }
    expect(messages[0]).toBe(
      `fromPretrained: source ${origin}/model has a user name or a password before the host, which fetch refuses; ` +
        'leave them out, or give a CheckpointSource that sends them in a header',
    );
    const warning = spyOn(console, 'warn');
    const cache = {get: async () => undefined, put: (key: string) => Promise.reject(new Error(`no room for ${key}`))};
    await read({cache}, '?token=hush');
    expect(warning).toHaveBeenCalledTimes(1);
    expect(warning.calls.allArgs().join()).not.toMatch(secret);
    const bad: Answer[] = [status(401), status(500), ({response}) => response.destroy(), later(status(404))];
    bad.push(later(honest({headers: {etag: '"v2"'}})), honest({send: cutAfter(9)}));
    for (server.answer of bad) await fail(() => read({}, '?X-Amz-Signature=hush&user=alice'));
    server.reset({});
    await fail(() => read({}, '?token=hush'));
  });
});
