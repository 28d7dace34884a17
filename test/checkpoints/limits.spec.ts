/**
 * Files that are small and ask for much: within the limits on sizes, none costs more than 300 MB or two seconds. The time is
 * the processor's own, so that a busy machine does not count.
 */
import type {ByteFile} from '../../src/checkpoints/bytes';
import {blobFile} from '../../src/checkpoints/bytes';
import {readJsonObject} from '../../src/checkpoints/json';
import {openSafetensors} from '../../src/checkpoints/safetensors';
import {openTorchArchive} from '../../src/checkpoints/torchArchive';
import {openWeightFiles} from '../../src/checkpoints/weightFiles';
import {memorySource, safetensors} from './memoryFiles';
import {archive, op, stateDict, tensor, zip} from './torchFiles';

const MiB = 1024 * 1024;

/** `bytes` over and over, up to a length, between a beginning and an end. */
function filled(
  length: number,
  bytes: ArrayLike<number> | string,
  begin: string | number[] = '',
  end = '',
): Uint8Array<ArrayBuffer> {
  const unit = Buffer.from(bytes as string);
  const times = Math.floor(length / unit.length);
  return new Uint8Array(
    Buffer.concat([Buffer.from(begin as string), Buffer.alloc(times * unit.length, unit), Buffer.from(end)]),
  );
}

const file = (bytes: Uint8Array<ArrayBuffer>): ByteFile => ({
  ...blobFile('f', new Blob([])),
  size: bytes.length,
  read: async (start, end) => bytes.subarray(start, end),
});

/** An archive whose pickle is long: the zip writer of torchFiles is for short ones. */
function pickled(pickle: Uint8Array): Uint8Array<ArrayBuffer> {
  const small = zip([['a/data.pkl', []]]);
  const bytes = new Uint8Array(small.length + pickle.length);
  const dataAt = 30 + 'a/data.pkl'.length;
  bytes.set(small.subarray(0, dataAt));
  bytes.set(pickle, dataAt);
  bytes.set(small.subarray(dataAt), dataAt + pickle.length);
  const view = new DataView(bytes.buffer);
  const table = dataAt + pickle.length;
  for (const at of [18, 22, table + 20, table + 24]) view.setUint32(at, pickle.length, true);
  view.setUint32(bytes.length - 6, table, true);
  return bytes;
}

const pickle = (unit: number[], begin: number[] = op.proto) => pickled(filled(530_000 * unit.length, unit, begin));
const many = (count: number, member: (i: number) => string) =>
  `{${Array.from({length: count}, (_, i) => member(i)).join(',')}}`;
const text = (json: string) => new TextEncoder().encode(json);
const empty = '{"dtype":"F32","shape":[0],"data_offsets":[0,0]}';
const opened = (bytes: Uint8Array) => openWeightFiles(memorySource({'model.safetensors.index.json': bytes}));

