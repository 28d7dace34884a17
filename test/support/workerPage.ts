/**
 * A page with a model in a real worker, in headless Chromium: both bundled by esbuild, each into one file, and served under a policy that
 * allows neither eval nor inline scripts. In the page `connect()` starts a worker; `lose` on the channel of that name takes its GPU away.
 */
import {readFile} from 'node:fs/promises';
import {createServer, type IncomingMessage, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {dirname, join} from 'node:path';
import {createRequire} from 'node:module';
import {build} from 'esbuild';
import type {ModelWorker} from '../../src/entry/worker';
import {root} from './asUser';

/** What a page with a model in its worker needs. */
export const contentPolicy =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; " +
  "img-src 'self' data:";

const require = createRequire(import.meta.url);

const page = `
  import {modelWorker} from './src/entry/worker';
  globalThis.__name = (work) => work; // tsx puts it into functions that are sent here
  globalThis.connect = () => (globalThis.models = modelWorker(new Worker('/worker.js', {type: 'module'})));
`;

const worker = `
  import * as tf from '@tensorflow/tfjs';
  import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
  import {createWebGPUBackend} from './src/webgpu';
  import {serve} from './src/entry/serve';
  setWasmPaths(new URL('/', location.href).href);
  new BroadcastChannel('lose').onmessage = () => {
    const {device, gpgpu} = tf.backend();
    device?.destroy();
    gpgpu?.gl.getExtension('WEBGL_lose_context').loseContext();
  };
  serve({ready: createWebGPUBackend().catch(() => undefined)});
`;

/** What the page has. */
declare global {
  function connect(): ModelWorker;
  var models: ModelWorker;
}

/** Answers what is neither the page nor the worker. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** Serves the page at `/`; `answer` has the rest. */
export async function serveWorkerPage(answer: Answer): Promise<{url: string; close(): void}> {
  const scripts: Record<string, string> = {'/page.js': await bundle(page), '/worker.js': await bundle(worker)};
  const wasm = dirname(require.resolve('@tensorflow/tfjs-backend-wasm'));
  const server = createServer((request, response) => {
    const {pathname} = new URL(request.url!, 'http://localhost');
    const send = (type: string, body: string | Buffer) =>
      response.writeHead(200, {'content-type': type, 'content-security-policy': contentPolicy}).end(body);
    if (pathname === '/')
      send('text/html', '<!doctype html><link rel="icon" href="data:,"><script src="page.js"></script>');
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

async function bundle(contents: string): Promise<string> {
  const {outputFiles} = await build({
    stdin: {contents, resolveDir: root},
    bundle: true,
    // `sideEffects` in package.json speaks of dist/ and would leave out what registers itself in src/.
    ignoreAnnotations: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    logLevel: 'error',
  });
  return outputFiles[0].text;
}
