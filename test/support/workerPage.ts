/**
 * A page with a model in a real worker, in headless Chromium: both bundled by esbuild, each into one file, and served under a policy that
 * allows neither eval nor inline scripts. In the page `connect()` starts a worker, `lose()` takes its GPU away, `fill()`
 * leaves no room in its IndexedDB, which Chromium's own setting of a quota does not reach, and `tensors()` counts its tensors.
 */
import {readFile} from 'node:fs/promises';
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {dirname, join} from 'node:path';
import {createRequire} from 'node:module';
import {build} from 'esbuild';
import type * as entry from '../../src/entry/worker';
import type {ModelWorker} from '../../src/entry/worker';
import {root} from './asUser';

/** What a page with a model in its worker needs. */
export const contentPolicy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; " +
  "img-src 'self' data:";

const require = createRequire(import.meta.url);

/** The page's own code, to be looked at. */
export const page = `
  import * as entry from './src/entry/worker';
  globalThis.__name = (work) => work; // tsx puts it into functions that are sent here
  Object.assign(globalThis, entry);
  globalThis.connect = (made) => {
    globalThis.models?.terminate();
    return (globalThis.models = entry.modelWorker(made ?? new Worker('/worker.js', {type: 'module'})));
  };
  const [asked, answered] = ['asked', 'answered'].map((name) => new BroadcastChannel(name));
  const ask = (what) => new Promise((resolve) => {
    answered.onmessage = ({data}) => resolve(data);
    asked.postMessage(what);
  });
  globalThis.lose = () => ask('lose');
  globalThis.fill = () => ask('fill');
  globalThis.tensors = () => ask('tensors');
`;

/** The worker's. */
export const worker = `
  import * as tf from '@tensorflow/tfjs';
  import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
  import {createWebGPUBackend} from './src/webgpu';
  import {serve} from './src/entry/serve';
  setWasmPaths(new URL('/', location.origin).href);
  const [asked, answered] = ['asked', 'answered'].map((name) => new BroadcastChannel(name));
  asked.onmessage = ({data}) => {
    if (data === 'lose') {
      const {device, gpgpu} = tf.backend();
      device?.destroy();
      gpgpu?.gl.getExtension('WEBGL_lose_context').loseContext();
    }
    if (data === 'fill') {
      const {put} = IDBObjectStore.prototype;
      IDBObjectStore.prototype.put = function (...args) {
        const request = put.apply(this, args);
        Object.defineProperty(this.transaction, 'error', {value: new DOMException('full', 'QuotaExceededError')});
        this.transaction.abort();
        return request;
      };
    }
    answered.postMessage(tf.memory().numTensors);
  };
  serve({ready: createWebGPUBackend().catch(() => undefined)});
`;

/** What the page has. */
declare global {
  function connect(made?: Worker): ModelWorker;
  function lose(): Promise<number>;
  function fill(): Promise<number>;
  function tensors(): Promise<number>;
  var models: ModelWorker;
  var blobWorker: typeof entry.blobWorker;
  var droppedFiles: typeof entry.droppedFiles;
}

/** Answers what is neither the page nor the worker. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Serves the page at `/`, and at `/blob` under a policy that allows a worker from a `blob:`; `answer` has the rest. */
export async function serveWorkerPage(answer: Answer): Promise<{url: string; close(): void}> {
  const scripts: Record<string, string> = {
    '/page.js': (await bundle(page)).code,
    '/worker.js': (await bundle(worker)).code,
  };
  const wasm = dirname(require.resolve('@tensorflow/tfjs-backend-wasm'));
  const server = createServer((request, response) => {
    const {pathname} = new URL(request.url!, 'http://localhost');
    const send = (type: string, body: string | Buffer) =>
      response.writeHead(200, {'content-type': type, 'content-security-policy': policy}).end(body);
    const policy = pathname === '/blob' ? contentPolicy.replace("worker-src 'self'", '$& blob:') : contentPolicy;
    if (pathname === '/' || pathname === '/blob')
      send('text/html', '<!doctype html><link rel="icon" href="data:,"><script type="module" src="page.js"></script>');
    else if (pathname in scripts) send('text/javascript', scripts[pathname]);
    else if (pathname.endsWith('.wasm'))
      void readFile(join(wasm, pathname)).then((body) => send('application/wasm', body));
    else answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.close();
    server.closeAllConnections();
  };
  return {url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, close};
}

/** @returns The bundle, and what is in it. */
export async function bundle(contents: string): Promise<{code: string; files: string[]}> {
  const {outputFiles, metafile} = await build({
    metafile: true,
    stdin: {contents, resolveDir: root},
    bundle: true,
    // `sideEffects` in package.json speaks of dist/ and would leave out what registers itself in src/.
    ignoreAnnotations: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    logLevel: 'error',
  });
  return {code: outputFiles[0].text, files: Object.keys(metafile.inputs)};
}
