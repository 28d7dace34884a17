/**
 * `pytorch_model.bin` out of `model.safetensors`: the published form of state-spaces, which mamba_ssm's `from_pretrained` asks torch.load for.
 * A zip archive without compression of a pickle, which rebuilds a tensor of each storage, and the storages (torch/serialization.py, _save).
 */
import {open, rename, rm} from 'node:fs/promises';
import {embedding, head, stateSpacesEmbedding} from '../config/weightTable';
import {crc32} from '../checkpoints/crc32';

interface Stored {
  name: string;
  shape: number[];
  dtype: string;
  /** Of the storage. */
  key: string;
  start: number;
  bytes: number;
}

const storages: Record<string, string> = {F32: 'FloatStorage', F16: 'HalfStorage', BF16: 'BFloat16Storage'};

/** Places in a zip archive without its extension to 64 bits. */
const MOST = 2 ** 32 - 1;

/** @throws Error if it would be too large, or naming the file that cannot be written; then there is none. */
export async function writeTorchFile(safetensors: string, target: string): Promise<void> {
  const unfinished = `${target}.unfinished`;
  const source = await open(safetensors);
  try {
    const read = async (at: number, size: number) => {
      const bytes = new Uint8Array(size);
      for (let done = 0; done < size;) {
        done += (await source.read(bytes, done, Math.min(size - done, 2 ** 30), at + done)).bytesRead;
      }
      return bytes;
    };
    const length = Number(new DataView((await read(0, 8)).buffer).getBigUint64(0, true));
    const tensors = tensorsOf(JSON.parse(new TextDecoder().decode(await read(8, length))) as object, 8 + length);
    if (tensors.reduce((sum, {bytes}) => sum + bytes, 0) > MOST - 2 ** 24) {
      throw new Error(`${target} would have more than 4 GB, which is not supported; --dtype float16 takes half`);
    }
    const file = await open(unfinished, 'w');
    try {
      const zip = new Zip((bytes) => file.appendFile(bytes));
      await zip.add('pytorch_model/data.pkl', pickled(withTiedHead(tensors)));
      await zip.add('pytorch_model/byteorder', ascii('little'));
      for (const {key, start, bytes} of tensors) await zip.add(`pytorch_model/data/${key}`, await read(start, bytes));
      await zip.add('pytorch_model/version', ascii('3\n'));
      await zip.end();
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(unfinished, target);
  } catch (error) {
    await rm(unfinished, {force: true});
    throw error;
  } finally {
    await source.close();
  }
}

function tensorsOf(header: object, begin: number): Stored[] {
  const entries = Object.entries(header as Record<string, {dtype: string; shape: number[]; data_offsets: number[]}>);
  return entries
    .filter(([name]) => name !== '__metadata__')
    .map(
      (
        [
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to],
          },
        ],
        i,
      ) => {
        return {name, dtype, shape, key: String(i), start: begin + from, bytes: to - from};
      },
    );
}

/** A tied head is a second name of the embedding's storage. */
function withTiedHead(tensors: readonly Stored[]): Stored[] {
  const table = tensors.find(({name}) => name === stateSpacesEmbedding || name === embedding);
  const isTied = table !== undefined && tensors.every(({name}) => name !== head);
  return isTied ? [...tensors, {...table, name: head}] : [...tensors];
}

/** A dict of names and `torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())`; protocol 2. */
function pickled(tensors: readonly Stored[]): Uint8Array {
  const bytes: number[] = [];
  const op = (code: string) => bytes.push(...ascii(code));
  const int32 = (value: number) => new Uint8Array(Int32Array.of(value).buffer);
  const integer = (value: number) => bytes.push(0x4a, ...int32(value)); // BININT
  const text = (value: string) => {
    const encoded = new TextEncoder().encode(value);
    bytes.push(0x58, ...int32(encoded.length), ...encoded); // BINUNICODE
  };
  const tuple = (values: readonly number[]) => {
    op('(');
    values.forEach(integer);
    op('t');
  };
  bytes.push(0x80, 2);
  op('}(');
  for (const {name, shape, dtype, key} of tensors) {
    text(name);
    op('ctorch._utils\n_rebuild_tensor_v2\n((');
    text('storage');
    op(`ctorch\n${storages[dtype]}\n`);
    text(key);
    text('cpu');
    integer(shape.reduce((a, b) => a * b, 1));
    op('tQ');
    integer(0);
    tuple(shape);
    tuple(shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1)));
    bytes.push(0x89); // False
    op('ccollections\nOrderedDict\n)RtR');
  }
  op('u.');
  return Uint8Array.from(bytes);
}

/** An archive of stored entries (APPNOTE.TXT, 4.3). */
class Zip {
  private at = 0;
  private count = 0;
  private readonly table: number[] = [];

  constructor(private readonly write: (bytes: Uint8Array) => Promise<void>) {}

  async add(name: string, content: Uint8Array): Promise<void> {
    const path = ascii(name);
    const common = [...u16(20, 0, 0, 0, 0), ...u32(crc32(content), content.length, content.length)];
    const local = [...u32(0x04034b50), ...common, ...u16(path.length)];
    // Storages begin at multiples of 64, as PyTorch has them, so that they can be mapped; the filling is an extra field.
    const filling = (64 - ((this.at + local.length + 2 + path.length + 4) % 64)) % 64;
    const extra = [...ascii('FB'), ...u16(filling), ...Array<number>(filling).fill(0x5a)];
    this.table.push(...u32(0x02014b50), ...u16(20), ...common, ...u16(path.length, 0, 0, 0, 0), ...u32(0, this.at), ...path); // prettier-ignore
    this.count++;
    await this.put(Uint8Array.from([...local, ...u16(extra.length), ...path, ...extra]));
    await this.put(content);
  }

  async end(): Promise<void> {
    const [start, size] = [this.at, this.table.length];
    await this.put(Uint8Array.from(this.table));
    await this.put(Uint8Array.from([...u32(0x06054b50), ...u16(0, 0, this.count, this.count), ...u32(size, start), ...u16(0)])); // prettier-ignore
  }

  private async put(bytes: Uint8Array): Promise<void> {
    await this.write(bytes);
    this.at += bytes.length;
  }
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0));
}

function u16(...values: number[]): Uint8Array {
  return new Uint8Array(Uint16Array.from(values).buffer);
}

function u32(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}