/** What is read, and what is said of it; nothing, if it is within the bounds. */
const inputs: [string, () => () => Promise<unknown>, RegExp?][] = [
  [
    'a text of nothing but empty objects',
    () => {
      const bytes = filled(32 * MiB - 16, '{},', '{"a":[', '0]}');
      return () => readJsonObject(file(bytes));
    },
    /^f has more than 131072 values$/,
  ],
  [
    'as many objects as there may be',
    () => {
      const bytes = filled(3 * 65_000, '{},', '{"a":[', '0]}');
      return () => readJsonObject(file(bytes));
    },
  ],
  [
    'as many keys as there may be, and long ones',
    () => {
      const bytes = text(many(131_000, (i) => `"${'ш'.repeat(50)}${i}":0`));
      return () => readJsonObject(file(bytes));
    },
  ],
  [
    'one long string of quotation marks',
    () => {
      const bytes = filled(32 * MiB - 16, '\\"', '{"a":"', '"}');
      return () => readJsonObject(file(bytes));
    },
  ],
  [
    'a text that is too long',
    () => {
      const bytes = filled(32 * MiB + 1, ' ', '{', '}');
      return () => readJsonObject(file(bytes));
    },
    /^f has \d+ bytes, more than/,
  ],
  [
    'a header of empty tensors',
    () => {
      const bytes = safetensors(many(400_000, (i) => `"${i}":${empty}`));
      return () => openSafetensors(file(bytes));
    },
    /^f: the header has more than 131072 values$/,
  ],
  [
    'as many tensors as there may be',
    () => {
      const bytes = safetensors(many(18_000, (i) => `"${i}":${empty}`));
      return () => openSafetensors(file(bytes));
    },
  ],
  [
    'a header that is too long',
    () => {
      const bytes = safetensors(new TextDecoder().decode(filled(33 * MiB, ' ', '{', '}')));
      return () => openSafetensors(file(bytes));
    },
    /^f: a header of 34603010 bytes is more than/,
  ],
  [
    'a tensor of a long name',
    () => {
      const bytes = safetensors(`{"${'a'.repeat(2000)}":${empty}}`);
      return () => openSafetensors(file(bytes));
    },
    /^f: tensor "a{200}…" has a name of 2000 characters$/,
  ],
  [
    'an index of too many tensors',
    () => {
      const bytes = text(`{"weight_map":${many(70_000, (i) => `"${i}":"a.safetensors"`)}}`);
      return () => opened(bytes);
    },
    /^model\.safetensors\.index\.json: 70000 tensors are more than the 65536/,
  ],
  ...(
    [
      ['dictionaries', op.emptyDict],
      ['tuples', op.emptyTuple],
      ['marks', [...op.mark, ...op.tuple]],
      ['nested tuples', [0x85], [...op.proto, ...op.emptyTuple]],
      ['strings', op.text('abcdefghijklmnopqrstuvwxyz')],
      ['integers', op.long(1, 2, 3, 4, 5, 6, 0, 0)],
      ['memos', [0x72, 1, 2, 3, 4], [...op.proto, ...op.emptyDict]],
      [
        'ordered dictionaries',
        [...op.get(0), ...op.emptyTuple, ...op.reduce],
        [...op.proto, ...op.global('collections', 'OrderedDict'), ...op.put(0)],
      ],
    ] as [string, number[], number[]?][]
  ).map(([what, unit, begin]): (typeof inputs)[number] => [
    `a pickle of nothing but ${what}`,
    () => {
      const bytes = pickle(unit, begin);
      return () => openTorchArchive(file(bytes));
    },
    /^f: the pickle has more than 524288 opcodes$/,
  ]),
  [
    'a pickle that is too long',
    () => {
      const bytes = pickled(filled(17 * MiB, op.none, op.proto));
      return () => openTorchArchive(file(bytes));
    },
    /^f: data\.pkl is larger/,
  ],
  [
    'a pickle of many shapes of many axes',
    () => {
      const shape = [op.mark, ...Array<number[]>(10_000).fill(op.int(1)), op.tuple, op.put(1)].flat();
      const call = [...tensor({shape: []})].slice(0, -2);
      const bytes = archive([
        ...op.proto,
        ...shape,
        ...call,
        ...op.get(1),
        ...op.get(1),
        ...op.tuple,
        ...op.reduce,
        ...op.stop,
      ]);
      return () => openTorchArchive(file(bytes));
    },
    /^f: the pickle rebuilds a tensor from arguments/,
  ],
  [
    'an integer of 255 bytes',
    () => {
      const bytes = pickled(Uint8Array.from([...op.proto, ...op.long(...Array<number>(255).fill(1))]));
      return () => openTorchArchive(file(bytes));
    },
    /^f: the pickle has an integer beyond/,
  ],
  [
    'a view that repeats one element without end',
    () => {
      const bytes = archive(stateDict({t: tensor({shape: [4097, 4096], strides: [0, 0], length: 1})}), {
        '0': new Float32Array(1),
      });
      return () => openTorchArchive(file(bytes));
    },
    /^f: tensor "t" of shape \[4097,4096\].* does not fit/,
  ],
  [
    'an archive whose table of contents is most of it',
    () => {
      const small = zip([['a/data.pkl', stateDict({})]]);
      const bytes = new Uint8Array(64 * MiB);
      bytes.set(small, bytes.length - small.length);
      const view = new DataView(bytes.buffer, bytes.length - 22);
      view.setUint32(12, 60 * MiB, true);
      view.setUint32(16, 0, true);
      return () => openTorchArchive(file(bytes));
    },
    /^f: its table of contents of 62914560 bytes is more than/,
  ],
];

describe('files within the limits', () => {
  for (const [what, make, refusal] of inputs) {
    it(`cost little: ${what}`, async () => {
      const read = make();
      const before = process.memoryUsage().rss;
      const start = process.cpuUsage();
      let message = 'none';
      await read().catch((error: Error) => (message = error.message));
      const {user} = process.cpuUsage(start);
      expect(message).toMatch(refusal ?? /^none$/);
      expect((process.memoryUsage().rss - before) / MiB).toBeLessThan(300);
      expect(user / 1e6).toBeLessThan(2);
    });
  }
});
