import {blobFile} from '../../src/checkpoints/bytes';
import {readFloats, type StoredTensor} from '../../src/checkpoints/tensors';
import {openTorchArchive} from '../../src/checkpoints/torchArchive';
import {archive, op, orderedDict, stateDict, tensor, zip} from './torchFiles';

const open = (bytes: Uint8Array<ArrayBuffer>): Promise<Map<string, StoredTensor>> =>
  openTorchArchive(blobFile('weights.bin', new Blob([bytes])));
const six = Float32Array.of(0, 1, 2, 3, 4, 5);
const values = async (tensors: Map<string, StoredTensor>, name: string) => [...(await readFloats(tensors.get(name)!))];

/** What the file is refused with; it must be. */
async function refusal(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  try {
    await open(bytes);
  } catch (error) {
    return (error as Error).message;
  }
  return 'nothing';
}

const pickled = (...code: number[][]) => archive([op.proto, ...code, op.stop].flat(), {'0': six});

describe('torch archives', () => {
  it('give tensors that lie in order, in part of a storage, and across it', async () => {
    const tensors = await open(
      archive(
        stateDict({
          whole: tensor({shape: [2, 3]}),
          part: tensor({shape: [2], offset: 3, length: 6}),
          transposed: tensor({shape: [3, 2], strides: [1, 3]}),
          column: tensor({shape: [2, 1], strides: [3, 1], offset: 2, length: 6}),
          spread: tensor({shape: [2, 1, 2], strides: [3, 7, 2], length: 6}),
          scalar: tensor({shape: [], offset: 4, length: 6}),
          empty: tensor({shape: [0, 3], length: 6}),
          half: tensor({key: 'h', storage: 'HalfStorage', shape: [2]}),
          brain: tensor({key: 'b', storage: 'BFloat16Storage', shape: [2]}),
        }),
        {'0': six, h: Uint16Array.of(0x3c00, 0xc000), b: Uint16Array.of(0x3f80, 0xc000)},
      ),
    );
    expect(await values(tensors, 'whole')).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await values(tensors, 'part')).toEqual([3, 4]);
    expect(await values(tensors, 'transposed')).toEqual([0, 3, 1, 4, 2, 5]);
    expect(await values(tensors, 'column')).toEqual([2, 5]);
    expect(await values(tensors, 'spread')).toEqual([0, 2, 3, 5]);
    expect(await values(tensors, 'scalar')).toEqual([4]);
    expect(await values(tensors, 'empty')).toEqual([]);
    expect(await values(tensors, 'half')).toEqual([1, -2]);
    expect(await values(tensors, 'brain')).toEqual([1, -2]);
  });

  it('may be of the form for more than 4 GiB', async () => {
    const pickle = stateDict({a: tensor({shape: [2, 3]})});
    const tensors = await open(archive(pickle, {'0': six}, {zip64: true}));
    expect(await values(tensors, 'a')).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it('know which tensors are one', async () => {
    const tensors = await open(
      archive(stateDict({a: tensor({shape: [6]}), b: tensor({shape: [6]}), c: tensor({shape: [5], length: 6})}), {
        '0': six,
      }),
    );
    expect(tensors.get('a')!.isSameAs!(tensors.get('b')!)).toBeTrue();
    expect(tensors.get('a')!.isSameAs!(tensors.get('c')!)).toBeFalse();
  });

  it('keep names such as __proto__ as plain names', async () => {
    const names = ['__proto__', 'constructor', 'toString'];
    const tensors = await open(
      archive(stateDict(names.map((name): [string, number[]] => [name, tensor({shape: [6]})])), {'0': six}),
    );
    expect([...tensors.keys()]).toEqual(names);
    expect(({} as Record<string, unknown>)['shape']).toBeUndefined();
  });

  it('may carry the versions of their modules, as state_dict() gives them', async () => {
    const metadata = [op.emptyDict, op.text('_metadata'), orderedDict, op.setItem, op.build];
    const code = [orderedDict, op.text('a'), tensor({shape: [6]}), op.setItem, ...metadata];
    expect((await open(pickled(...code))).size).toBe(1);
  });

  it('run nothing: every other global, call and state is refused by name', async () => {
    const system = [op.global('os', 'system'), op.mark, op.text('touch pwned'), op.tuple, op.reduce];
    expect(await refusal(pickled(...system))).toMatch(
      /^weights\.bin: the pickle asks for "os\.system".*nothing of it was executed/,
    );
    for (const [module, name] of [
      ['posix', 'system'],
      ['builtins', 'eval'],
      ['__builtin__', 'getattr'],
      ['torch', 'load'],
      ['torch', '__proto__'],
      ['torch._utils', '_rebuild_qtensor'],
      ['torch.storage', '_load_from_bytes'],
      ['collections', 'defaultdict'],
      ['numpy.core.multiarray', '_reconstruct'],
      ['torch', 'FloatStorage.__init__'],
    ] as const) {
      expect(await refusal(pickled(op.global(module, name)))).toContain(`asks for "${module}.${name}"`);
    }
    const storage = op.global('torch', 'FloatStorage');
    expect(await refusal(pickled(storage, op.emptyTuple, op.reduce))).toMatch(/calls something/);
    expect(await refusal(pickled(op.text('f'), op.emptyTuple, op.reduce))).toMatch(/calls something/);
    const argument = [op.global('collections', 'OrderedDict'), op.mark, op.emptyDict, op.tuple, op.reduce];
    expect(await refusal(pickled(...argument))).toMatch(/calls something/);
    const state = [op.emptyDict, op.text('__class__'), op.none, op.setItem, op.build];
    expect(await refusal(pickled(orderedDict, ...state))).toMatch(/BUILD/);
    expect(await refusal(pickled(op.text('x'), op.emptyDict, op.build))).toMatch(/BUILD/);
    for (const [opcode, name] of [
      [0x69, 'INST'],
      [0x6f, 'OBJ'],
      [0x81, 'NEWOBJ'],
      [0x82, 'EXT1'],
      [0x93, 'STACK_GLOBAL'],
      [0x50, ''],
      [0x8c, ''],
      [0x47, ''],
      [0xff, ''],
    ] as const) {
      expect(await refusal(pickled([opcode, 0, 0, 0, 0]))).toMatch(
        new RegExp(`opcode 0x${opcode.toString(16)}.*${name}`),
      );
    }
  });

  it('are refused where the pickle is broken', async () => {
    const broken: [number[], RegExp][] = [
      [[], /cut off/],
      [[0x80, 4, 0x2e], /protocol 2/],
      [[...op.proto, ...op.stop], /stack/],
      [[...op.proto, ...op.none, ...op.none, ...op.stop], /left over/],
      [[...op.proto, ...op.tuple, ...op.stop], /lacks a mark/],
      [[...op.proto, ...op.mark, ...op.reduce, ...op.stop], /mark out of place/],
      [[...op.proto, ...op.get(3), ...op.stop], /memo 3/],
      [[...op.proto, 0x58, 255, 255, 255, 255], /cut off/],
      [[...op.proto, 0x58, 1, 0, 0, 0, 0xff], /data/i],
      [[...op.proto, ...op.long(0, 0, 0, 0, 0, 0, 0, 1), ...op.stop], /2\^53/],
      [[...op.proto, ...op.none, ...op.text('k'), ...op.none, ...op.setItem, ...op.stop], /no dictionary/],
      [[...op.proto, ...op.emptyDict, ...op.mark, ...op.none, ...op.setItems, ...op.stop], /without a value/],
      [[...op.proto, ...op.emptyDict, ...op.none, ...op.none, ...op.setItem, ...op.stop], /no string/],
      [[...op.proto, ...op.text('torch'), ...op.stop], /must hold a dictionary/],
      [[...op.proto, ...op.text('storage'), ...op.persistentId, ...op.stop], /no storage/],
      [stateDict({a: op.none}), /"a" is no tensor/],
      [stateDict([['a', tensor({shape: [6]})], ['a', tensor({shape: [6]})]]), /"a" twice/], // prettier-ignore
    ];
    for (const [pickle, message] of broken) expect(await refusal(archive(pickle, {'0': six}))).toMatch(message);
  });

  it('are refused where a tensor does not fit its storage, or the storage the archive', async () => {
    const wrong: [Parameters<typeof tensor>[0], RegExp][] = [
      [{shape: [7], length: 6}, /"t" of shape \[7\].* does not fit its storage of 6/],
      [{shape: [6], offset: 1, length: 6}, /does not fit/],
      [{shape: [2, 3], strides: [4, 1], length: 6}, /does not fit/],
      [{shape: [2, 3], strides: [1], length: 6}, /rebuilds a tensor from arguments/],
      [{shape: [-6], length: 6}, /rebuilds a tensor from arguments/],
      [{shape: [6], offset: -1, length: 6}, /rebuilds a tensor from arguments/],
      [{shape: [1000, 1000, 1000], strides: [0, 0, 0], length: 6}, /does not fit/],
      [{shape: [0x7fffffff, 0x7fffffff, 0x7fffffff], length: 6}, /does not fit/],
      [{shape: [7]}, /has 24 bytes, but 7 elements of 4 are stated/],
      [{shape: [6], storage: 'HalfStorage'}, /has 24 bytes, but 6 elements of 2/],
      [{shape: [6], storage: 'DoubleTensor'}, /"torch\.DoubleTensor"/],
      [{shape: [6], key: '1'}, /lacks "archive\/data\/1"/],
      [{shape: [6], key: '../data/0'}, /lacks/],
    ];
    for (const [spec, message] of wrong) {
      expect(await refusal(archive(stateDict({t: tensor(spec)}), {'0': six}))).toMatch(message);
    }
  });

  it('are refused in any other form', async () => {
    const pickle = stateDict({a: tensor({shape: [6]})});
    expect(await refusal(archive(pickle, {'0': six}, {method: 8}))).toMatch(/compressed/);
    expect(await refusal(zip([['a/data.pkl', pickle], ['b/data.pkl', pickle]]))).toMatch(/one data\.pkl, but has 2/); // prettier-ignore
    expect(await refusal(zip([['data.pkl', pickle]]))).toMatch(/one data\.pkl, but has 0/);
    expect(await refusal(zip([['a/data.pkl', pickle], ['a/data.pkl', pickle]]))).toMatch(/two entries/); // prettier-ignore
    expect(await refusal(zip([['a/data.pkl', pickle], ['a/byteorder', [98, 105, 103]]]))).toMatch(/little-endian/); // prettier-ignore
    // The magic number that began a file before PyTorch 1.6.
    expect(await refusal(Uint8Array.of(0x80, 2, 0x8a, 10, 0x6c, 0xfc, 0x9c))).toMatch(
      /weights\.bin .*before PyTorch 1\.6/,
    );
    expect(await refusal(new Uint8Array(0))).toMatch(/weights\.bin/);
    const whole = archive(pickle, {'0': six});
    for (let length = 0; length < whole.length; length += 7) {
      expect(await refusal(whole.slice(0, length))).toMatch(/^weights\.bin/);
    }
  });
});
