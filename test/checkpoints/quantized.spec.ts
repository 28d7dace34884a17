/** The quantised types of GGUF: blocks and values bit for bit as gguf 0.19.0 makes and reads them. */
import {openSafetensors} from '../../src/checkpoints/safetensors';
import {blobFile} from '../../src/checkpoints/bytes';
import {readBytes, readFloats} from '../../src/checkpoints/tensors';
import {decodeBlocks, quantizedTypes} from '../../src/checkpoints/quantized';
import {joinQ8, quantizeQ8, splitQ8} from '../../src/checkpoints/quantized/q8_0';
import {fixtureBytes} from '../support/fixtures';
import {bits} from './memoryFiles';

async function recorded() {
  const file = blobFile('blocks', new Blob([await fixtureBytes('golden/gguf/blocks.safetensors')]));
  const {tensors} = await openSafetensors(file);
  return {
    blocks: (type: string) => readBytes(tensors.get(`${type}.blocks`)!),
    values: (name: string) => readFloats(tensors.get(name)!),
  };
}

describe('quantised blocks', () => {
  for (const [name, type] of Object.entries(quantizedTypes)) {
    it(`of ${name} are read bit for bit`, async () => {
      const {blocks, values} = await recorded();
      const expected = await values(`${name}.values`);
      const actual = new Float32Array(expected.length);
      decodeBlocks(type, await blocks(name), actual, 0);
      expect(bits(actual)).toEqual(bits(expected));
    });
  }

  it('of Q8_0 are made bit for bit, and are the same again from their parts', async () => {
    const {blocks, values} = await recorded();
    const expected = await blocks('Q8_0');
    expect(quantizeQ8(await values('values'))).toEqual(expected);
    expect(joinQ8(splitQ8(expected))).toEqual(expected);
  });

  it('hold no NaN, no infinity, and nothing beyond a scale of half precision', () => {
    for (const wrong of [NaN, Infinity, 1e7]) {
      const values = new Float32Array(32).fill(1);
      values[3] = wrong;
      expect(() => quantizeQ8(values)).toThrowError(/which 8 bits with a scale cannot/);
    }
  });
});
