/** Servers in this process, whose every answer a spec decides, and a checkpoint large enough to come in several requests. */
import {createServer, type IncomingMessage, type Server, type ServerResponse} from 'node:http';
import type {AddressInfo} from 'node:net';
import {numberedSafetensors, parseSafetensors, tinyConfig, tinyShapes, type Files} from './memoryFiles';

/** One request and what is needed to answer it. */
export interface Exchange {
  request: IncomingMessage;
  response: ServerResponse;
  /** The name of the file that was asked for, and its bytes if there is such a file. */
  name: string;
  body?: Uint8Array;
  /** The bytes [start, end) that were asked for, if it was not the whole file. */
  range?: {start: number; end: number};
  /** How many requests for this file came before. */
  count: number;
}

export type Answer = (exchange: Exchange) => void;

export class Loopback {
  files: Files = {};
  answer: Answer = honest();
  missing: Answer = ({response}) => response.writeHead(404).end('no such file');
  /** Name and range of each request. */
  readonly log: string[] = [];
  /** Addresses and headers of all requests, in one text. */
  seen = '';
  private readonly counts = new Map<string, number>();
  private readonly open = new Set<ServerResponse>();

  private constructor(private readonly server: Server) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const name = new URL(request.url!, this.origin).pathname.split('/').at(-1)!;
      const [, start, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      const text = Object.hasOwn(this.files, name) ? this.files[name] : undefined;
      const body = typeof text === 'string' ? new TextEncoder().encode(text) : text;
      const count = this.counts.get(name) ?? 0;
      this.counts.set(name, count + 1);
      this.log.push(`${name} ${start === undefined ? 'whole' : `${start}-${Number(last) + 1}`}`);
      this.seen += `${request.url} ${JSON.stringify(request.headers)}\n`;
      const end = Math.min(Number(last) + 1, body?.length ?? 0);
      const range = start === undefined ? undefined : {start: Number(start), end};
      this.open.add(response);
      response.on('error', () => {}).on('close', () => this.open.delete(response));
      (body ? this.answer : this.missing)({request, response, name, body, range, count});
    });
  }

  static async start(): Promise<Loopback> {
    // Connections stay: to lose an idle one in the moment of its use is a fault that no spec asked for.
    const server = createServer({keepAliveTimeout: 0});
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new Loopback(server);
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Forgets what has been asked, and is honest again. */
  reset(files: Files): void {
    this.files = files;
    this.answer = honest();
    this.log.length = 0;
    this.seen = '';
    this.counts.clear();
  }

  /** Ends what is still being answered. */
  cut(): void {
    for (const response of this.open) response.destroy();
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

export interface Manners {
  /** Whether the server serves ranges (true). */
  ranges?: boolean;
  /** Headers of every answer, such as those that tell the version. */
  headers?: Record<string, string>;
  /** How the body is sent (at once). */
  send?(response: ServerResponse, body: Uint8Array): void;
}

/** Answers as a server should, or nearly so. */
export function honest({ranges = true, headers = {etag: '"v1"'}, send}: Manners = {}): Answer {
  return ({response, body, range}) => {
    const part = ranges && range ? body!.subarray(range.start, range.end) : body!;
    const contentRange =
      ranges && range ? {'content-range': `bytes ${range.start}-${range.end - 1}/${body!.length}`} : {};
    response.writeHead('content-range' in contentRange ? 206 : 200, {
      'content-length': part.length,
      ...contentRange,
      ...headers,
    });
    if (send) send(response, part);
    else response.end(part);
  };
}

/** Sends that many bytes and breaks the connection. */
export function cutAfter(bytes: number): Manners['send'] {
  return (response, body) => response.write(body.subarray(0, bytes), () => setImmediate(() => response.destroy()));
}

/** Sends without an end, as fast as it is taken. */
export function endless(response: ServerResponse): void {
  const chunk = new Uint8Array(64 * 1024).fill(0x20);
  const more = () => {
    while (!response.destroyed && response.write(chunk));
  };
  response.on('drain', more);
  more();
}

/** A checkpoint of 330 kB; of another `version`, with other weights in the same places. */
export function largerFiles(version = 1): Files {
  const vocabulary = 20_600;
  const shapes = {...tinyShapes, 'backbone.embeddings.weight': [vocabulary, 4]};
  const weights = numberedSafetensors(shapes);
  const {data} = parseSafetensors(weights);
  for (let at = 0; at < data.byteLength; at += 4) data.setFloat32(at, version * data.getFloat32(at, true), true);
  return {'config.json': JSON.stringify({...tinyConfig, vocab_size: vocabulary}), 'model.safetensors': weights};
}
