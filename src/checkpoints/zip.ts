/**
 * Reads zip archives whose entries are stored, not compressed, as all of torch.save's are: an entry is then a range of the
 * file, any part of which can be read at once. Written here because that, the checksums and the bounds on what a hostile
 * table of contents may cost are what zip libraries for browsers keep to themselves.
 *
 * Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT, sections 4.3 and 4.5.3 (sizes in 64 bits).
 */
import {pieceBytes, type ByteFile} from './bytes';
import {crc32} from './crc32';
import {quote} from './quote';

const localSignature = 0x04034b50;
const centralSignature = 0x02014b50;
const endSignature = 0x06054b50;
const endSignature64 = 0x06064b50;
const locatorSignature = 0x07064b50;

/** The end of the table of contents, and before it where it stands in 64 bits. */
const endBytes = 22;
const locatorBytes = 20;
const endBytes64 = 56;
const maxCommentBytes = 0xffff;

/** An archive has one entry for each storage of a model; this is enough for 40,000 of them. */
const maxTableBytes = 4 * 1024 * 1024;

/** What the table of contents says of an entry. */
interface Listed {
  name: string;
  flags: number;
  method: number;
  crc: number;
  size: number;
  packedSize: number;
  localHeader: number;
}

/** One file of an archive. */
export class ZipEntry {
  readonly name: string;
  readonly size: number;
  /** Where in the archive it begins; entries in this order lie one behind the other. */
  readonly position: number;
  private dataStart?: number;
  /** Its first bytes, of which the checksum is known, and that checksum. */
  private checked = 0;
  private checksum = 0;
  /** The end of what will be read of it. */
  private lastEnd = 0;

  constructor(
    private readonly file: ByteFile,
    private readonly listed: Listed,
  ) {
    this.name = listed.name;
    this.size = listed.size;
    this.position = listed.localHeader;
  }

  /** Whether it is a plain range of the archive, which the archive has in full. */
  get isStored(): boolean {
    const {flags, method, packedSize} = this.listed;
    return method === 0 && (flags & 1) === 0 && packedSize === this.size;
  }

  /** Says that bytes up to `end` will be asked for. */
  expect(end: number): void {
    this.lastEnd = Math.max(this.lastEnd, end);
  }

  /**
   * The bytes [begin, end), in pieces. Where the archive has a checksum, it is made up on the way: from parts that are read
   * in order, from what lies between them, and from what follows the last.
   */
  async *pieces(begin: number, end: number): AsyncGenerator<Uint8Array> {
    const {crc} = this.listed;
    if (crc !== 0 && this.checked < begin) await this.check(begin);
    yield* this.read(begin, end);
    if (crc !== 0 && end === this.lastEnd) await this.check(this.size);
  }

  /** All of it; for entries known to be small. */
  async bytes(): Promise<Uint8Array> {
    const all = new Uint8Array(this.size);
    let at = 0;
    for await (const piece of this.pieces(0, this.size)) {
      all.set(piece, at);
      at += piece.length;
    }
    return all;
  }

  /** Reads on to `end` for the sake of the checksum. */
  private async check(end: number): Promise<void> {
    for await (const piece of this.read(this.checked, end)) void piece;
  }

  private async *read(begin: number, end: number): AsyncGenerator<Uint8Array> {
    const start = (this.dataStart ??= await this.findData());
    for (let at = begin; at < end;) {
      const piece = await this.file.read(start + at, start + Math.min(end, at + pieceBytes));
      this.addToChecksum(at, piece);
      yield piece;
      at += piece.length;
    }
  }

  private addToChecksum(at: number, bytes: Uint8Array): void {
    const {crc} = this.listed;
    const end = at + bytes.length;
    // PyTorch writes 0 where it was told to save the time (torch.serialization.set_crc32_options).
    if (crc === 0 || at > this.checked || end <= this.checked) return;
    this.checksum = crc32(bytes.subarray(this.checked - at), this.checksum);
    this.checked = end;
    if (this.checked === this.size && this.checksum !== crc) {
      throw new Error(`${this.file.name}: ${quote(this.name)} does not match its checksum; the file is damaged`);
    }
  }

  /** The header before the data repeats the name, and alone says how long it is itself. */
  private async findData(): Promise<number> {
    const {file, listed} = this;
    const fail = (what: string): never => {
      throw new Error(`${file.name}: the header of ${quote(this.name)} ${what}; the file is damaged`);
    };
    const nameBytes = new TextEncoder().encode(this.name);
    if (listed.localHeader + 30 + nameBytes.length > file.size) fail('is not in the file');
    const header = viewOf(await file.read(listed.localHeader, listed.localHeader + 30 + nameBytes.length));
    if (header.getUint32(0, true) !== localSignature) fail('is not where the table of contents has it');
    const sameName =
      header.getUint16(26, true) === nameBytes.length && nameBytes.every((byte, i) => header.getUint8(30 + i) === byte);
    if (!sameName) fail('has another name');
    if (header.getUint16(8, true) !== listed.method) fail('has another compression');
    const start = listed.localHeader + 30 + nameBytes.length + header.getUint16(28, true);
    if (start + this.size > file.size) fail('leads out of the file');
    return start;
  }
}

