/**
 * Random sequences of faults, from a fixed seed, which fast-check prints with the shortest sequence if one fails: each ends
 * with the right weights or with a clear error, and whatever came of it, the next load with the same cache is right.
 */
import fc from 'fast-check';
import type {ByteCache} from '../../src/checkpoints/cache';
import {readCheckpoint, type LoadOptions} from '../../src/checkpoints/load';
import {clock} from '../../src/checkpoints/retry';
import {cutAfter, endless, honest, largerFiles, Loopback, type Answer, type Exchange} from './loopback';
import {areSameWeights, collect, readFiles} from './memoryFiles';

/** What a server does about versions as long as nothing is wrong. */
const tellings = ['strong', 'weak', 'in turn', 'date', 'nothing'] as const;

const script = fc.record({
  ranges: fc.boolean(),
  version: fc.constantFrom(...tellings),
  redirects: fc.boolean(),
  token: fc.boolean(),
  /** What goes wrong at the first request, the second, and so on. */
  faults: fc.array(
    fc.option(
      fc.record({
        kind: fc.oneof(
          {
            weight: 40,
            arbitrary: fc.constantFrom(
              ...['reset', 'cut', 'busy', 'forbidden', 'gone', 'page', 'other range', 'fewer bytes', 'more bytes'],
              ...['whole', 'changed', 'changed', 'changed', 'drip', 'stall'],
            ),
          },
          // Rarely, because it takes as long as tens of the others.
          {weight: 1, arbitrary: fc.constant('endless')},
        ),
        amount: fc.nat(100_000),
      }),
      {freq: 2}, // as often as not, nothing goes wrong
    ),
    {maxLength: 16},
  ),
  /** The version that the server has at the next load. */
  next: fc.nat(1),
  /** Which bytes of which entries of the cache change before the next load. */
  damages: fc.array(fc.record({entry: fc.nat(9), byte: fc.nat(330_000)}), {maxLength: 2}),
});
type Script = typeof script extends fc.Arbitrary<infer T> ? T : never;

const versions = [largerFiles(1), largerFiles(2)];
const dates = ['Mon, 02 Jan 2006 15:04:05 GMT', 'Tue, 03 Jan 2006 15:04:05 GMT'];

describe('a server that misbehaves at random', () => {
  let server: Loopback;
  let other: Loopback;
  const both = () => [server, other];

  beforeAll(async () => {
    server = await Loopback.start();
    other = await Loopback.start();
  });
  afterAll(async () => {
    for (const each of both()) await each.stop();
  });

  it('gives the right weights or a clear error, and the right weights from then on', async () => {
    spyOn(clock, 'sleep').and.resolveTo();
    spyOn(console, 'warn');
    const weights = await Promise.all(versions.map((files) => readFiles(files)));
    let [loaded, refused] = [0, 0];
    const property = fc.asyncProperty(script, async (script) => {
      const answers = misbehaving(script);
      for (const each of both()) each.reset(versions[0]);
      server.answer = script.redirects ? redirect : answers.answer;
      other.answer = answers.answer;
      const kept = new Map<string, Uint8Array>();
      const cache: ByteCache = {
        get: async (key) => kept.get(key),
        put: async (key, bytes) => void kept.set(key, bytes),
      };

      try {
        const found = await read({cache, timeout: 100}, script);
        if (!weights.some((right) => areSameWeights(found, right))) return false;
        loaded++;
      } catch (error) {
        const {message} = error as Error;
        if (error instanceof TypeError || !message.includes(`${server.origin}/model/`) || message.includes('hush'))
          throw error;
        refused++;
      }
      for (const each of both()) each.cut();
      if (other.seen.includes('hush')) return false;

      answers.recover(script.next);
      for (const {entry, byte} of script.damages) {
        const bytes = [...kept.values()][entry];
        if (bytes) bytes[byte % bytes.length] ^= 1;
      }
      return areSameWeights(await read({cache}, script), weights[script.next]);
    });
    await fc.assert(property, {numRuns: 200, seed: 10});
    expect(loaded).toBeGreaterThan(50);
    expect(refused).toBeGreaterThan(50);
  });

  async function read(options: LoadOptions, {token}: Script) {
    return collect(await readCheckpoint(`${server.origin}/model/${token ? '?token=hush' : ''}`, options));
  }

  const redirect: Answer = ({name, response}) => response.writeHead(302, {location: `${other.origin}/${name}`}).end();

  /** Answers by a script, then honestly. */
  function misbehaving({faults, ranges, version: telling}: Script) {
    const left = [...faults];
    let version = 0;
    let count = 0;
    const headers = (): Record<string, string> => {
      count++;
      if (telling === 'nothing') return {};
      const modified = {'last-modified': dates[version]};
      if (telling === 'date') return modified;
      const weak = telling === 'weak' || (telling === 'in turn' && count % 2 === 0);
      return {...modified, etag: `${weak ? 'W/' : ''}"v${version}"`};
    };
    const answer: Answer = (exchange) => {
      const fault = left.shift();
      if (fault?.kind === 'changed') version = 1 - version;
      const current = {...exchange, body: exchange.name.endsWith('.json') ? exchange.body : body(version)};
      const good = honest({ranges, headers: headers()});
      if (fault && fault.kind !== 'changed') misbehave(fault.kind, fault.amount, current, good, ranges, headers());
      else good(current);
    };
    const recover = (next: number) => {
      left.length = 0;
      version = next;
    };
    return {answer, recover};
  }
});

