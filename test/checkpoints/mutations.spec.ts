/**
 * Valid files with bytes changed, cut or added at random: whatever comes of it is a checkpoint or an Error, soon, and
 * without more memory than the file could fill.
 */
import {join} from 'node:path';
import fc from 'fast-check';
import {readCheckpoint} from '../../src/checkpoints/load';
import {collect, folderFiles, golden, memorySource, tinyFiles, type Files} from './memoryFiles';
import {archive, stateDict, tensor} from './torchFiles';

const edit = fc.record({at: fc.double({min: 0, max: 1, noNaN: true}), byte: fc.nat(255)});
const mutation = fc.record({
  edits: fc.array(edit, {minLength: 1, maxLength: 8}),
  keep: fc.oneof(
    {weight: 3, arbitrary: fc.constant(1)},
    {weight: 1, arbitrary: fc.double({min: 0, max: 1, noNaN: true})},
  ),
  tail: fc.uint8Array({maxLength: 3}),
  /** Where edits go: headers and tables matter most. */
  region: fc.constantFrom('start', 'end', 'all'),
});

function mutate(
  bytes: Uint8Array,
  {edits, keep, tail, region}: typeof mutation extends fc.Arbitrary<infer T> ? T : never,
) {
  const span = Math.min(region === 'all' ? bytes.length : 4096, bytes.length);
  const from = region === 'end' ? bytes.length - span : 0;
  const changed = Uint8Array.from(bytes);
  for (const {at, byte} of edits) changed[from + Math.floor(at * (span - 1))] = byte;
  return Uint8Array.from([...changed.subarray(0, Math.ceil(keep * bytes.length)), ...tail]);
}

const official = folderFiles(join(golden, 'official/official_mamba'));
delete official['model.safetensors'];
const subjects: [string, Files, string][] = [
  ['safetensors', tinyFiles(), 'model.safetensors'],
  ['a torch archive', official, 'pytorch_model.bin'],
  ['a small torch archive', {...official, 'pytorch_model.bin': small()}, 'pytorch_model.bin'],
  ['a shard index', folderFiles(join(golden, 'lm/mamba_v64_h32/sharded')), 'model.safetensors.index.json'],
  ['config.json', folderFiles(join(golden, 'lm/mamba_v97_h48')), 'config.json'],
];

function small() {
  return archive(stateDict({'backbone.norm_f.weight': tensor({shape: [2, 3], strides: [1, 2]})}), {
    '0': new Float32Array(6),
  });
}

describe('damaged files', () => {
  for (const [name, files, file] of subjects) {
    it(`${name}: an error or a checkpoint, nothing else`, async () => {
      const original = files[file] as Uint8Array;
      let [read, refused, largest] = [0, 0, 0];
      const allocated = spyOnAllocations((bytes) => (largest = Math.max(largest, bytes)));
      try {
        const property = fc.asyncProperty(mutation, async (change) => {
          try {
            const bytes = mutate(typeof original === 'string' ? new TextEncoder().encode(original) : original, change);
            await collect(await readCheckpoint(memorySource({...files, [file]: bytes})));
            read++;
          } catch (error) {
            refused++;
            return error instanceof Error && !(error instanceof TypeError) && error.message !== '';
          }
          return true;
        });
        await fc.assert(property, {numRuns: 300});
      } finally {
        allocated.restore();
      }
      expect(read + refused).toBeGreaterThanOrEqual(300);
      expect(refused).toBeGreaterThan(10);
      expect(largest).toBeLessThan(16 * 1024 * 1024);
    });
  }
});

/** Sees the size of every Float32Array and Uint8Array that is made by length. */
function spyOnAllocations(seen: (bytes: number) => void): {restore(): void} {
  const originals = {Float32Array, Uint8Array};
  const watch = <T extends typeof Float32Array | typeof Uint8Array>(type: T): T =>
    new Proxy(type, {
      construct(target, args: unknown[], newTarget) {
        if (typeof args[0] === 'number') seen(args[0] * target.BYTES_PER_ELEMENT);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
  Object.assign(globalThis, {Float32Array: watch(Float32Array), Uint8Array: watch(Uint8Array)});
  return {restore: () => void Object.assign(globalThis, originals)};
}
