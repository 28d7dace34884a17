/** The characters that a text is made of: the vocabulary of a small model. Node only. */
import {openSplits} from './documents';

/** Every character of the training data once, in the order of its code points. */
export async function charactersOf(source: string): Promise<string[]> {
  const {train} = await openSplits(source);
  const found = new Set<string>();
  const add = (text: string) => {
    for (const character of text) found.add(character);
  };
  if (train?.form === 'texts') {
    for await (const {pieces} of train.read()) for await (const piece of pieces) add(piece);
  } else if (train) {
    for await (const example of train.read()) {
      if ('messages' in example)
        throw new Error(`openData: ${train.name} has chats, for which the tokenizer must have a template`);
      add('text' in example ? example.text : example.prompt + example.completion);
    }
  }
  if (found.size === 0) throw new Error(`openData: ${source} has no text to train on`);
  return [...found].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!);
}
