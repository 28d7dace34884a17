/**
 * Runs the specs of a backend in headless Chromium. scripts/runTests.ts starts it as it starts the jasmine command, with the same
 * arguments and the same environment, and it hands over the same counts.
 */
import {readFile} from 'node:fs/promises';
import {createServer} from 'node:http';
import {createRequire} from 'node:module';
import type {AddressInfo} from 'node:net';
import {dirname, join, normalize} from 'node:path';
import {parseArgs} from 'node:util';
import {build} from 'esbuild';
import {requestedBackend} from './backend';
import {startChromium} from './chromium';
import type {SpecCounts} from './counts';

const {values: options, positionals: files} = parseArgs({
  allowPositionals: true,
  options: {filter: {type: 'string'}, seed: {type: 'string'}},
});
const root = join(import.meta.dirname, '../..');
const require = createRequire(import.meta.url);

const page = `<!doctype html><meta charset="utf-8"><title>specs</title>
<script src="/jasmine.js"></script><script type="module" src="/specs.js"></script>`;

const bundle = await bundleSpecs();
const server = createServer((request, response) => {
  serve(request.url!).then(
    ([type, body]) => response.writeHead(200, {'content-type': type}).end(body),
    () => response.writeHead(404).end(),
  );
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const browser = await startChromium();
try {
  process.send?.(await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`));
} finally {
  await browser.close();
  server.close();
}

/** Opens the page and waits for the counts; an error that no spec has caught ends the run. */
async function run(url: string): Promise<SpecCounts> {
  const tab = await browser.newPage();
  tab.on('console', (message) => console.log(message.text()));
  await tab.exposeFunction('printLine', (text: string) => console.log(text));
  return new Promise<SpecCounts>((resolve, reject) => {
    tab.on('pageerror', reject);
    tab.on('crash', () => reject(new Error('The page crashed')));
    tab
      .exposeFunction('report', resolve)
      .then(() => tab.goto(url))
      .catch(reject);
  });
}

/** The page, the specs, jasmine, the backend's files and the fixtures; the address is a path below one of these. */
async function serve(url: string): Promise<[type: string, body: string | Buffer]> {
  const path = normalize(decodeURIComponent(new URL(url, 'http://localhost').pathname));
  if (path === '/') return ['text/html', page];
  if (path === '/specs.js') return ['text/javascript', bundle];
  if (path === '/jasmine.js')
    return ['text/javascript', await readFile(join(root, 'node_modules/jasmine-core/lib/jasmine-core/jasmine.js'))];
  if (path.startsWith('/fixtures/')) return ['application/octet-stream', await readFile(join(root, 'test', path))];
  if (path.endsWith('.wasm')) {
    const wasm = dirname(require.resolve('@tensorflow/tfjs-backend-wasm'));
    return ['application/wasm', await readFile(join(wasm, path))];
  }
  if (path === '/favicon.ico') return ['image/png', ''];
  throw new Error(`nothing at ${path}`);
}

async function bundleSpecs(): Promise<string> {
  const entry = [
    `import './test/support/setup';`,
    ...files.map((file) => `import './${file}';`),
    `import {execute} from './test/support/page';`,
    `await execute(${JSON.stringify(options.filter ?? null)}, ${JSON.stringify(options.seed ?? null)});`,
  ];
  const {outputFiles} = await build({
    stdin: {contents: entry.join('\n'), resolveDir: root},
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    sourcemap: 'inline',
    // What only Node reaches, by dynamic imports.
    external: ['node:*', '*/src/node', './dawn'],
    define: {
      'process.env': JSON.stringify({TFJS_MAMBA_BACKEND: requestedBackend()}),
      'process.argv': JSON.stringify(options.filter === undefined ? [] : [`--filter=${options.filter}`]),
      'process.version': '"in Chromium"',
    },
    logLevel: 'error',
  });
  return outputFiles[0].text;
}
