/** Builds torch archives byte by byte: a pickle assembler and a zip writer, small enough to write hostile files with. */

const ascii = (text: string) => [...new TextEncoder().encode(text)];
const u16 = (n: number) => [n & 255, (n >> 8) & 255];
const u32 = (n: number) => [...u16(n & 0xffff), ...u16(n >>> 16)];
const u64 = (n: number) => [...u32(n), ...u32(0)];

/** Opcodes of the pickle machine, by what they push. */
export const op = {
  proto: [0x80, 2],
  stop: [0x2e],
  mark: [0x28],
  none: [0x4e],
  emptyTuple: [0x29],
  emptyDict: [0x7d],
  tuple: [0x74],
  reduce: [0x52],
  build: [0x62],
  setItem: [0x73],
  setItems: [0x75],
  persistentId: [0x51],
  newFalse: [0x89],
  global: (module: string, name: string) => [0x63, ...ascii(`${module}\n${name}\n`)],
  text: (value: string) => [0x58, ...u32(ascii(value).length), ...ascii(value)],
  int: (value: number) => [0x4a, ...u32(value >>> 0)],
  long: (...bytes: number[]) => [0x8a, bytes.length, ...bytes],
  put: (index: number) => [0x71, index],
  get: (index: number) => [0x68, index],
};

export interface TensorSpec {
  key?: string;
  storage?: string;
  /** Elements of the storage. */
  length?: number;
  offset?: number;
  shape: readonly number[];
  strides?: readonly number[];
}

/** The call that rebuilds a tensor. */
export function tensor({key = '0', storage = 'FloatStorage', offset = 0, shape, ...rest}: TensorSpec): number[] {
  const {length = shape.reduce((a, b) => a * b, 1)} = rest;
  const {strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1))} = rest;
  const ints = (values: readonly number[]) => [op.mark, ...values.map(op.int), op.tuple].flat();
  return [
    op.global('torch._utils', '_rebuild_tensor_v2'),
    op.mark,
    op.mark,
    op.text('storage'),
    op.global('torch', storage),
    op.text(key),
    op.text('cpu'),
    op.int(length),
    op.tuple,
    op.persistentId,
    op.int(offset),
    ints(shape),
    ints(strides),
    op.newFalse,
    orderedDict,
    op.tuple,
    op.reduce,
  ].flat();
}

export const orderedDict = [op.global('collections', 'OrderedDict'), op.emptyTuple, op.reduce].flat();

/** The pickle of a state dict with these values, each given by its opcodes. */
export function stateDict(values: Record<string, number[]> | [string, number[]][]): number[] {
  const entries = Array.isArray(values) ? values : Object.entries(values);
  return [
    op.proto,
    orderedDict,
    op.mark,
    ...entries.map(([name, value]) => [op.text(name), value].flat()),
    op.setItems,
    op.stop,
  ].flat();
}

export interface ZipOptions {
  /** Compression method that is stated, not used. */
  method?: number;
  /** States sizes and offsets as archives beyond 4 GiB must: in 64 bits, elsewhere. */
  zip64?: boolean;
}

/** A zip archive of stored entries. */
export function zip(
  entries: [string, ArrayLike<number>][],
  {method = 0, zip64 = false}: ZipOptions = {},
): Uint8Array<ArrayBuffer> {
  const local: number[] = [];
  const central: number[] = [];
  for (const [name, data] of entries) {
    const shared = [u16(20), u16(0), u16(method), u32(0), u32(0), u32(data.length), u32(data.length)].flat();
    const nameBytes = ascii(name);
    const extra = zip64 ? [...u16(1), ...u16(24), ...u64(data.length), ...u64(data.length), ...u64(local.length)] : [];
    const stated = zip64 ? [...shared.slice(0, 14), ...Array<number>(8).fill(0xff)] : shared;
    central.push(...u32(0x02014b50), ...u16(20), ...stated, ...u16(nameBytes.length), ...u16(extra.length), ...u16(0));
    central.push(...u16(0), ...u16(0), ...u32(0), ...u32(zip64 ? 0xffffffff : local.length), ...nameBytes, ...extra);
    local.push(...u32(0x04034b50), ...shared, ...u16(nameBytes.length), ...u16(0), ...nameBytes, ...Array.from(data));
  }
  const count = entries.length;
  const end64 = [
    ...[...u32(0x06064b50), ...u64(44), ...u16(45), ...u16(45), ...u32(0), ...u32(0), ...u64(count), ...u64(count)],
    ...[...u64(central.length), ...u64(local.length)],
    ...[...u32(0x07064b50), ...u32(0), ...u64(local.length + central.length), ...u32(1)],
  ];
  const stated = zip64 ? [0xffff, 0xffffffff, 0xffffffff] : [count, central.length, local.length];
  const end = [u32(0x06054b50), u32(0), u16(stated[0]), u16(stated[0]), u32(stated[1]), u32(stated[2]), u16(0)];
  return Uint8Array.from([...local, ...central, ...(zip64 ? end64 : []), ...end.flat()]);
}

/** What torch.save would write: a pickle, and storages by their keys. */
export function archive(
  pickle: number[],
  storages: Record<string, ArrayBufferView> = {},
  options?: ZipOptions,
): Uint8Array<ArrayBuffer> {
  const data = Object.entries(storages).map(
    ([key, {buffer, byteOffset, byteLength}]) =>
      [`archive/data/${key}`, new Uint8Array(buffer, byteOffset, byteLength)] as [string, Uint8Array],
  );
  return zip([['archive/data.pkl', pickle], ['archive/byteorder', ascii('little')], ...data], options);
}
