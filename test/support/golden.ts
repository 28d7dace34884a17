/** Reads the recorded cases of test/fixtures/golden. */
import {blobFile} from '../../src/checkpoints/bytes';
import {openSafetensors} from '../../src/checkpoints/safetensors';
import type {CheckpointSource} from '../../src/checkpoints/source';
import type {StoredTensor} from '../../src/checkpoints/tensors';
import {readBytes, readFloats} from '../../src/checkpoints/tensors';
import type {Arrays} from './arrays';
import {fixtureBytes} from './fixtures';

/** The tensors of a safetensors file under test/fixtures, by name; integers too. */
export async function goldenArrays(path: string): Promise<Arrays> {
  const {tensors} = await openSafetensors(blobFile(path, new Blob([await fixtureBytes(path)])));
  const read = await Promise.all(
    [...tensors].map(async ([name, tensor]) => {
      const array = {shape: [...tensor.shape], values: Float64Array.from(await numbers(tensor))};
      return [name, array] as const;
    }),
  );
  return Object.fromEntries(read);
}

async function numbers(tensor: StoredTensor): Promise<ArrayLike<number>> {
  return tensor.dtype === 'I32' ? new Int32Array((await readBytes(tensor)).buffer) : readFloats(tensor);
}

/** A folder under test/fixtures as a source of a checkpoint, in Node and in a page alike; only the named files exist. */
export function fixtureSource(folder: string, files: readonly string[]): CheckpointSource {
  return {
    name: folder,
    open: async (file) =>
      files.includes(file) ? blobFile(file, new Blob([await fixtureBytes(`${folder}/${file}`)])) : undefined,
  };
}
