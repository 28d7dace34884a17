/**
 * Reads `pytorch_model.bin`: what torch.save makes of a state dict since PyTorch 1.6, a zip archive without compression that
 * holds a pickle (data.pkl) and one file per storage (data/0, data/1, ...).
 *
 * Format: torch/serialization.py (_save, _load).
 */
import type {ByteFile} from './bytes';
import {quote} from './quote';
import {gather, isContiguous, reach} from './strided';
import {checkNames, countElements, dtypeBytes, type StoredTensor} from './tensors';
import {readStateDict, type TensorView} from './torchPickle';
import {readZip, type ZipEntry} from './zip';

/** A state dict needs a few hundred bytes per tensor. */
const maxPickleBytes = 16 * 1024 * 1024;

/**
 * Elements of a view that has more of them than its storage. Such views are one element expanded, say, for a D that is all
 * ones; without a bound a small file could ask for any amount of memory.
 */
const maxRepeated = 2 ** 24;

/**
 * Reads and checks the table of contents.
 *
 * @throws An error naming the file, and the tensor or the global where one is to blame.
 */
export async function openTorchArchive(file: ByteFile, signal?: AbortSignal): Promise<Map<string, StoredTensor>> {
  const start = await file.read(0, Math.min(4, file.size));
  if (start[0] === 0x80) {
    throw new Error(
      `${file.name} is in the format that torch.save had before PyTorch 1.6, which is not supported; ` +
        'load it in PyTorch and save it again, best as safetensors',
    );
  }
  try {
    const archive = await openArchive(file);
    const views = readStateDict(await archive.entry('data.pkl').bytes());
    checkNames([...views.keys()]);
    return new Map(Array.from(views, ([name, view]) => [name, new ArchiveTensor(file.name, name, view, archive)]));
  } catch (error) {
    if (signal?.aborted || (error as Error).message.startsWith(file.name)) throw error;
    throw new Error(`${file.name}: ${(error as Error).message}`, {cause: error});
  }
}

interface Archive {
  /** The entry at a path below the archive's one folder. */
  entry(path: string): ZipEntry;
  has(path: string): boolean;
}

async function openArchive(file: ByteFile): Promise<Archive> {
  const entries = await readZip(file);
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  if (byName.size !== entries.length) throw new Error('the archive has two entries of one name');
  const pickles = entries.filter(({name}) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    throw new Error(`the archive must have one data.pkl, but has ${pickles.length}; is it from torch.save?`);
  }
  const root = pickles[0].name.slice(0, -'data.pkl'.length);

  const archive: Archive = {
    has: (path) => byName.has(root + path),
    entry(path) {
      const entry = byName.get(root + path);
      if (!entry) throw new Error(`the archive lacks ${quote(root + path)}`);
      if (!entry.isStored)
        throw new Error(`${quote(entry.name)} is compressed or encrypted, which torch.save never does`);
      if (entry.size > file.size) throw new Error(`${quote(entry.name)} is larger than the archive`);
      return entry;
    },
  };
  if (archive.entry('data.pkl').size > maxPickleBytes) {
    throw new Error('data.pkl is larger than that of any state dict');
  }
  if (archive.has('byteorder')) {
    const order = archive.entry('byteorder');
    if (order.size > 16 || new TextDecoder().decode(await order.bytes()) !== 'little') {
      throw new Error('the archive is not little-endian');
    }
  }
  return archive;
}

/** A tensor that fits its storage, whose storage is in the archive in full. */
class ArchiveTensor implements StoredTensor {
  readonly position: number;
  private readonly entry: ZipEntry;
  private readonly itemBytes: number;
  /** Where in the storage the first element begins, and the last ends. */
  private readonly begin: number;
  private readonly end: number;

  constructor(
    readonly file: string,
    readonly name: string,
    private readonly view: TensorView,
    private readonly archive: Archive,
  ) {
    const {storage, offset, shape, strides} = view;
    this.entry = archive.entry(`data/${storage.key}`);
    this.itemBytes = dtypeBytes.get(storage.dtype)!;
    if (this.entry.size !== storage.length * this.itemBytes) {
      throw new Error(
        `tensor ${quote(name)}: its storage has ${this.entry.size} bytes, ` +
          `but ${storage.length} elements of ${this.itemBytes} are stated`,
      );
    }
    const last = reach(shape, strides);
    const count = countElements(shape) ?? Infinity;
    if (!(offset + last < storage.length && count <= Math.max(storage.length, maxRepeated))) {
      throw new Error(
        `tensor ${quote(name)} of shape [${shape}], strides [${strides}] and offset ${offset} ` +
          `does not fit its storage of ${storage.length} elements`,
      );
    }
    this.begin = offset * this.itemBytes;
    this.end = last < 0 ? this.begin : this.begin + (last + 1) * this.itemBytes;
    if (last >= 0) this.entry.expect(this.end);
    // Views of one storage are best read in the order in which they lie in it.
    this.position = this.entry.position + this.begin;
  }

  get dtype(): string {
    return this.view.storage.dtype;
  }

  get shape(): readonly number[] {
    return this.view.shape;
  }

  isSameAs(other: StoredTensor): boolean {
    const identity = ({view: {storage, ...rest}}: ArchiveTensor) =>
      JSON.stringify([storage.key, storage.dtype, rest.offset, rest.shape, rest.strides]);
    return other instanceof ArchiveTensor && other.archive === this.archive && identity(this) === identity(other);
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    const {entry, begin, end} = this;
    if (begin === end) return;
    const {shape, strides} = this.view;
    if (isContiguous(shape, strides)) {
      yield* entry.pieces(begin, end);
      return;
    }
    const bytes = new Uint8Array(end - begin);
    let at = 0;
    for await (const piece of entry.pieces(begin, end)) {
      bytes.set(piece, at);
      at += piece.length;
    }
    yield gather(bytes, this.itemBytes, shape, strides);
  }
}
