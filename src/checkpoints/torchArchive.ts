/**
 * Reads `pytorch_model.bin`: what torch.save makes of a state dict since PyTorch 1.6, a zip archive without compression that
 * holds a pickle (data.pkl) and one file per storage (data/0, data/1, ...). The pickle may build dictionaries and tensors;
 * anything else it names is refused unexecuted (pickle.ts). Tensors are views of storages, as in PyTorch: several may share
 * one, and their elements need not lie in order.
 *
 * Format: torch/serialization.py (_save, _load) and torch/_utils.py (_rebuild_tensor_v2).
 */
import {unzipRaw, type ZipEntry} from 'unzipit';
import {pieceBytes, type ByteFile} from './bytes';
import {quote, readPickle, type PickleRules} from './pickle';
import {countElements, dtypeBytes, type StoredTensor} from './tensors';

/** A state dict needs a few hundred bytes per tensor. */
const maxPickleBytes = 64 * 1024 * 1024;

const storageDtypes = new Map([
  ['FloatStorage', 'F32'],
  ['HalfStorage', 'F16'],
  ['BFloat16Storage', 'BF16'],
  ['DoubleStorage', 'F64'],
  ['LongStorage', 'I64'],
  ['IntStorage', 'I32'],
  ['ShortStorage', 'I16'],
  ['CharStorage', 'I8'],
  ['ByteStorage', 'U8'],
  ['BoolStorage', 'BOOL'],
]);

/** What the pickle may name. */
class StorageType {
  constructor(readonly dtype: string) {}
}
const orderedDict = Symbol('collections.OrderedDict');
const rebuildTensor = Symbol('torch._utils._rebuild_tensor_v2');

class Storage {
  constructor(
    readonly key: string,
    readonly dtype: string,
    readonly length: number,
  ) {}
}

class TensorView {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

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
    const pickle = new Uint8Array(await archive.entry('data.pkl').arrayBuffer());
    const views = stateDict(readPickle(pickle, rules));
    return new Map(views.map(([name, view]) => [name, new ArchiveTensor(file.name, name, view, archive)]));
  } catch (error) {
    if (signal?.aborted || (error as Error).message.startsWith(file.name)) throw error;
    throw new Error(`${file.name}: ${(error as Error).message}`, {cause: error});
  }
}

interface Archive {
  /** The entry at a path below the archive's one folder. */
  entry(path: string): ZipEntry;
  has(path: string): boolean;
  /** Where an entry stands among the others; torch.save writes their bytes in this order. */
  position(entry: ZipEntry): number;
}

async function openArchive(file: ByteFile): Promise<Archive> {
  const {entries} = await unzipRaw({
    getLength: async () => file.size,
    read: async (offset, length) => (await file.read(offset, offset + length)) as Uint8Array<ArrayBuffer>,
  });
  const byName = new Map(entries.map((entry) => [entry.name, entry]));
  if (byName.size !== entries.length) throw new Error('the archive has two entries of one name');
  const positions = new Map(entries.map((entry, i) => [entry, i]));
  const pickles = entries.filter(({name}) => /^[^/]+\/data\.pkl$/.test(name));
  if (pickles.length !== 1) {
    throw new Error(`the archive must have one data.pkl, but has ${pickles.length}; is it from torch.save?`);
  }
  const root = pickles[0].name.slice(0, -'data.pkl'.length);

  const archive: Archive = {
    has: (path) => byName.has(root + path),
    position: (entry) => positions.get(entry)!,
    entry(path) {
      const entry = byName.get(root + path);
      if (!entry) throw new Error(`the archive lacks ${quote(root + path)}`);
      if (entry.compressionMethod !== 0 || entry.encrypted) {
        throw new Error(`${quote(entry.name)} is compressed or encrypted, which torch.save never does`);
      }
      if (entry.size > file.size) throw new Error(`${quote(entry.name)} is larger than the archive`);
      return entry;
    },
  };
  if (archive.entry('data.pkl').size > maxPickleBytes) {
    throw new Error('data.pkl is larger than that of any state dict');
  }
  if (
    archive.has('byteorder') &&
    (archive.entry('byteorder').size > 16 || (await archive.entry('byteorder').text()) !== 'little')
  ) {
    throw new Error('the archive is not little-endian');
  }
  return archive;
}

