/**
 * Reads the container GGUF, versions 2 and 3 (ggml `docs/gguf.md`): metadata, a table of tensors, and the tensors, each at a multiple of an
 * alignment. Every length is held against the file before anything is made of it, so that a file that opens has every tensor in full.
 */
import type {ByteFile} from './bytes';
import {pieceBytes} from './bytes';
import {bytesPerFloat, isFloatFormat} from './floats';
import {quantizedTypes} from './quantized';
import {quote} from './quote';
import {checkNames, countElements, type StoredTensor} from './tensors';

/** Metadata: numbers, booleans and texts; of an array only that it is there. */
export type GgufValue = number | boolean | string | undefined;

export interface GgufFile {
  metadata: ReadonlyMap<string, GgufValue>;
  tensors: Map<string, StoredTensor>;
}

const MAGIC = 0x46554747; // GGUF
const maxEntries = 65_536;
const maxTextBytes = 1 << 20;
/** The longest array is a vocabulary. */
const maxArray = 2 ** 21;

/** `ggml_type`: those that are read, and names for those that are not. */
const types = new Map<number, string>([
  [0, 'F32'],
  [1, 'F16'],
  [2, 'Q4_0'],
  [3, 'Q4_1'],
  [6, 'Q5_0'],
  [7, 'Q5_1'],
  [8, 'Q8_0'],
  [10, 'Q2_K'],
  [11, 'Q3_K'],
  [12, 'Q4_K'],
  [13, 'Q5_K'],
  [14, 'Q6_K'],
  [20, 'IQ4_NL'],
  [28, 'F64'],
  [30, 'BF16'],
]);

/** Bytes of the types of metadata that have a fixed size, by their numbers; 8 is a text and 9 an array. */
const sizes = [1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8];
const TEXT = 8;
const ARRAY = 9;

/** @throws Error naming the file, and the key or the tensor at fault. */
export async function openGguf(file: ByteFile): Promise<GgufFile> {
  const cursor = new Cursor(file);
  if ((await cursor.uint32()) !== MAGIC) throw new Error(`${file.name} does not begin as a GGUF file`);
  const version = await cursor.uint32();
  if (version !== 2 && version !== 3)
    throw new Error(`${file.name}: GGUF version ${version} is not supported, only 2 and 3 are`);
  const tensorCount = await cursor.count('tensors', maxEntries);
  const entryCount = await cursor.count('entries of metadata', maxEntries);
  const metadata = new Map<string, GgufValue>();
  for (let i = 0; i < entryCount; i++) {
    const key = await cursor.text();
    if (metadata.has(key)) throw new Error(`${file.name} has the key ${quote(key)} twice`);
    metadata.set(key, await value(cursor, key, await cursor.uint32()));
  }
  const entries: Entry[] = [];
  for (let i = 0; i < tensorCount; i++) entries.push(await entry(cursor, file.name));
  const alignment = metadata.get('general.alignment') ?? 32;
  if (typeof alignment !== 'number' || !(alignment >= 1 && alignment <= 65_536)) {
    throw new Error(`${file.name}: general.alignment must be a small number, but is ${String(alignment)}`);
  }
  const start = Math.ceil(cursor.at / alignment) * alignment;
  return {metadata, tensors: tensorsOf(file, entries, start, alignment)};
}

interface Entry {
  name: string;
  dtype: string;
  shape: number[];
  offset: number;
  bytes: number;
}

async function value(cursor: Cursor, key: string, type: number): Promise<GgufValue> {
  const {name} = cursor.file;
  if (type === TEXT) return cursor.text();
  if (type === ARRAY) {
    const inner = await cursor.uint32();
    const count = await cursor.count(`values of ${quote(key)}`, maxArray);
    if (inner !== TEXT && !sizes[inner])
      throw new Error(`${name}: ${quote(key)} is an array of the unknown type ${inner}`);
    if (inner === TEXT)
      for (let i = 0; i < count; i++) cursor.skip(await cursor.count('bytes of a text', maxTextBytes));
    else cursor.skip(count * sizes[inner]);
    return undefined;
  }
  if (!sizes[type]) throw new Error(`${name}: ${quote(key)} has the unknown type ${type}`);
  const view = await cursor.view(sizes[type]);
  switch (type) {
    case 0:
      return view.getUint8(0);
    case 1:
      return view.getInt8(0);
    case 2:
      return view.getUint16(0, true);
    case 3:
      return view.getInt16(0, true);
    case 4:
      return view.getUint32(0, true);
    case 5:
      return view.getInt32(0, true);
    case 6:
      return view.getFloat32(0, true);
    case 7:
      return view.getUint8(0) !== 0;
    case 10:
      return Number(view.getBigUint64(0, true));
    case 11:
      return Number(view.getBigInt64(0, true));
    default:
      return view.getFloat64(0, true);
  }
}

