/** How well the model foresees sound that it has not heard. */
import type {MambaLM, TokenBatch} from '../../src';
import {adamW, trainer} from '../../src';
import type {Recording} from '../digits/recording';
import {speechBatch, tokensOf} from './tokens';

const ROWS = 8;

/** Bits per sample of recordings, ends included, each up to `longest` tokens. */
export async function heldOutBits(
  model: MambaLM,
  recordings: readonly Recording[],
  {longest}: {longest: number},
): Promise<number> {
  const rows = recordings.map((recording) => tokensOf(recording)).sort((a, b) => a.length - b.length);
  let next = 0;
  const batches = {
    iterator: async () => ({
      next: async (): Promise<IteratorResult<TokenBatch>> => {
        if (next >= rows.length) return {done: true, value: undefined};
        const some = rows.slice(next, (next += ROWS));
        return {done: false, value: speechBatch(some, longest)};
      },
    }),
  };
  const {loss} = await trainer(model, {optimizer: adamW({learningRate: 0})}).evaluate(batches);
  return loss / Math.LN2;
}
