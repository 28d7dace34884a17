/** Archives that PyTorch itself has written, whole and damaged. */
import {readFileSync} from 'node:fs';
import {resolve} from 'node:path';
import {blobFile, type ByteFile} from '../../src/checkpoints/bytes';
import {crc32} from '../../src/checkpoints/crc32';
import {readFloats} from '../../src/checkpoints/tensors';
import {openTorchArchive} from '../../src/checkpoints/torchArchive';
import {expectSameWeights, readFiles, tinyFiles, type Files} from './memoryFiles';

const saved = (name: string) =>
  new Uint8Array(readFileSync(resolve(import.meta.dirname, `../fixtures/torch/${name}.bin`)));

function filesWith(bytes: Uint8Array): Files {
  const {'config.json': config} = tinyFiles();
  return {'config.json': config, 'pytorch_model.bin': bytes};
}

/** Where the data of an entry begins, from its local header. */
function dataOf(bytes: Uint8Array, name: string): number {
  const local = Buffer.from(bytes).indexOf(Buffer.concat([Buffer.from(name), Buffer.from('FB')]));
  if (local < 0) throw new Error(`no local header of ${name}`);
  return local + name.length + new DataView(bytes.buffer, bytes.byteOffset + local - 2).getUint16(0, true);
}

function flipped(bytes: Uint8Array, at: number, bit = 1): Uint8Array<ArrayBuffer> {
  const changed = Uint8Array.from(bytes);
  changed[at] ^= bit;
  return changed;
}

describe('archives of torch.save', () => {
  for (const name of ['views', 'protocol3', 'parameters', 'no-checksums']) {
    it(`${name}: the numbers of the plain form`, async () => {
      expectSameWeights(await readFiles(filesWith(saved(name))), await readFiles(tinyFiles()));
    });
  }

  it('expanded: one element stands for all', async () => {
    const expected = await readFiles(tinyFiles());
    const d = 'layers.0/mixer/D';
    expected.set(d, new Float32Array(8).fill(expected.get(d)![0]));
    expectSameWeights(await readFiles(filesWith(saved('expanded'))), expected);
  });

  it('with a flipped bit in a weight are refused, wherever it is, also where views share a storage', async () => {
    for (const [name, entry, size] of [
      ['views', 'views/data/0', 944],
      ['parameters', 'parameters/data/0', 80],
      ['parameters', 'parameters/data/9', 32],
      ['parameters', 'parameters/data.pkl', 1497],
    ] as const) {
      const bytes = saved(name);
      const start = dataOf(bytes, entry);
      for (let at = 0; at < size; at += Math.ceil(size / 12)) {
        await expectAsync(readFiles(filesWith(flipped(bytes, start + at))))
          .withContext(`${entry} ${at}`)
          .toBeRejectedWithError(/^pytorch_model\.bin: ".*" does not match its checksum; the file is damaged$/);
      }
    }
  });

  it('with a flipped bit in what no tensor has of a storage are refused', async () => {
    const bytes = saved('views');
    const start = dataOf(bytes, 'views/data/0');
    for (const at of [0, 200, 943]) {
      const tensors = await openTorchArchive(blobFile('w.bin', new Blob([flipped(bytes, start + at)])));
      // Two tensors in the middle, one after the other; the last one there is reads to the end.
      const last = 'backbone.norm_f.weight';
      const read = async () => {
        for (const name of ['backbone.layers.0.norm.weight', last]) await readFloats(tensors.get(name)!);
      };
      await expectAsync(read())
        .withContext(`${at}`)
        .toBeRejectedWithError(/^w\.bin: .*checksum/);
    }
  });

  it('are read once, each view where it lies', async () => {
    const bytes = saved('views');
    const [start, end] = [dataOf(bytes, 'views/data/0'), dataOf(bytes, 'views/data/0') + 944];
    let read = 0;
    const blob = blobFile('w.bin', new Blob([bytes]));
    const counting: ByteFile = {
      ...blob,
      read(from, to) {
        read += Math.max(0, Math.min(to, end) - Math.max(from, start));
        return blob.read(from, to);
      },
    };
    const tensors = [...(await openTorchArchive(counting)).values()].sort((a, b) => a.position - b.position);
    read = 0;
    for (const tensor of tensors) await readFloats(tensor);
    expect(read).toBe(944);
  });

  it('name the file, whatever is wrong with the header of an entry', async () => {
    const bytes = saved('protocol3');
    const start = dataOf(bytes, 'protocol3/data/0');
    const header = Buffer.from(bytes).lastIndexOf(Buffer.from('PK\x03\x04'), start);
    const whole = await readFiles(tinyFiles());
    let refused = 0;
    for (let at = header; at < header + 46; at++) {
      try {
        expectSameWeights(await readFiles(filesWith(flipped(bytes, at, 0x10))), whole);
      } catch (error) {
        refused++;
        expect((error as Error).message).toMatch(/^pytorch_model\.bin: .*damaged$/);
      }
    }
    // The signature, the method, the lengths and the name; the rest is said again in the table of contents.
    expect(refused).toBeGreaterThanOrEqual(4 + 2 + 2 + 16);
  });

  it('have the checksum of zip archives', () => {
    const text = new TextEncoder().encode('..123456789, and then more than sixteen bytes of it');
    expect(crc32(text.subarray(2, 11))).toBe(0xcbf43926);
    const bytewise = (bytes: Uint8Array) => bytes.reduce((crc, byte) => crc32(Uint8Array.of(byte), crc), 0);
    for (let from = 0; from < 8; from++) expect(crc32(text.subarray(from))).toBe(bytewise(text.subarray(from)));
  });
});
