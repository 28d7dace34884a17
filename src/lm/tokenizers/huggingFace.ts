/** Hugging Face's `tokenizer.json`, read by their package `@huggingface/tokenizers` once it has been checked. */
import type * as Library from '@huggingface/tokenizers';
import {addedTokens} from './addedTokens';
import {checkIds, checkText} from './arguments';
import {Field} from './fields';
import {vocabulary} from './model';
import {decoder, endsInBytes, normalizer, preTokenizer} from './pipeline';
import type {Tokenizer} from './tokenizer';

/** The `encode` of those that were made here, whatever object it has come into since. */
const own = new WeakSet<Tokenizer['encode']>();

/** Whether a tokenizer encodes as one that its `toJSON` is the file of. */
export function isHuggingFaces({encode}: Tokenizer): boolean {
  return own.has(encode);
}

/** @param json The content of the file. */
export async function huggingFaceTokenizer(json: object): Promise<Tokenizer> {
  const file = new Field('', json);
  for (const name of ['truncation', 'padding']) {
    if (!file.get(name).isNull) file.get(name).refuse('null');
  }
  const before = file.get('pre_tokenizer');
  const steps = {
    normalizer: normalizer(file.get('normalizer')),
    pre_tokenizer: preTokenizer(before),
    decoder: decoder(file.get('decoder')),
    // It would add tokens at the ends, which nobody asks for here.
    post_processor: null,
  };
  const {ids, model} = vocabulary(file.get('model'), {bytesOnly: endsInBytes(before), preTokenizer: before});
  const added = addedTokens(file.get('added_tokens'), ids);
  const tokenizer = await makeTokenizer({...steps, model, added_tokens: added});

  const changed = added.findIndex(({content, normalized}) => {
    return normalized && (tokenizer.normalizer?.(content) ?? content) !== content;
  });
  if (changed !== -1) {
    const field = file.get('added_tokens').list()[changed].get('normalized');
    field.refuse('false, as the normalizer changes the token');
  }
  // Ids need not be as many as tokens: a vocabulary may have gaps.
  const vocabSize = 1 + [...ids.values(), ...added.map(({id}) => id)].reduce((most, id) => Math.max(most, id), -1);
  const encode = (text: string) => tokenizer.encode(checkText('tokenizer', text), {add_special_tokens: false}).ids;
  own.add(encode);
  return {
    vocabSize,
    encode,
    // The library passes over ids it does not know, such as those that pad a vocabulary, but wants at least one.
    decode: (tokens, {skipSpecialTokens = false} = {}) => {
      const checked = checkIds('tokenizer', tokens);
      if (checked.length === 0) return '';
      const options = {skip_special_tokens: skipSpecialTokens, clean_up_tokenization_spaces: false};
      return tokenizer.decode(checked, options);
    },
    toJSON: () => json,
  };
}

async function makeTokenizer(content: object): Promise<Library.Tokenizer> {
  let library: typeof Library;
  try {
    // An optional peer: whoever trains on characters should not have to install or download it.
    // eslint-disable-next-line no-restricted-syntax
    library = await import('@huggingface/tokenizers');
  } catch (error) {
    throw new Error('loadTokenizer: this tokenizer.json needs the package @huggingface/tokenizers; install it', {
      cause: error,
    });
  }
  try {
    return new library.Tokenizer(content, {});
  } catch (error) {
    throw new Error(`loadTokenizer: ${(error as Error).message}`, {cause: error});
  }
}
