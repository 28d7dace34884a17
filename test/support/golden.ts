/** Reads the recorded cases of test/fixtures/golden. */
import {blobFile} from '../../src/checkpoints/bytes';
import {openSafetensors} from '../../src/checkpoints/safetensors';
import {readFloats} from '../../src/checkpoints/tensors';
import type {Arrays} from './arrays';
import {fixtureBytes} from './fixtures';

/** The float tensors of a safetensors file under test/fixtures, by name. */
export async function goldenArrays(path: string): Promise<Arrays> {
  const {tensors} = await openSafetensors(blobFile(path, new Blob([await fixtureBytes(path)])));
  const read = await Promise.all(
    [...tensors].map(async ([name, tensor]) => {
      const array = {shape: [...tensor.shape], values: Float64Array.from(await readFloats(tensor))};
      return [name, array] as const;
    }),
  );
  return Object.fromEntries(read);
}