const rules: PickleRules = {
  global(module, name) {
    if (module === 'collections' && name === 'OrderedDict') return orderedDict;
    if (module === 'torch._utils' && name === '_rebuild_tensor_v2') return rebuildTensor;
    const dtype = module === 'torch' ? storageDtypes.get(name) : undefined;
    if (dtype !== undefined) return new StorageType(dtype);
    throw new Error(
      `the pickle asks for ${quote(`${module}.${name}`)}, which is no part of a state dict; nothing of it was executed`,
    );
  },

  call(callable, args) {
    if (callable === orderedDict && args.length === 0) return new Map();
    if (callable === rebuildTensor) return rebuild(args);
    throw new Error('the pickle calls something that is no part of a state dict; nothing of it was executed');
  },

  // A state dict carries the versions of its modules as an attribute, which loading has no use for.
  build(object, state) {
    const isMetadata = object instanceof Map && state instanceof Map && state.size === 1 && state.has('_metadata');
    if (!isMetadata) throw new Error('the pickle sets the state of an object (BUILD), which no state dict needs');
  },

  persistent(id) {
    const [kind, type, key, , length] = Array.isArray(id) && id.length === 5 ? (id as unknown[]) : [];
    if (kind !== 'storage' || !(type instanceof StorageType) || typeof key !== 'string' || !isNatural(length)) {
      throw new Error('the pickle has a persistent id that describes no storage');
    }
    return new Storage(key, type.dtype, length);
  },
};

function rebuild(args: readonly unknown[]): TensorView {
  const [storage, offset, shape, strides, requiresGrad, hooks] = args;
  const valid =
    args.length === 6 &&
    storage instanceof Storage &&
    isNatural(offset) &&
    isNaturals(shape) &&
    isNaturals(strides) &&
    shape.length === strides.length &&
    typeof requiresGrad === 'boolean' &&
    hooks instanceof Map &&
    hooks.size === 0;
  if (!valid) throw new Error('the pickle rebuilds a tensor from arguments that torch.save does not write');
  return new TensorView(storage, offset, shape, strides);
}

function stateDict(value: unknown): [string, TensorView][] {
  if (!(value instanceof Map)) throw new Error('the pickle must hold a dictionary of tensors');
  return Array.from(value as Map<string, unknown>, ([name, tensor]) => {
    if (!(tensor instanceof TensorView))
      throw new Error(`${quote(name)} is no tensor; a plain state dict was expected`);
    return [name, tensor];
  });
}

/** A tensor that fits its storage, whose storage is in the archive in full. */
class ArchiveTensor implements StoredTensor {
  private readonly entry: ZipEntry;
  private readonly itemBytes: number;
  private readonly count: number;
  /** Distance from the first element to the last in the storage; -1 if there is none. */
  private readonly last: number;

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
    this.count = countElements(shape) ?? Infinity;
    this.last = this.count === 0 ? -1 : shape.reduce((sum, size, axis) => sum + (size - 1) * strides[axis], 0);
    // More elements than the storage has would be a view that repeats some, which no weight is.
    if (!(offset + this.last < storage.length && this.count <= storage.length)) {
      throw new Error(
        `tensor ${quote(name)} of shape [${shape}], strides [${strides}] and offset ${offset} ` +
          `does not fit its storage of ${storage.length} elements`,
      );
    }
  }

  get dtype(): string {
    return this.view.storage.dtype;
  }

  get shape(): readonly number[] {
    return this.view.shape;
  }

  get position(): number {
    return this.archive.position(this.entry);
  }

  isSameAs(other: StoredTensor): boolean {
    const identity = ({view: {storage, ...rest}}: ArchiveTensor) =>
      JSON.stringify([storage.key, storage.dtype, rest.offset, rest.shape, rest.strides]);
    return other instanceof ArchiveTensor && other.archive === this.archive && identity(this) === identity(other);
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    if (this.count === 0) return;
    const {offset, shape, strides} = this.view;
    const begin = offset * this.itemBytes;
    const span = bytesOf(this.entry, begin, begin + (this.last + 1) * this.itemBytes);
    if (isContiguous(shape, strides)) {
      yield* span;
      return;
    }
    const bytes = new Uint8Array((this.last + 1) * this.itemBytes);
    let at = 0;
    for await (const piece of span) {
      bytes.set(piece, at);
      at += piece.length;
    }
    yield gather(bytes, this.itemBytes, shape, strides);
  }
}

/** The bytes [begin, end) of an entry, in pieces of whole elements. */
async function* bytesOf(entry: ZipEntry, begin: number, end: number): AsyncGenerator<Uint8Array> {
  // A multiple of every element size, or else the whole entry.
  const reader = (await entry.stream({chunkSize: Math.min(pieceBytes, entry.size)})).getReader();
  try {
    for (let at = 0; at < end;) {
      const {value, done} = await reader.read();
      if (done) throw new Error(`${quote(entry.name)} ends early`);
      if (at + value.length > begin) yield value.subarray(Math.max(0, begin - at), end - at);
      at += value.length;
    }
  } finally {
    await reader.cancel();
  }
}

function isContiguous(shape: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis];
  }
  return true;
}

/** Puts the elements of a strided view in order. */
function gather(
  source: Uint8Array,
  itemBytes: number,
  shape: readonly number[],
  strides: readonly number[],
): Uint8Array {
  const out = new Uint8Array(countElements(shape)! * itemBytes);
  const index = shape.map(() => 0);
  let from = 0;
  for (let at = 0; at < out.length; at += itemBytes) {
    for (let i = 0; i < itemBytes; i++) out[at + i] = source[from * itemBytes + i]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
  return out;
}

function isNatural(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isNaturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(isNatural);
}
