/**
 * Text of tokens that come one by one. A character may lie in several tokens, and what a token decodes to may depend on its neighbours (a
 * leading space, a suffix), so that tokens are decoded together, from the last place where a character ended.
 */
import type {Tokenizer} from './tokenizers';

export class TextStream {
  /** Every new token. */
  private readonly ids: number[] = [];
  /** What is decoded together: the tokens of the last whole characters, up to `whole`, and those after them. */
  private window: number[];
  private whole: number;
  /** What has been handed out of the window's text. */
  private shown: string;

  /** @param prompt What comes before, which has been shown. */
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly prompt: readonly number[],
  ) {
    this.window = [...prompt];
    this.whole = prompt.length;
    // A prompt may end within a character, whose rest is to come.
    this.shown = withoutPart(tokenizer.decode(this.window));
  }

  /** The text that one more token makes certain. */
  add(id: number): string {
    this.ids.push(id);
    this.window.push(id);
    const text = this.tokenizer.decode(this.window);
    // Bytes that are no character yet, or never will be: the next token tells.
    const certain = withoutPart(text);
    const fresh = certain.slice(this.shown.length);
    if (fresh !== '' && certain === text) {
      this.window = this.window.slice(this.whole);
      this.whole = this.window.length;
      this.shown = this.tokenizer.decode(this.window);
    } else if (fresh !== '') {
      this.shown = certain;
    }
    return fresh;
  }

  /** All of the new text so far. */
  all(): string {
    const before = withoutPart(this.tokenizer.decode(this.prompt));
    return this.tokenizer.decode([...this.prompt, ...this.ids]).slice(before.length);
  }
}

/** The text without bytes at its end that are no character. */
function withoutPart(text: string): string {
  return text.replace(/\uFFFD+$/, '');
}
