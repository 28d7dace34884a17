/** A model in a folder, small, untrained and always the same, that knows what letters are. */
import {savePretrained} from '../../src/node';
import {mambaLM} from '../../src/lm/model';
import type {Tokenizer} from '../../src/lm/tokenizers';
import {characterTokenizer} from '../../src/lm/tokenizers';

export const letters = characterTokenizer('\n <>abcdefghijklmnopqrstuvwxyz|');

export async function smallFolder(folder: string, tokenizer: Tokenizer = letters, dModel = 8): Promise<string> {
  const model = mambaLM({vocabSize: tokenizer.vocabSize, dModel, nLayer: 2, dState: 4}, {seed: 5});
  model.tokenizer = tokenizer;
  await savePretrained(model, folder);
  model.dispose();
  return folder;
}
