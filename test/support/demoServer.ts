/** Builds the demo and serves it, as a plain host would: files with ranges, and a policy that allows no eval. */
import {createReadStream, statSync} from 'node:fs';
import {createServer, type Server} from 'node:http';
import type {AddressInfo} from 'node:net';
import {extname, join, normalize} from 'node:path';
import {build} from 'vite';
import {root} from './asUser';
import {contentPolicy} from './workerPage';

const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};

/** What was asked for, and whether as a range. */
export interface Asked {
  path: string;
  range: boolean;
}

export async function buildDemo(): Promise<void> {
  await build({configFile: join(root, 'demo/vite.config.js'), logLevel: 'error'});
}

/**
 * Serves demo/dist at `/`, and a folder with a checkpoint at `/small/`.
 *
 * @param asked Is given every request.
 */
export async function serveDemo(checkpoint: string, asked: Asked[]): Promise<{url: string; server: Server}> {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url!, 'http://localhost').pathname));
    const {range} = request.headers;
    asked.push({path, range: range !== undefined});
    const file = path.startsWith('/small/')
      ? join(checkpoint, path.slice('/small/'.length))
      : join(root, 'demo/dist', path === '/' ? 'index.html' : path);
    const found = statSync(file, {throwIfNoEntry: false});
    if (!found?.isFile()) return response.writeHead(404).end();
    const headers = {
      'content-type': types[extname(file)] ?? 'application/octet-stream',
      'content-security-policy': contentPolicy,
      'accept-ranges': 'bytes',
      etag: `"${found.size}-${found.mtimeMs}"`,
    };
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(range ?? '') ?? [];
    if (from === undefined) {
      response.writeHead(200, {...headers, 'content-length': found.size});
      return createReadStream(file).pipe(response);
    }
    const [start, end] = [Number(from), Math.min(Number(to), found.size - 1)];
    response.writeHead(206, {
      ...headers,
      'content-range': `bytes ${start}-${end}/${found.size}`,
      'content-length': end - start + 1,
    });
    return createReadStream(file, {start, end}).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, server};
}