/**
 * Reads the table of contents.
 *
 * @throws An error naming the file.
 */
export async function readZip(file: ByteFile): Promise<ZipEntry[]> {
  const fail = (what: string): never => {
    throw new Error(`${file.name}: ${what}`);
  };
  const {count, start, size} = await findTable(file, fail);
  if (size > maxTableBytes)
    fail(`its table of contents of ${size} bytes is more than the ${maxTableBytes} of any model`);
  if (start + size > file.size) fail('its table of contents leads out of the file; is it cut off?');
  const table = await file.read(start, start + size);
  const view = viewOf(table);
  const text = new TextDecoder();
  const entries: ZipEntry[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > size || view.getUint32(at, true) !== centralSignature) fail('its table of contents is damaged');
    const nameEnd = at + 46 + view.getUint16(at + 28, true);
    const extraEnd = nameEnd + view.getUint16(at + 30, true);
    const end = extraEnd + view.getUint16(at + 32, true);
    if (end > size) fail('its table of contents is damaged');
    const [entrySize, packedSize, localHeader] =
      wide(
        [view.getUint32(at + 24, true), view.getUint32(at + 20, true), view.getUint32(at + 42, true)],
        viewOf(table.subarray(nameEnd, extraEnd)),
      ) ?? fail('its table of contents lacks a size');
    const listed: Listed = {
      name: text.decode(table.subarray(at + 46, nameEnd)),
      flags: view.getUint16(at + 8, true),
      method: view.getUint16(at + 10, true),
      crc: view.getUint32(at + 16, true),
      size: entrySize,
      packedSize,
      localHeader,
    };
    entries.push(new ZipEntry(file, listed));
    at = end;
  }
  return entries;
}

async function findTable(
  file: ByteFile,
  fail: (what: string) => never,
): Promise<{count: number; start: number; size: number}> {
  const tailStart = Math.max(0, file.size - endBytes - maxCommentBytes - locatorBytes);
  const tail = viewOf(await file.read(tailStart, file.size));
  let end = tail.byteLength - endBytes;
  // The end is followed by nothing but a comment, whose length it states.
  while (end >= 0 && !(tail.getUint32(end, true) === endSignature && commentFits(tail, end))) end--;
  if (end < 0) fail('it is no zip archive, or cut off');
  const plain = {
    count: tail.getUint16(end + 10, true),
    size: tail.getUint32(end + 12, true),
    start: tail.getUint32(end + 16, true),
  };
  const locator = end - locatorBytes;
  if (locator < 0 || tail.getUint32(locator, true) !== locatorSignature) return plain;
  const at = uint64(tail, locator + 8);
  if (at + endBytes64 > file.size) fail('the end of its table of contents leads out of the file');
  const wideEnd = viewOf(await file.read(at, at + endBytes64));
  if (wideEnd.getUint32(0, true) !== endSignature64) fail('the end of its table of contents is damaged');
  return {count: uint64(wideEnd, 32), size: uint64(wideEnd, 40), start: uint64(wideEnd, 48)};
}

function commentFits(tail: DataView, end: number): boolean {
  return end + endBytes + tail.getUint16(end + 20, true) === tail.byteLength;
}

/** Numbers too large for 32 bits stand in an extra field instead, one behind the other. */
function wide(numbers: number[], extra: DataView): number[] | undefined {
  const missing = numbers.filter((n) => n === 0xffffffff).length;
  if (missing === 0) return numbers;
  let at = wideField(extra, 8 * missing);
  if (at === undefined) return undefined;
  return numbers.map((n) => (n === 0xffffffff ? uint64(extra, (at! += 8) - 8) : n));
}

/** Where the content of the extra field of sizes (tag 1) begins, if it has as many bytes. */
function wideField(extra: DataView, bytes: number): number | undefined {
  for (let at = 0; at + 4 <= extra.byteLength;) {
    const length = extra.getUint16(at + 2, true);
    if (extra.getUint16(at, true) === 1) {
      return length >= bytes && at + 4 + length <= extra.byteLength ? at + 4 : undefined;
    }
    at += 4 + length;
  }
  return undefined;
}

/** Beyond 2^53 it is off by a little, and beyond any file all the same. */
function uint64(view: DataView, at: number): number {
  return view.getUint32(at, true) + 2 ** 32 * view.getUint32(at + 4, true);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
