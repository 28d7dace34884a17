/** Runs a module in a page of headless Chromium, with TensorFlow.js, jasmine and the fixtures at hand. */
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import type {AddressInfo} from 'node:net';
import {dirname, join, normalize} from 'node:path';
import {build} from 'esbuild';
import {startChromium} from './chromium';

const root = join(import.meta.dirname, '../..');
const require = createRequire(import.meta.url);

const noIcon = Promise.resolve(['image/png', ''] as const);

/** What makes a page cross-origin isolated: there the wasm backend shares its memory with threads. */
const isolation = {'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp'};

const page = `<!doctype html><meta charset="utf-8"><title>tfjs-mamba</title>
<script src="/jasmine.js"></script>
<script type="module" src="/module.js" onerror="throw new Error('A module that the specs import did not load')"></script>`;

/** The body of an address and its media type; rejects if there is nothing. */
export type Serve = (path: string) => Promise<[type: string, body: string | Buffer]>;

/**
 * Bundles `code`, runs it, and returns what it hands to `report`; what the page prints is printed. An error that nobody catches
 * there is thrown here.
 *
 * @param env What `process.env` is in the page.
 * @param argv What `process.argv` is in the page.
 * @param more Serves what the page needs besides.
 */
export async function inChromium<T>(
  code: string,
  env: Record<string, string>,
  argv: string[] = [],
  more: Serve = (path) => Promise.reject(new Error(`nothing at ${path}`)),
): Promise<T> {
  const bundle = await bundleOf(code, env, argv);
  return inPage<T>((path) => serve(path, bundle).catch(() => more(path)), isolation);
}

/** Opens the page at `/` of what `serve` offers, with these headers, and returns what its scripts hand to `report`. */
export async function inPage<T>(serve: Serve, headers: Record<string, string> = {}): Promise<T> {
  const server = createServer((request, response) => {
    const {pathname} = new URL(request.url!, 'http://localhost');
    const body = pathname === '/favicon.ico' ? noIcon : serve(normalize(decodeURIComponent(pathname)));
    body.then(
      ([type, body]) => response.writeHead(200, {'content-type': type, ...headers}).end(body),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const browser = await startChromium();
  try {
    const tab = await browser.newPage();
    tab.on('console', (message) => console.log(message.text()));
    await tab.exposeFunction('printLine', (text: string) => console.log(text));
    return await new Promise<T>((resolve, reject) => {
      tab.on('pageerror', reject);
      tab.on('crash', () => reject(new Error('The page crashed')));
      tab
        .exposeFunction('report', resolve)
        .then(() => tab.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`))
        .catch(reject);
    });
  } finally {
    await browser.close();
    server.close();
  }
}

/** The page, the module, jasmine, the files of the wasm backend, the fixtures and the texts; the address is a path below one of these. */
async function serve(path: string, bundle: string): ReturnType<Serve> {
  if (path === '/') return ['text/html', page];
  if (path === '/module.js') return ['text/javascript', bundle];
  if (path === '/jasmine.js') {
    return ['text/javascript', await readFile(join(root, 'node_modules/jasmine-core/lib/jasmine-core/jasmine.js'))];
  }
  if (path.startsWith('/fixtures/')) return ['application/octet-stream', await readFile(join(root, 'test', path))];
  if (path.startsWith('/models/')) return ['application/octet-stream', await readFile(join(root, path))];
  if (path.endsWith('.wasm')) {
    const folder = dirname(require.resolve('@tensorflow/tfjs-backend-wasm'));
    return ['application/wasm', await readFile(join(folder, path))];
  }
  throw new Error(`nothing at ${path}`);
}

async function bundleOf(code: string, env: Record<string, string>, argv: string[]): Promise<string> {
  const {outputFiles} = await build({
    stdin: {contents: code, resolveDir: root},
    bundle: true,
    // `sideEffects` in package.json speaks of dist/ and would leave out what registers itself in src/.
    ignoreAnnotations: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    sourcemap: 'inline',
    // What only Node reaches, by dynamic imports.
    external: ['node:*', '*/src/node', './dawn'],
    define: {
      'process.env': JSON.stringify(env),
      'process.argv': JSON.stringify(argv),
    },
    logLevel: 'error',
  });
  return outputFiles[0].text;
}