function body(version: number): Uint8Array {
  return versions[version]['model.safetensors'] as Uint8Array;
}

function misbehave(
  kind: string,
  amount: number,
  exchange: Exchange,
  good: Answer,
  ranges: boolean,
  headers: Record<string, string>,
): void {
  const {response, range} = exchange;
  const size = exchange.body!.length;
  const contentRange = (from: number, to: number) => ({'content-range': `bytes ${from}-${to - 1}/${size}`, ...headers});
  switch (kind) {
    case 'reset':
      return void response.destroy();
    case 'cut':
      return honest({ranges, headers, send: cutAfter(amount)})(exchange);
    case 'busy':
      return void response.writeHead([408, 429, 500, 503][amount % 4], amount % 3 ? {} : {'retry-after': '2'}).end();
    case 'forbidden':
      return void response.writeHead(403).end('<Error/>');
    case 'gone':
      return void response.writeHead(404).end();
    case 'page': {
      const page = '<html></html>';
      const part = amount % 2 && range ? {...contentRange(0, page.length)} : {};
      const type = amount % 3 ? 'Text/HTML; charset=utf-8' : 'application/xhtml+xml';
      return void response.writeHead('content-range' in part ? 206 : 200, {...part, 'content-type': type}).end(page);
    }
    case 'other range': {
      if (!range) return good(exchange);
      const start = Math.min(range.start + 1 + (amount % 1000), size - 1);
      return honest({headers})({...exchange, range: {start, end: Math.min(size, start + range.end - range.start)}});
    }
    case 'fewer bytes':
      if (!range) return good(exchange);
      return honest({headers})({...exchange, range: {...range, end: Math.min(range.end, range.start + 1 + amount)}});
    case 'more bytes':
      if (!range) return good(exchange);
      return void response
        .writeHead(206, contentRange(range.start, range.end))
        .end(exchange.body!.subarray(range.start, range.end + 1 + amount));
    case 'whole':
      return honest({ranges: false, headers})(exchange);
    case 'drip':
      return honest({ranges, headers, send: drip})(exchange);
    case 'stall':
      return honest({ranges, headers, send: (to, bytes) => void to.write(bytes.subarray(0, amount))})(exchange);
    case 'endless':
      // Weights of a length that nobody tells may be as long as the memory, which a spec should not try.
      if (range && ranges) return endless(response.writeHead(206, contentRange(range.start, range.end)));
      if (exchange.name === 'model.safetensors') return good(exchange);
      return endless(response.writeHead(200, headers));
    default:
      throw new Error(`No fault is called ${kind}`);
  }
}

/** Some bytes at a time, each after what else is to be done. */
function drip(response: Exchange['response'], bytes: Uint8Array): void {
  const next = (at: number) => {
    if (response.destroyed) return;
    if (at >= bytes.length) return void response.end();
    response.write(bytes.subarray(at, at + 7001));
    setImmediate(() => next(at + 7001));
  };
  next(0);
}
