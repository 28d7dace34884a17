import {blobFile} from '../../src/checkpoints/bytes';
import {openSafetensors} from '../../src/checkpoints/safetensors';
import {safetensorsPieces} from '../../src/checkpoints/safetensorsWriter';
import {readBytes, readFloats} from '../../src/checkpoints/tensors';
import {numberedSafetensors, parseSafetensors, safetensors} from './memoryFiles';

const open = (bytes: Uint8Array<ArrayBuffer>) => openSafetensors(blobFile('w.safetensors', new Blob([bytes])));
const entry = (shape: unknown, offsets: unknown, dtype: unknown = 'F32') => ({dtype, shape, data_offsets: offsets});

function withLength(length: bigint, rest = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8 + rest);
  new DataView(bytes.buffer).setBigUint64(0, length, true);
  return bytes;
}

describe('safetensors', () => {
  it('reads tensors of any order, type and name, and metadata', async () => {
    const header = {
      __metadata__: {format: 'pt', note: 'ü'},
      late: entry([2], [4, 12], 'I32'),
      constructor: entry([2], [0, 4], 'F16'),
      none: entry([0, 9], [4, 4]),
      scalar: entry([], [12, 20], 'I64'),
    };
    const data = new Uint8Array(20);
    data.set(new Uint8Array(Uint16Array.of(0x3c00, 0xc000).buffer), 0);
    data.set(new Uint8Array(Int32Array.of(-1, 7).buffer), 4);
    data.set(new Uint8Array(BigInt64Array.of(-2n).buffer), 12);
    const text = `${JSON.stringify(header).slice(0, -1)},"__proto__":${JSON.stringify(entry([0], [20, 20]))}}   `;
    const {tensors, metadata} = await open(safetensors(text, data));
    expect([...metadata]).toEqual([
      ['format', 'pt'],
      ['note', 'ü'],
    ]);
    expect([...tensors.keys()].sort()).toEqual(['__proto__', 'constructor', 'late', 'none', 'scalar']);
    expect([...(await readFloats(tensors.get('constructor')!))]).toEqual([1, -2]);
    expect((await readFloats(tensors.get('none')!)).length).toBe(0);
    expect([...new Int32Array((await readBytes(tensors.get('late')!)).buffer)]).toEqual([-1, 7]);
    expect([...new BigInt64Array((await readBytes(tensors.get('scalar')!)).buffer)]).toEqual([-2n]);
    await expectAsync(readFloats(tensors.get('late')!)).toBeRejectedWithError(/late has dtype I32/);
  });

  it('refuses every malformed file, and says why', async () => {
    const a = entry([2], [0, 8]);
    const malformed: [Uint8Array<ArrayBuffer>, RegExp][] = [
      [new Uint8Array(0), /0 bytes, too few/],
      [new Uint8Array(7), /7 bytes, too few/],
      [withLength(2n ** 60n, 100), /header of 1152921504606846976 bytes is more than the 100000000/],
      [withLength(2n ** 64n - 1n, 100), /header of 18446744073709551615 bytes/],
      [withLength(99_999_999n, 100), /header ends at byte 100000007, but the file at 108; is it cut off/],
      [withLength(101n, 100), /is it cut off/],
      [withLength(0n), /does not start with \{/],
      [safetensors('[]'), /does not start with \{/],
      [safetensors(' {}'), /does not start with \{/],
      [safetensors('{"a"'), /header is not JSON/],
      [safetensors('{} x'), /header is not JSON/],
      [safetensors('{"a'), /ends inside a string/],
      [safetensors('{"a\\q": 1}'), /not JSON/],
      [safetensors(`{"a":${'['.repeat(100_000)}`), /nests deeper/],
      [safetensors({a: 5}), /tensor a is not described by an object/],
      [safetensors({a: entry([2], [0, 8], 'F33')}, 8), /tensor a has the unknown dtype "F33"/],
      [safetensors({a: entry([2], [0, 8], '__proto__')}, 8), /unknown dtype/],
      [safetensors({a: {shape: [2], data_offsets: [0, 8]}}, 8), /unknown dtype undefined/],
      [safetensors({a: entry('2', [0, 8])}, 8), /shape of whole numbers, but has "2"/],
      [safetensors({a: entry([-2], [0, 8])}, 8), /shape of whole numbers/],
      [safetensors({a: entry([1.5], [0, 6])}, 6), /shape of whole numbers/],
      [safetensors({a: entry([2], [0])}, 8), /two whole numbers as data_offsets/],
      [safetensors({a: entry([2], [0, 8, 9])}, 8), /two whole numbers as data_offsets/],
      [safetensors({a: entry([2], [-8, 0])}, 8), /two whole numbers as data_offsets/],
      [safetensors({a: entry([2], [0.5, 8.5])}, 8), /two whole numbers as data_offsets/],
      [safetensors('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,1e400]}}', 8), /whole numbers as data_offsets/],
      [safetensors('{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}', 8), /shape of whole numbers/],
      [safetensors({a: entry([2], [8, 0])}, 8), /takes 8 bytes, but its data_offsets \[8,0\] span -8/],
      [safetensors({a: entry([3], [0, 8])}, 8), /takes 12 bytes, but .* span 8/],
      [safetensors({a: entry([2 ** 40, 2 ** 40], [0, 8])}, 8), /takes Infinity bytes/],
      [safetensors({a, b: entry([2], [4, 12])}, 12), /tensor b at \[4,12\] overlaps tensor a, which ends at 8/],
      [safetensors({a, b: a}, 8), /tensor b at \[0,8\] overlaps tensor a/],
      [safetensors({a, b: entry([2], [12, 20])}, 20), /tensor b at \[12,20\] leaves a gap after tensor a/],
      [safetensors({a: entry([2], [4, 12])}, 12), /leaves a gap after the header/],
      [safetensors({a}, 7), /tensors take 8 bytes, but the file has 7 for them; is it cut off/],
      [safetensors({a}, 9), /the file has 9 for them; something follows/],
      [safetensors(`{"a":${JSON.stringify(a)},"a":${JSON.stringify(a)}}`, 8), /has the key "a" twice/],
      [safetensors(`{"a":${JSON.stringify(a)},"\\u0061":${JSON.stringify(a)}}`, 8), /has the key "a" twice/],
      [safetensors('{"a":{"dtype":"F16","dtype":"F32","shape":[2],"data_offsets":[0,8]}}', 8), /key "dtype" twice/],
      [safetensors({__metadata__: {n: 5}, a}, 8), /__metadata__ must be an object of strings/],
      [safetensors({__metadata__: 'pt', a}, 8), /__metadata__ must be an object of strings/],
    ];
    for (const [bytes, message] of malformed) await expectAsync(open(bytes)).toBeRejectedWithError(message);
    const notText = safetensors({a}, 8);
    notText[9] = 0xff;
    await expectAsync(open(notText)).toBeRejectedWithError(/header is not UTF-8/);
  });

  it('refuses a file that was cut off anywhere', async () => {
    const whole = numberedSafetensors({a: [3], b: [2, 2]});
    for (let length = 0; length < whole.length; length++) {
      await expectAsync(open(whole.slice(0, length)))
        .withContext(`${length} bytes`)
        .toBeRejectedWithError(/^w\.safetensors.*cut off/);
    }
  });

  it('writes what it reads, aligned to eight bytes, as Hugging Face does', async () => {
    const tensors = [
      {name: 'a', shape: [3], read: async () => Float32Array.of(1, -0, NaN)},
      {name: '__proto__', shape: [1, 2], read: async () => Float32Array.of(2 ** -149, Infinity)},
      {name: 'none', shape: [0], read: async () => new Float32Array(0)},
    ];
    for (const format of ['F32', 'F16', 'BF16'] as const) {
      const pieces: Uint8Array[] = [];
      for await (const piece of safetensorsPieces(tensors, format)) pieces.push(piece.slice());
      const bytes = new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer());
      expect(Number(new DataView(bytes.buffer).getBigUint64(0, true)) % 8).toBe(0);
      expect(Object.keys(parseSafetensors(bytes).header)).toEqual(['a', '__proto__', 'none']);
      const read = await open(bytes);
      expect([...read.metadata]).toEqual([['format', 'pt']]);
      expect(read.tensors.get('__proto__')!.shape).toEqual([1, 2]);
      expect([...(await readFloats(read.tensors.get('a')!))]).toEqual([1, -0, NaN]);
      const tiny = format === 'F32' ? 2 ** -149 : 0;
      expect([...(await readFloats(read.tensors.get('__proto__')!))]).toEqual([tiny, Infinity]);
    }
  });
});
