/**
 * Files behind URLs. A first request asks for a little of the file, which is all of a config.json and the header of most
 * safetensors files, and shows whether the server serves ranges, and tells versions of the file apart; if it does both,
 * nothing is fetched that nobody reads (rangeFile.ts), and otherwise the file in one request (wholeFile.ts).
 */
import {blobFile, type ByteFile, type OnBytes} from './bytes';
import type {Reply} from './endpoint';
import {HttpFile, type HttpOptions} from './httpFile';
import {contentRange, fileVersion, isPage, statedLength, type ContentRange} from './httpHeaders';
import {RangeFile} from './rangeFile';
import {Retries} from './retry';
import {fetchWhole, WholeFile} from './wholeFile';

const firstBytes = 64 * 1024;
/** A file that comes in one request is held as a whole. */
const maxWholeBytes = 16 * 1024 ** 3;

/**
 * @param limit More bytes than this are refused: before the download where the server tells the length, and else during it.
 * @returns undefined if the server says that there is no such file, or answers with a page.
 * @throws An error naming the URL.
 */
export async function openHttpFile(
  url: string,
  options: HttpOptions,
  onBytes?: OnBytes,
  limit = maxWholeBytes,
): Promise<ByteFile | undefined> {
  const http = new HttpFile(url, options, onBytes, limit);
  const {reply, range, prefix} = await probe(http);
  const {status, headers} = reply.response;
  if (status === 404 || status === 410 || isPage(headers)) {
    reply.cancel();
    return undefined;
  }
  const version = fileVersion(headers);
  if (prefix && range!.end === range!.size) return blobFile(http.name, new Blob([prefix]));
  if (prefix && version) return new RangeFile(http, range!.size, version, prefix);
  const size = range?.size ?? (status === 200 ? statedLength(headers) : undefined);
  if (size !== undefined && size > limit) {
    reply.cancel();
    throw new Error(`${http.name} has ${size} bytes, more than the ${limit} such a file may have`);
  }
  // What is small, or of a length that nobody knows, is best read at once.
  if (status === 200 && (size ?? 0) <= firstBytes) {
    return blobFile(http.name, (await fetchWhole(http, size, reply)).blob);
  }
  reply.cancel();
  if (status === 416 && headers.get('content-range') === 'bytes */0') return blobFile(http.name, new Blob([]));
  if (size !== undefined) return new WholeFile(http, size, version);
  return blobFile(http.name, (await fetchWhole(http, size)).blob);
}

/** Asks for the first bytes, and reads them if there is use for them. */
async function probe(http: HttpFile): Promise<{reply: Reply; range?: ContentRange; prefix?: Uint8Array<ArrayBuffer>}> {
  const retries = new Retries(http.signal);
  for (;;) {
    try {
      const reply = await http.endpoint.get(http.signal, {start: 0, end: firstBytes});
      const {status, headers} = reply.response;
      // Without the header, which a server must allow a page of another origin to see, ranges cannot be trusted.
      const range = status === 206 ? contentRange(headers) : undefined;
      const isStart = range?.start === 0 && range.end <= firstBytes && !isPage(headers);
      if (!isStart || (range.end < range.size && fileVersion(headers) === undefined)) return {reply, range};
      const prefix = new Uint8Array(range.end);
      let at = 0;
      for await (const chunk of reply.body(range.end)) {
        prefix.set(chunk, at);
        at += chunk.length;
      }
      http.arrived.reach(at);
      return {reply, range, prefix};
    } catch (error) {
      await retries.after(error);
    }
  }
}
