import fc from 'fast-check';
import {byteTokenizer, characterTokenizer, loadTokenizer, type Tokenizer} from '../../src/lm/tokenizers';
import {fixtureBytes} from '../support/fixtures';

interface TokenizerCase {
  kind: 'encode' | 'decode';
  text?: string;
  ids: number[];
  decoded: string;
  decoded_skip_special: string;
}

// Plain JSON: one of the texts is about NaN, which fixtureJson would replace.
const golden = async (file: string) =>
  JSON.parse(new TextDecoder().decode(await fixtureBytes(`golden/tokenizer/${file}`))) as unknown;

const saved = (tokenizer: Tokenizer) => loadTokenizer(JSON.parse(JSON.stringify(tokenizer)));

describe('tokenizers', () => {
  it('reads a tokenizer.json of Hugging Face: the 200 recorded cases', async () => {
    const tokenizer = await loadTokenizer(await golden('tokenizer.json'));
    const {cases} = (await golden('cases.json')) as {cases: TokenizerCase[]};
    expect(tokenizer.vocabSize).toBe(50277);
    expect(cases.length).toBe(200);
    for (const {kind, text, ids, decoded, decoded_skip_special: skipped} of cases) {
      const name = JSON.stringify(text ?? ids);
      if (kind === 'encode') expect(tokenizer.encode(text!)).withContext(name).toEqual(ids);
      expect(tokenizer.decode(ids)).withContext(name).toBe(decoded);
      expect(tokenizer.decode(ids, {skipSpecialTokens: true}))
        .withContext(name)
        .toBe(skipped);
    }
  });

  it('has one id per character, in code point order', async () => {
    const tokenizer = characterTokenizer('hello, wörld 😀!');
    expect(tokenizer.vocabSize).toBe(12);
    expect(tokenizer.encode(' !😀')).toEqual([0, 1, 11]);
    expect(tokenizer.decode(tokenizer.encode('world 😀'.replace('o', 'ö')))).toBe('wörld 😀');
    const again = await saved(tokenizer);
    expect(again.encode('hello')).toEqual(tokenizer.encode('hello'));
    expect(again.vocabSize).toBe(12);
  });

  it('takes any text as bytes, and gives it back', async () => {
    const tokenizer = await saved(byteTokenizer());
    expect(tokenizer.encode('aé')).toEqual([0x61, 0xc3, 0xa9]);
    expect(tokenizer.decode([0x61, 0xc3])).toBe('a\ufffd');
    fc.assert(fc.property(fc.string({unit: 'binary'}), (text) => tokenizer.decode(tokenizer.encode(text)) === text));
  });

  it('refuses what it cannot encode or decode', async () => {
    const tokenizer = characterTokenizer('abc');
    expect(() => tokenizer.encode('abd')).toThrowError(/"d".*not in the vocabulary/);
    expect(() => tokenizer.decode([3])).toThrowError(/ids must be .* below 3, but one is 3/);
    expect(() => byteTokenizer().decode([1.5])).toThrowError(/ids must be .* below 256/);
    expect(() => characterTokenizer('')).toThrowError(/at least one/);
    expect(() => characterTokenizer(['a', 'a'])).toThrowError(/single time/);
    expect(() => characterTokenizer(['ab'])).toThrowError(/single characters/);
    for (const json of [{}, {type: 'word'}]) {
      await expectAsync(loadTokenizer(json)).toBeRejectedWithError(/loadTokenizer: json must be/);
    }
    for (const json of [null, 5]) {
      await expectAsync(loadTokenizer(json)).toBeRejectedWithError(
        /^loadTokenizer: source must be a path, .* but is (null|number 5)$/,
      );
    }
    await expectAsync(loadTokenizer({type: 'character', characters: 5})).toBeRejectedWithError(/must be a text/);
  });
});
