/**
 * `bench -- induction --backend wasm@chromium --to 16`: the induction heads that come with the package on sequences of 2^6 … 2^to tokens, read
 * by pieces: what is right, how long it takes and what is held. In Node or in a page.
 */
import {fromPretrained} from '../src';
import {blobFile} from '../src/checkpoints/bytes';
import {evaluateAt} from '../models/induction-heads/evaluate';
import {modelBytes} from '../test/support/fixtures';

/** Sequences of each length, and tokens read at a time. */
const [rows, piece] = [4, 2048];

export type InductionFigures = Array<{length: number; accuracy: number; seconds: number; heldMB: number}>;

export async function measureInduction(to: number): Promise<InductionFigures> {
  const names = ['config.json', 'model.safetensors'];
  const open = async (name: string) =>
    names.includes(name) ? blobFile(name, new Blob([await modelBytes(`induction-heads/${name}`)])) : undefined;
  const model = await fromPretrained({name: 'induction-heads', open});
  const figures: InductionFigures = [];
  for (let length = 64; length <= 2 ** to; length *= 2) {
    const {accuracy, seconds, bytes} = await evaluateAt(model, length, {rows, piece: Math.min(piece, length), seed: 3});
    figures.push({length, accuracy, seconds, heldMB: bytes / 1e6});
    console.log(
      `${length}: ${(100 * accuracy).toFixed(0)} % of ${rows}, ${seconds.toFixed(1)} s, ${(bytes / 1e6).toFixed(2)} MB`,
    );
  }
  model.dispose();
  return figures;
}
