/**
 * What goes wrong around a model in a page, in headless Chromium with a real worker: networks, files, storage, the GPU, a tab that is closed.
 * Each is met with a message and a way on; no model is left half loaded, and no training is lost but the last steps.
 */
import type {IncomingMessage, ServerResponse} from 'node:http';
import type {Browser, BrowserContext, Page} from 'playwright-core';
import type {WorkerHistory, WorkerModel} from '../../src/entry/worker';
import {mambaLM} from '../../src/lm/model';
import {savePretrained} from '../../src/lm/pretrained';
import {byteTokenizer} from '../../src/lm/tokenizers';
import {startChromium} from '../support/chromium';
import {bundle, page as pageCode, serveWorkerPage} from '../support/workerPage';

type Files = Record<string, Uint8Array>;
const WEIGHTS = 'model.safetensors';

async function save(config: object, options = {}): Promise<Files> {
  const model = Object.assign(mambaLM(config as Parameters<typeof mambaLM>[0], {seed: 4}), {
    tokenizer: byteTokenizer(),
  });
  const files: Files = {};
  await savePretrained(model, {write: (name, bytes) => void (files[name] = bytes)}, options);
  model.dispose();
  return files;
}

/** What an honest server says, with what a fault changes of it. */
interface Manner {
  ranges?: boolean;
  /** In place of the weights. */
  weights?: [type: string, body: Uint8Array];
  /** How many answers about the weights break off in the middle. */
  cuts?: number;
  /** Is asked before weights are sent from there on; the answer waits for it. */
  gate?(start: number): Promise<unknown>;
}

