/** What every tokenizer is. */

/** Turns text into token ids and back. */
export interface Tokenizer {
  /** Number of ids: a model needs at least this `vocabSize`. */
  readonly vocabSize: number;
  /** Nothing is added at either end. */
  encode(text: string): number[];
  /**
   * The text of these ids.
   *
   * @param options.skipSpecialTokens Leaves out tokens such as `<|endoftext|>` (false).
   */
  decode(ids: readonly number[], options?: {skipSpecialTokens?: boolean}): string;
  /** What `loadTokenizer` makes the same tokenizer of; `JSON.stringify` calls it. */
  toJSON(): object;
  /** The content of the `tokenizer_config.json` beside the tokenizer, if any: special tokens' names, a template for chats. */
  readonly config?: object;
}