async function entry(cursor: Cursor, file: string): Promise<Entry> {
  const name = await cursor.text();
  const fail = (message: string): never => {
    throw new Error(`${file}: tensor ${quote(name)} ${message}`);
  };
  const rank = await cursor.uint32();
  if (rank > 8) return fail(`has ${rank} dimensions`);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++)
    shape.unshift(await cursor.count(`elements of ${quote(name)}`, Number.MAX_SAFE_INTEGER));
  const type = await cursor.uint32();
  const dtype = types.get(type) ?? `type ${type}`;
  const offset = await cursor.count(`bytes before ${quote(name)}`, Number.MAX_SAFE_INTEGER);
  const block = isFloatFormat(dtype) ? {values: 1, bytes: bytesPerFloat[dtype]} : quantizedTypes[dtype];
  if (!block)
    return fail(
      `is of ${dtype}, which is not supported; F32, F16, BF16, ${Object.keys(quantizedTypes).join(', ')} are`,
    );
  const width = shape[shape.length - 1] ?? 1;
  if (width % block.values !== 0)
    return fail(`has rows of ${width}, which ${dtype} cannot cut into blocks of ${block.values}`);
  return {name, dtype, shape, offset, bytes: ((countElements(shape) ?? Infinity) / block.values) * block.bytes};
}

/** No tensor may reach beyond the file or into another; between them there may be padding. */
function tensorsOf(file: ByteFile, entries: Entry[], start: number, alignment: number): Map<string, StoredTensor> {
  try {
    checkNames(entries.map(({name}) => name));
  } catch (error) {
    throw new Error(`${file.name}: ${(error as Error).message}`, {cause: error});
  }
  const tensors = new Map<string, StoredTensor>();
  let end = start;
  for (const {name, dtype, shape, offset, bytes} of entries.sort((a, b) => a.offset - b.offset)) {
    const position = start + offset;
    if (tensors.has(name)) throw new Error(`${file.name} has the tensor ${quote(name)} twice`);
    if (offset % alignment !== 0 || position < end) {
      throw new Error(
        `${file.name}: tensor ${quote(name)} lies at ${offset}, in another or off the alignment of ${alignment}`,
      );
    }
    end = position + bytes;
    if (!(end <= file.size)) {
      throw new Error(
        `${file.name}: tensor ${quote(name)} ends at byte ${end}, but the file at ${file.size}; is it cut off?`,
      );
    }
    tensors.set(name, stored(file, {name, dtype, shape}, position, end));
  }
  return tensors;
}

function stored(
  file: ByteFile,
  entry: Pick<StoredTensor, 'name' | 'dtype' | 'shape'>,
  position: number,
  end: number,
): StoredTensor {
  return {
    ...entry,
    file: file.name,
    position,
    async *pieces() {
      for (let at = position; at < end; at += pieceBytes) yield await file.read(at, Math.min(end, at + pieceBytes));
    },
  };
}

/** Walks through a file. */
class Cursor {
  at = 0;

  constructor(readonly file: ByteFile) {}

  async view(bytes: number): Promise<DataView> {
    const {byteOffset, buffer} = await this.bytes(bytes);
    return new DataView(buffer, byteOffset, bytes);
  }

  async uint32(): Promise<number> {
    return (await this.view(4)).getUint32(0, true);
  }

  /** A number of things, of which there may be so many. */
  async count(what: string, most: number): Promise<number> {
    const count = (await this.view(8)).getBigUint64(0, true);
    if (count > most) throw new Error(`${this.file.name}: ${count} ${what} are more than the ${most} of any model`);
    return Number(count);
  }

  async text(): Promise<string> {
    const bytes = await this.bytes(await this.count('bytes of a text', maxTextBytes));
    try {
      return new TextDecoder('utf-8', {fatal: true}).decode(bytes);
    } catch {
      throw new Error(`${this.file.name} has a text that is not UTF-8 before byte ${this.at}`);
    }
  }

  skip(bytes: number): void {
    this.checkEnd(bytes);
    this.at += bytes;
  }

  private async bytes(count: number): Promise<Uint8Array> {
    this.checkEnd(count);
    const bytes = await this.file.read(this.at, this.at + count);
    this.at += count;
    return bytes;
  }

  private checkEnd(count: number): void {
    const end = this.at + count;
    if (end <= this.file.size) return;
    throw new Error(
      `${this.file.name}: the table of contents goes on to byte ${end}, but the file ends at ${this.file.size}; is it cut off?`,
    );
  }
}