describe('around a model in a page', () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let server: Awaited<ReturnType<typeof serveWorkerPage>>;
  let small: Files;
  let files: Files;
  let manner: Manner;
  /** Where the ranges of the weights began that were asked for. */
  let starts: number[];

  async function answer({url, headers}: IncomingMessage, response: ServerResponse): Promise<void> {
    const name = url!.split('/').at(-1)!;
    const isWeights = name === WEIGHTS;
    const [type, body] = (isWeights && manner.weights) || ['application/octet-stream', files[name]];
    if (!body) return void response.writeHead(404).end();
    const [, from, to] = (manner.ranges !== false && /^bytes=(\d+)-(\d+)$/.exec(headers.range ?? '')) || [];
    const [start, end] = from === undefined ? [0, body.length] : [Number(from), Math.min(body.length, Number(to) + 1)];
    if (isWeights) starts.push(start);
    if (isWeights) await manner.gate?.(start);
    response.writeHead(from === undefined ? 200 : 206, {
      'content-type': type,
      'content-length': end - start,
      etag: '"one"',
      ...(from !== undefined && {'content-range': `bytes ${start}-${end - 1}/${body.length}`}),
    });
    const isCut = isWeights && (start > 0 || manner.ranges === false) && (manner.cuts ?? 0) > 0;
    if (!isCut) return void response.end(body.subarray(start, end));
    manner.cuts!--;
    response.write(body.subarray(start, start + Math.floor((end - start) / 2)), () => response.destroy());
  }

  /** Loads the model, and gives what it writes, or the message. */
  const load = (cache = false) =>
    page.evaluate(
      async ([url, cache]) => {
        const told: string[] = [];
        try {
          const model = await models.fromPretrained(`${url}model/`, {cache, onUncached: (why) => told.push(why)});
          const ids: number[] = [];
          for await (const {id} of model.generate([1, 2, 3], {maxNewTokens: 5, seed: 1})) ids.push(id);
          await model.dispose();
          return {ids, told};
        } catch (error) {
          return {message: (error as Error).message, told};
        }
      },
      [server.url, cache] as const,
    );
  const connectOn = (name: string) => page.evaluate(async (name) => void (await connect().backend(name)), name);

  async function begin(): Promise<void> {
    await page.goto(server.url);
    await connectOn('cpu');
  }

  let wanted: number[];

  beforeAll(async () => {
    small = await save({vocabSize: 256, dModel: 64, nLayer: 1, dState: 4});
    files = small;
    manner = {};
    starts = [];
    server = await serveWorkerPage(answer);
    browser = await startChromium();
    context = await browser.newContext();
    page = await context.newPage();
    page.setDefaultTimeout(60_000);
    await begin();
    wanted = (await load()).ids!;
    expect(wanted.length).toBe(5);
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
  });
  // A page of its own for each: specs run in any order, and some end with their worker gone.
  beforeEach(async () => {
    files = small;
    manner = {};
    await begin();
    starts = [];
  });

  it('nothing computes but the worker, whose steps the page does not feel', async () => {
    const {files: sources} = await bundle(pageCode);
    expect(sources.filter((file) => file.includes('@tensorflow'))).toEqual([]);
    const {step, longest} = await page.evaluate(async () => {
      const tasks: number[] = [0];
      const observer = new PerformanceObserver((list) =>
        tasks.push(...list.getEntries().map(({duration}) => duration)),
      );
      observer.observe({type: 'longtask'});
      const model = await models.mambaLM({vocabSize: 256, dModel: 64, nLayer: 2}, {seed: 1});
      const data = Array.from({length: 600}, (_, i) => i % 7);
      const ends: number[] = [];
      const callbacks = {onStep: () => void ends.push(performance.now())};
      await model.fit({data, batchSize: 4, length: 64, steps: 4, optimizer: {learningRate: 0.001}, callbacks});
      for await (const {index} of model.generate([1], {maxNewTokens: 20, stopTokens: []})) if (index > 20) break;
      await model.dispose();
      await new Promise((resolve) => setTimeout(resolve, 50)); // the observer is told later
      tasks.push(...observer.takeRecords().map(({duration}) => duration));
      return {step: Math.min(...ends.slice(1).map((end, i) => end - ends[i])), longest: Math.max(...tasks)};
    });
    // However slow the machine: a step on the page's own thread would be one task of it.
    expect(longest).toBeLessThan(step);
  });

  it('a server without ranges serves it all the same', async () => {
    manner = {ranges: false};
    expect(await load()).toEqual({ids: wanted, told: []});
  });

  it('what is cut off is fetched on from there; if it stays away, that is said, and nothing is left of it', async () => {
    await load();
    const requests = starts.splice(0).length;
    manner = {cuts: 1};
    expect(await load()).toEqual({ids: wanted, told: []});
    // One or two: Chromium itself asks again over a connection that it finds closed.
    expect(starts.length).toBeGreaterThan(requests);
    const before = await page.evaluate(() => tensors());
    manner = {cuts: 100};
    expect((await load()).message).toMatch(/model\.safetensors.*(broke off|network|failed|ended)/i);
    expect(await page.evaluate(() => tensors())).toBe(before);
    manner = {};
    expect((await load()).ids).toEqual(wanted);
  });

  it('a load that is aborted ends though no byte comes, and leaves nothing', async () => {
    const before = await page.evaluate(() => tensors());
    const waiting = new Promise<void>((resolve) => {
      manner = {gate: (start) => (start > 0 ? (resolve(), new Promise(() => {})) : Promise.resolve())};
    });
    const ended = page.evaluate(async (url) => {
      const stop = new AbortController();
      Object.assign(globalThis, {stop});
      const told: number[] = [];
      const onProgress = ({loadedBytes}: {loadedBytes: number}) => void told.push(loadedBytes);
      const load = models.fromPretrained(`${url}model/`, {signal: stop.signal, onProgress});
      return load.then(
        () => 'loaded',
        ({name}: Error) => [name, told.length > 0],
      );
    }, server.url);
    await waiting;
    await page.evaluate(() => (globalThis as unknown as {stop: AbortController}).stop.abort());
    expect(await ended).toEqual(['AbortError', true]);
    expect(await page.evaluate(() => tensors())).toBe(before);
    manner = {};
    expect((await load()).ids).toEqual(wanted);
  });

  for (const [what, weights, message] of [
    ['another file', ['text/plain', new TextEncoder().encode('Not a model. '.repeat(9))], /model\.safetensors/],
    [
      'a page',
      ['text/html', new TextEncoder().encode('<!doctype html>')],
      /has no model\.safetensors|no weights|model\.safetensors/,
    ],
  ] as const) {
    it(`${what} in place of the weights is named, and nothing is left of it`, async () => {
      const before = await page.evaluate(() => tensors());
      manner = {weights: [...weights] as Manner['weights']};
      expect((await load()).message).toMatch(message);
      expect(await page.evaluate(() => tensors())).toBe(before);
      manner = {};
      expect((await load()).ids).toEqual(wanted);
    });
  }

  it('half of a download is still there after a reload, and files of 16 bits are half of it', async () => {
    const large = {vocabSize: 90_000, dModel: 64, nLayer: 1, dState: 4};
    files = await save(large);
    const [whole, half] = [files, await save(large, {dtype: 'bfloat16'})].map((saved) => saved[WEIGHTS].length);
    expect(half / whole).toBeCloseTo(0.5, 2);
    const piece = 8 * 2 ** 20;
    let reached: () => void;
    const second = new Promise<void>((resolve) => (reached = resolve));
    // Of three pieces, the second does not come.
    manner = {gate: (start) => (start < piece + 65_536 ? Promise.resolve() : (reached(), new Promise(() => {})))};
    const early = load(true).catch(() => undefined); // the page goes away under it
    expect(await Promise.race([second, early]))
      .withContext('the load ended before its second piece')
      .toBeUndefined();
    manner = {};
    await begin();
    starts = [];
    expect(await load(true)).toEqual({ids: jasmine.any(Array), told: []});
    expect(starts.filter((start) => start > 0 && start < piece)).toEqual([]);
    starts = [];
    await load(true);
    expect(starts).toEqual([0]);
  });

  it('where there is no room the model is loaded without being kept, and states and runs say so and stay what they were', async () => {
    const kept = await page.evaluate(async () => {
      const model = await models.mambaLM(
        {vocabSize: 256, dModel: 256, nLayer: 2},
        {seed: 1, tokenizer: {type: 'byte'}},
      );
      const history = await model.stateHistory();
      for await (const {index} of model.generate('Old', {history, maxNewTokens: 3})) if (index > 3) break;
      await history.save('indexeddb://text');
      Object.assign(globalThis, {own: {model, history}});
      return history.ids();
    });
    const session = await context.newCDPSession(page);
    await session.send('Storage.overrideQuotaForOrigin', {origin: new URL(server.url).origin, quotaSize: 1});
    try {
      files = await save({vocabSize: 400, dModel: 64, nLayer: 1, dState: 4}); // not kept yet
      const {ids, told} = await load(true);
      expect(ids?.length).toBe(5);
      expect(told).toEqual([
        'the model is loaded, but not kept for the next time: the browser gives this page no more room',
      ]);
      const said = await page.evaluate(async () => {
        await fill();
        const {model, history} = own;
        for await (const {index} of model.generate('', {history, maxNewTokens: 3})) if (index > 3) break;
        const data = 'Some text to learn. '.repeat(20);
        const run = {
          data,
          batchSize: 1,
          length: 8,
          steps: 2,
          optimizer: {learningRate: 0.01},
          checkpoint: {name: 'full'},
        };
        const message = (work: Promise<unknown>) =>
          work.then(
            () => 'kept',
            ({message}: Error) => message,
          );
        const state = await message(history.save('indexeddb://text'));
        const old = await (await model.loadHistory('indexeddb://text')).ids();
        return {old, messages: [state, await message(model.fit(run))]};
      });
      const full = 'IndexedDB: the browser gives this page no more room; free some, or save to a file';
      expect(said).toEqual({old: kept, messages: [`saveState: ${full}`, `browserCheckpoints: ${full}`]});
    } finally {
      await session.send('Storage.overrideQuotaForOrigin', {origin: new URL(server.url).origin});
    }
  });

  it('states are read that were kept as bytes, and the page may delete all that is kept without waiting for its worker', async () => {
    const said = await page.evaluate(async () => {
      const until = (request: IDBRequest) =>
        new Promise<IDBDatabase>((resolve, reject) => {
          request.onsuccess = () => resolve(request.result as IDBDatabase);
          request.onerror = () => reject(new Error(request.error!.message));
          if (request instanceof IDBOpenDBRequest) request.onblocked = () => reject(new Error('blocked'));
        });
      await until(indexedDB.deleteDatabase('tfjs-mamba')); // what others have kept
      const model = await models.mambaLM({vocabSize: 256, dModel: 16, nLayer: 1}, {seed: 1});
      const history = await model.stateHistory();
      for await (const {index} of model.generate([1, 2], {history, maxNewTokens: 3})) if (index > 3) break;
      const bytes = await history.save('indexeddb://blob');
      const database = await until(indexedDB.open('tfjs-mamba'));
      await until(database.transaction('states', 'readwrite').objectStore('states').put(bytes, 'bytes'));
      database.close();
      const ids = await Promise.all(
        ['blob', 'bytes'].map(async (name) => (await model.loadHistory(`indexeddb://${name}`)).ids()),
      );
      const before = await models.listStates();
      await until(indexedDB.deleteDatabase('tfjs-mamba'));
      const after = await models.listStates();
      await history.save('indexeddb://anew');
      return {ids, wanted: await history.ids(), kept: [before, after, await models.listStates()]};
    });
    expect(said.ids).toEqual([said.wanted, said.wanted]);
    expect(said.kept).toEqual([['indexeddb://blob', 'indexeddb://bytes'], [], ['indexeddb://anew']]);
  });

  it('a tab that is closed while it saves leaves the last whole state and checkpoint', async () => {
    const tab = await context.newPage();
    const told: {step: number; ids: number} = {step: 0, ids: 0};
    let enough: () => void;
    const some = new Promise<void>((resolve) => (enough = resolve));
    await tab.exposeFunction('tell', (what: 'step' | 'ids', value: number) => {
      told[what] = value;
      if (told.step >= 4 && told.ids >= 8) enough();
    });
    const config = {vocabSize: 256, dModel: 16, nLayer: 1};
    const run = {
      ...{data: 'Some text to learn from. '.repeat(20), batchSize: 1, length: 8, optimizer: {learningRate: 0.01}},
      checkpoint: {name: 'closed', every: 1},
    };
    await tab.goto(server.url);
    void tab
      .evaluate(
        async ([config, run]) => {
          const tell = (globalThis as unknown as {tell(what: string, value: number): void}).tell;
          await connect().backend('cpu');
          const model = await models.mambaLM(config, {seed: 1, tokenizer: {type: 'byte'}});
          const own = await models.mambaLM(config, {seed: 1, tokenizer: {type: 'byte'}});
          const history = await own.stateHistory();
          const save = async () => {
            for (let count = 4; ; count += 2) {
              for await (const {index} of own.generate(count > 4 ? '' : 'ab', {history, maxNewTokens: 2}))
                if (index > 2) break;
              await history.save('indexeddb://closed');
              tell('ids', count);
            }
          };
          void save();
          await model.fit({...run, steps: 100_000, callbacks: {onCheckpoint: ({step}) => tell('step', step)}});
        },
        [config, run] as const,
      )
      .catch(() => undefined);
    await some;
    await tab.close();
    const {first, ids} = await page.evaluate(
      async ([config, run, steps]) => {
        const model = await models.mambaLM(config, {seed: 1, tokenizer: {type: 'byte'}});
        const history = await model.loadHistory('indexeddb://closed');
        const ids = (await history.ids()).length;
        let first = 0;
        const stop = new AbortController();
        const onStep = ({step}: {step: number}) => {
          first ||= step;
          stop.abort();
        };
        await model.fit({...run, steps, signal: stop.signal, callbacks: {onStep}});
        await model.dispose();
        return {first, ids};
      },
      [config, run, 200_000] as const,
    );
    expect(first).toBeGreaterThan(told.step);
    expect(ids).toBeGreaterThanOrEqual(told.ids);
    expect(ids % 2).toBe(0);
  });

  for (const backend of ['webgl', 'webgpu']) {
    it(`a GPU that is lost on ${backend} is named, and asked for anew with the backend`, async () => {
      await connectOn(backend);
      const message = await page.evaluate(async (url) => {
        const model = await models.fromPretrained(`${url}model/`);
        try {
          for await (const {index} of model.generate('Once', {maxNewTokens: 50})) if (index === 2) await lose();
          return 'nothing';
        } catch (error) {
          return (error as Error).message;
        }
      }, server.url);
      expect(message).toMatch(/(WebGL context|WebGPU device) was lost.*load the model again/);
      await page.evaluate(async (name) => void (await models.backend(name)), backend);
      expect((await load()).ids).toEqual(wanted);
    });
  }

  it('a worker made of its code alone does the same where the policy allows it, and is named where it does not', async () => {
    const fromBlob = async (path: string) => {
      await page.goto(`${server.url}${path}`);
      return page.evaluate(async () => {
        const code = await (await fetch('/worker.js')).text();
        return connect(blobWorker(code))
          .backend('cpu')
          .then(
            ({backend}) => backend,
            ({message}: Error) => message,
          );
      });
    };
    expect(await fromBlob('')).toMatch(/^modelWorker: the worker stopped/);
    expect(await fromBlob('blob')).toBe('cpu');
    expect((await load()).ids).toEqual(wanted);
  });

  it('of a folder that is dropped the model is taken, wherever below it lies', async () => {
    const taken = await page.evaluate(async () => {
      const file = (path: string) => ({
        ...{isFile: true, fullPath: path},
        file: (give: (file: File) => void) => give(new File([path], path.split('/').at(-1)!)),
      });
      const folder = (path: string, all: object[]): object => ({
        ...{isFile: false, fullPath: path},
        createReader: () => ({readEntries: (give: (some: object[]) => void) => give(all.splice(0, 1))}),
      });
      const below = folder('/a/b', [
        file('/a/b/config.json'),
        file('/a/b/model.safetensors'),
        folder('/a/b/c', [file('/a/b/c/config.json')]),
      ]);
      const items = [folder('/a', [file('/a/README.md'), below])].map((entry) => ({webkitGetAsEntry: () => entry}));
      return (await droppedFiles({items} as unknown as DataTransfer)).map(({name}) => name);
    });
    expect(taken).toEqual(['config.json', WEIGHTS]);
  });
});

/** What a spec leaves in the page for what comes next. */
declare global {
  var own: {model: WorkerModel; history: WorkerHistory};
}
