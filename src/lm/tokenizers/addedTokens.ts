/**
 * The added tokens of a `tokenizer.json`. Python gives them ids by its own rule, whatever the file says: the model's, if it
 * has the token, else the next free one. A file that says something else is refused.
 *
 * Reference: tokenizers/src/tokenizer/added_vocabulary.rs (add_tokens) of version 0.23.
 */
import type {Field} from './fields';

interface AddedToken extends Record<string, unknown> {
  id: number;
  content: string;
  normalized: boolean;
}

/** @throws An error naming the field. */
export function addedTokens(field: Field, ids: ReadonlyMap<string, number>): AddedToken[] {
  if (field.isNull) return [];
  const contents = new Set<string>();
  let largest = -1;
  return field.list().map((token) => {
    const content = token.get('content').string();
    if (content === '') token.get('content').wrong('a string that is not empty');
    if (contents.has(content)) token.get('content').wrong('there once');
    contents.add(content);
    const id = token.get('id').natural();
    const expected = ids.get(content) ?? (largest >= ids.size ? largest + 1 : ids.size);
    if (id !== expected) token.get('id').refuse(`${expected}, the id that ${JSON.stringify(content)} has there`);
    largest = Math.max(largest, id);
    for (const name of ['single_word', 'lstrip', 'rstrip']) {
      if (token.get(name).boolean(false)) token.get(name).refuse('false');
    }
    const special = token.get('special').boolean(false);
    return {id, content, special, normalized: token.get('normalized').boolean(!special)};
  });
}
