/** Files that are fetched in one request: the server knows no ranges, or nothing by which a change between two would show. */
import {blobFile, pieceBytes, type ByteFile} from './bytes';
import {describe, type Reply} from './endpoint';
import type {HttpFile} from './httpFile';
import {fileVersion, isPage, statedLength, type FileVersion} from './httpHeaders';
import {Retries} from './retry';

/** A file of known length; it is fetched when it is first read. */
export class WholeFile implements ByteFile {
  private file?: Promise<ByteFile>;

  constructor(
    private readonly http: HttpFile,
    readonly size: number,
    private readonly version: FileVersion | undefined,
  ) {}

  get name(): string {
    return this.http.name;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    this.file ??= this.load();
    return (await this.file).read(start, end);
  }

  private async load(): Promise<ByteFile> {
    const blob = (await this.cached()) ?? (await this.fetch());
    return blobFile(this.name, blob);
  }

  private async cached(): Promise<Blob | undefined> {
    const pieces: Uint8Array[] = [];
    for (const [start, end] of piecesOf(this.size)) {
      const piece = await this.http.cached(this.version, this.size, start, end);
      if (!piece) return undefined;
      pieces.push(piece);
    }
    this.http.arrived.reach(this.size);
    return new Blob(pieces as Uint8Array<ArrayBuffer>[]);
  }

  /** What comes may be another version than the one that was asked about; it is kept as what it is. */
  private async fetch(): Promise<Blob> {
    const {blob, version} = await fetchWhole(this.http, this.size);
    for (const [start, end] of piecesOf(this.size)) {
      const piece = new Uint8Array(await blob.slice(start, end).arrayBuffer());
      await this.http.keep(version, this.size, start, piece);
    }
    return blob;
  }
}

/**
 * Fetches the file from its first byte to its last; what breaks off begins anew.
 *
 * @param size The length it must have, if that is known.
 * @param first An answer that is there already.
 */
export async function fetchWhole(
  http: HttpFile,
  size: number | undefined,
  first?: Reply,
): Promise<{blob: Blob; version: FileVersion | undefined}> {
  const retries = new Retries(http.signal);
  for (let reply = first; ; reply = undefined) {
    try {
      reply ??= await http.endpoint.get(http.signal);
      return {blob: await collect(http, reply, size), version: fileVersion(reply.response.headers)};
    } catch (error) {
      await retries.after(error);
    }
  }
}

/** The body of an answer that has the whole file. */
export async function collect(http: HttpFile, reply: Reply, size: number | undefined): Promise<Blob> {
  const {response} = reply;
  const stated = statedLength(response.headers);
  const problem =
    response.status !== 200 || isPage(response.headers)
      ? `: the whole file was asked for, but the server answered ${describe(response)}`
      : size !== undefined && stated !== undefined && stated !== size
        ? ' changed on the server while it was read'
        : undefined;
  if (problem !== undefined) {
    reply.cancel();
    throw new Error(`${http.name}${problem}`);
  }
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of reply.body(size ?? stated, http.limit)) {
    chunks.push(chunk);
    length += chunk.length;
    http.arrived.reach(length);
  }
  return new Blob(chunks as Uint8Array<ArrayBuffer>[]);
}

function* piecesOf(size: number): Generator<[start: number, end: number]> {
  for (let start = 0; start < size; start += pieceBytes) yield [start, Math.min(size, start + pieceBytes)];
}
