/**
 * Reads safetensors files (https://github.com/huggingface/safetensors, "Format"): eight bytes of header length, a JSON
 * header, then the tensors without gaps. Everything that the format forbids is refused before a tensor can be read, so that
 * a file that opens is a file whose every tensor is there in full.
 */
import {decodeText, pieceBytes, type ByteFile} from './bytes';
import {isObject, maxJsonBytes, parseJsonObject} from './json';
import {shown} from './quote';
import {checkNames, countElements, dtypeBytes, type StoredTensor} from './tensors';

/** As in the reference implementation. What is read here has to be smaller still, see json.ts. */
const maxHeaderBytes = 100_000_000;

interface SafetensorsFile {
  tensors: Map<string, StoredTensor>;
  metadata: Map<string, string>;
}

interface Entry {
  name: string;
  dtype: string;
  shape: number[];
  begin: number;
  end: number;
}

/**
 * Reads and checks the table of contents.
 *
 * @throws An error naming the file, and the tensor where one is to blame.
 */
export async function openSafetensors(file: ByteFile): Promise<SafetensorsFile> {
  if (file.size < 8)
    throw new Error(`${file.name} has ${file.size} bytes, too few for a safetensors file; is it cut off?`);
  const start = await file.read(0, 8);
  const headerBytes = new DataView(start.buffer, start.byteOffset, 8).getBigUint64(0, true);
  if (headerBytes > maxHeaderBytes) {
    throw new Error(
      `${file.name}: a header of ${headerBytes} bytes is more than the ${maxHeaderBytes} that safetensors allows`,
    );
  }
  const dataStart = 8 + Number(headerBytes);
  if (dataStart > file.size) {
    throw new Error(`${file.name}: the header ends at byte ${dataStart}, but the file at ${file.size}; is it cut off?`);
  }
  if (headerBytes > maxJsonBytes) {
    throw new Error(`${file.name}: a header of ${headerBytes} bytes is more than the ${maxJsonBytes} of any model`);
  }
  const text = decodeText(`${file.name}: the header`, await file.read(8, dataStart));
  if (!text.startsWith('{')) throw new Error(`${file.name}: the header does not start with {`);
  const header = parseJsonObject(`${file.name}: the header`, text);

  const names = Object.keys(header).filter((name) => name !== '__metadata__');
  try {
    checkNames(names);
  } catch (error) {
    throw new Error(`${file.name}: ${(error as Error).message}`, {cause: error});
  }
  const entries = names.map((name) => checkEntry(file.name, name, header[name]));
  checkLayout(file, entries, dataStart);
  return {
    metadata: checkMetadata(file.name, header['__metadata__']),
    tensors: new Map(entries.map((entry) => [entry.name, storedTensor(file, entry, dataStart)])),
  };
}

/** Absent, or null, which is as much as absent to the reference implementation. */
function checkMetadata(file: string, metadata: unknown): Map<string, string> {
  metadata ??= {};
  if (!isObject(metadata) || Object.values(metadata).some((value) => typeof value !== 'string')) {
    throw new Error(`${file}: __metadata__ must be an object of strings`);
  }
  return new Map(Object.entries(metadata) as [string, string][]);
}

function checkEntry(file: string, name: string, value: unknown): Entry {
  const fail = (message: string): never => {
    throw new Error(`${file}: tensor ${name} ${message}`);
  };
  if (!isObject(value)) return fail('is not described by an object');
  const {dtype, shape, data_offsets: offsets} = value;
  const itemBytes = dtypeBytes.get(dtype as string);
  if (itemBytes === undefined) return fail(`has the unknown dtype ${shown(dtype)}`);
  if (!isNaturals(shape)) return fail(`must have a shape of whole numbers, but has ${shown(shape)}`);
  if (!isNaturals(offsets) || offsets.length !== 2) {
    return fail(`must have two whole numbers as data_offsets, but has ${shown(offsets)}`);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = (countElements(shape) ?? Infinity) * itemBytes;
  if (end - begin !== bytes) {
    return fail(
      `of shape ${shown(shape)} and dtype ${dtype as string} takes ${bytes} bytes, but its data_offsets [${offsets}] span ${end - begin}`,
    );
  }
  return {name, dtype: dtype as string, shape, begin, end};
}

/** The tensors must cover the rest of the file, each byte once. */
function checkLayout(file: ByteFile, entries: Entry[], dataStart: number): void {
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  let previous = 'the header';
  for (const {name, begin, end} of entries) {
    if (begin !== covered) {
      const what = begin < covered ? 'overlaps' : 'leaves a gap after';
      throw new Error(
        `${file.name}: tensor ${name} at [${begin},${end}] ${what} ${previous}, which ends at ${covered}`,
      );
    }
    covered = end;
    previous = `tensor ${name}`;
  }
  const present = file.size - dataStart;
  if (present !== covered) {
    const hint = present < covered ? 'is it cut off?' : 'something follows the last tensor';
    throw new Error(`${file.name}: the tensors take ${covered} bytes, but the file has ${present} for them; ${hint}`);
  }
}

function storedTensor(file: ByteFile, entry: Entry, dataStart: number): StoredTensor {
  const {name, dtype, shape} = entry;
  return {
    name,
    dtype,
    shape,
    file: file.name,
    position: dataStart + entry.begin,
    async *pieces() {
      const end = dataStart + entry.end;
      for (let at = dataStart + entry.begin; at < end; at += pieceBytes) {
        yield await file.read(at, Math.min(end, at + pieceBytes));
      }
    },
  };
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
