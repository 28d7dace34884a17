/** `tokenizer.json` of every kind: the ids of Hugging Face's Python library, or an error that names the field. */
import {loadTokenizer, byteTokenizer, characterTokenizer} from '../../src/lm/tokenizers';
import {fixtureBytes} from '../support/fixtures';

type Json = Record<string, unknown>;
type Change = [path: (string | number)[], value: unknown];

interface Cases {
  bases: Record<string, Json>;
  texts: string[];
  cases: {base: string; changes: Change[]; ids: number[][]}[];
}

let recorded: Cases;
beforeAll(async () => {
  recorded = JSON.parse(new TextDecoder().decode(await fixtureBytes('tokenizers/cases.json'))) as Cases;
});

function changed(base: string, changes: Change[]): Json {
  const json = structuredClone(recorded.bases[base]);
  for (const [path, value] of changes) {
    const target = path.slice(0, -1).reduce((at, step) => at[step] as Json, json);
    const last = path.at(-1)!;
    if (value === undefined) delete target[last];
    else target[last] = value;
  }
  return json;
}

const split = (pattern: object, behavior: string, invert = false) => ({
  type: 'Sequence',
  pretokenizers: [
    {type: 'Split', pattern, behavior, invert},
    {type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: false},
  ],
});
const added = (...tokens: object[]) => tokens.map((token) => ({normalized: false, special: false, ...token}));

/** What is refused: the tokenizer, the field, its value, and what is said. */
const refused: [string, (string | number)[], unknown, RegExp][] = [
  ['byte', ['truncation'], {max_length: 5}, /^loadTokenizer: truncation .* supported is null$/],
  ['byte', ['padding'], {pad_id: 0}, /^loadTokenizer: padding /],
  ['byte', ['model', 'type'], 'WordLevel', /^loadTokenizer: model\.type "WordLevel" cannot/],
  ['byte', ['model', 'type'], undefined, /^loadTokenizer: model\.type must be a string, but is null/],
  ['byte', ['model', 'vocab'], undefined, /^loadTokenizer: model\.vocab must be an object, but is null/],
  ['byte', ['model', 'vocab'], [], /^loadTokenizer: model\.vocab must be an object, but is \[\]/],
  ['byte', ['model', 'vocab'], {}, /^loadTokenizer: model\.vocab must have 1 to 524288 tokens, but has 0/],
  ['byte', ['model', 'vocab', 'a'], 1e9, /^loadTokenizer: model\.vocab\["a"\] must be below 524288, but is 1000000000/],
  ['byte', ['model', 'vocab', 'a'], 'x', /^loadTokenizer: model\.vocab\["a"\] must be a whole number, but is "x"/],
  ['byte', ['model', 'vocab', 'a'], -1, /^loadTokenizer: model\.vocab\["a"\] must be a whole number, but is -1/],
  [
    'byte',
    ['model', 'vocab', 'a'],
    5,
    /^loadTokenizer: model\.vocab\[.*\] must be an id that no other token has, but is 5/,
  ],
  ['byte', ['model', 'merges'], undefined, /^loadTokenizer: model\.merges must be an array, but is null/],
  ['byte', ['model', 'merges'], 'a b', /^loadTokenizer: model\.merges must be an array, but is "a b"/],
  ['byte', ['model', 'merges', 3], 5, /^loadTokenizer: model\.merges\[3\] must be two tokens, but is 5/],
  ['byte', ['model', 'merges', 3], 'a b c', /^loadTokenizer: model\.merges\[3\] must be two tokens/],
  [
    'byte',
    ['model', 'merges', 3],
    ['a', 'zzz'],
    /^loadTokenizer: model\.merges\[3\] must be two tokens of the vocabulary/,
  ],
  ['byte', ['model', 'dropout'], 0.1, /^loadTokenizer: model\.dropout 0\.1 cannot/],
  ['byte', ['model', 'byte_fallback'], true, /^loadTokenizer: model\.byte_fallback true cannot/],
  ['byte', ['model', 'ignore_merges'], 1, /^loadTokenizer: model\.ignore_merges must be true or false, but is 1/],
  ['byte', ['pre_tokenizer'], null, /^loadTokenizer: model\.unk_token null cannot/],
  ['byte', ['pre_tokenizer'], 'ByteLevel', /^loadTokenizer: pre_tokenizer must be an object, but is "ByteLevel"/],
  ['byte', ['pre_tokenizer', 'type'], 'UnicodeScripts', /^loadTokenizer: pre_tokenizer\.type "UnicodeScripts" cannot/],
  ['words', ['model', 'unk_token'], null, /^loadTokenizer: model\.unk_token null cannot .* a token, unless/],
  ['words', ['model', 'unk_token'], '<nope>', /^loadTokenizer: model\.unk_token must be a token of the vocabulary/],
  ['words', ['model', 'fuse_unk'], true, /^loadTokenizer: model\.fuse_unk true cannot/],
  ['words', ['model', 'end_of_word_suffix'], '</w>', /^loadTokenizer: model\.end_of_word_suffix "<\/w>" cannot/],
  ['words', ['model', 'continuing_subword_prefix'], '#', /^loadTokenizer: model\.continuing_subword_prefix "#" cannot/],
  [
    'llama',
    ['normalizer'],
    {type: 'Precompiled', precompiled_charsmap: ''},
    /^loadTokenizer: normalizer\.type "Precompiled"/,
  ],
  [
    'llama',
    ['normalizer', 'normalizers', 0, 'type'],
    'Strip',
    /^loadTokenizer: normalizer\.normalizers\[0\]\.type "Strip"/,
  ],
  ['llama', ['normalizer', 'normalizers'], null, /^loadTokenizer: normalizer\.normalizers must be an array/],
  ['llama', ['normalizer', 'normalizers', 0], null, /^loadTokenizer: normalizer\.normalizers\[0\] must be an object/],
  [
    'llama',
    ['decoder'],
    {type: 'Sequence', decoders: [null]},
    /^loadTokenizer: decoder\.decoders\[0\] must be an object/,
  ],
  ['llama', ['decoder'], {type: 'CTC'}, /^loadTokenizer: decoder\.type "CTC" cannot/],
  [
    'metaspace',
    ['pre_tokenizer', 'prepend_scheme'],
    'last',
    /^loadTokenizer: pre_tokenizer\.prepend_scheme "last" cannot/,
  ],
  ['metaspace', ['pre_tokenizer', 'add_prefix_space'], false, /^loadTokenizer: pre_tokenizer\.add_prefix_space false/],
  ['unigram', ['model', 'unk_id'], 120, /^loadTokenizer: model\.unk_id must be below 120/],
  ['unigram', ['model', 'vocab', 4], ['a'], /^loadTokenizer: model\.vocab\[4\] must be a token and a number/],
  ['unigram', ['model', 'byte_fallback'], true, /^loadTokenizer: model\.byte_fallback true cannot/],
  ['unigram', ['pre_tokenizer', 'type'], 'Whitespace', /^loadTokenizer: pre_tokenizer\.type "Whitespace" cannot/],
  ['wordpiece', ['model', 'unk_token'], null, /^loadTokenizer: model\.unk_token must be a string, but is null/],
  ...['MergedWithPrevious', 'MergedWithNext', 'Contiguous'].map((behavior): (typeof refused)[number] => [
    'byte',
    ['pre_tokenizer'],
    split({Regex: 'e'}, behavior),
    new RegExp(`^loadTokenizer: pre_tokenizer\\.pretokenizers\\[0\\]\\.behavior "${behavior}" cannot`),
  ]),
  ...['(?>a)', 'a++', '(?<!a)b', '\\ba', '^a', '(?m:a)', '(a)\\1'].map((regex): (typeof refused)[number] => [
    'byte',
    ['pre_tokenizer'],
    split({Regex: regex}, 'Isolated'),
    /^loadTokenizer: pre_tokenizer\.pretokenizers\[0\]\.pattern\.Regex ".*" cannot/,
  ]),
  ['byte', ['pre_tokenizer'], split({Regex: '(a)'}, 'Removed'), /pattern .*cannot .* one without groups, if Removed/],
  ['byte', ['pre_tokenizer'], split({Regex: '('}, 'Isolated'), /^loadTokenizer: /],
  ['byte', ['pre_tokenizer'], split({}, 'Isolated'), /pattern\.Regex must be a string, but is null/],
  ['byte', ['added_tokens'], 5, /^loadTokenizer: added_tokens must be an array, but is 5/],
  ['byte', ['added_tokens'], added({id: 0, content: 5}), /^loadTokenizer: added_tokens\[0\]\.content must be a string/],
  ['byte', ['added_tokens'], added({id: 'x', content: 'the'}), /^loadTokenizer: added_tokens\[0\]\.id must be a whole/],
  [
    'byte',
    ['added_tokens'],
    added({id: 331, content: 'the,'}),
    /added_tokens\[0\]\.id 331 cannot .* is 330, the id that/,
  ],
  ['byte', ['added_tokens'], added({id: 5, content: 'the,'}), /added_tokens\[0\]\.id 5 cannot .* is 330, the id/],
  ['byte', ['added_tokens'], added({id: 330, content: 'a'}), /added_tokens\[0\]\.id 330 cannot/],
  ['byte', ['added_tokens'], added({id: 330, content: 'x,'}, {id: 330, content: 'y,'}), /\[1\]\.id 330 .* is 331/],
  [
    'byte',
    ['added_tokens'],
    added({id: 330, content: 'x,'}, {id: 330, content: 'x,'}),
    /\[1\]\.content must be there once/,
  ],
  ['byte', ['added_tokens'], added({id: 330, content: 'e\u0301', normalized: true}), /\[0\]\.normalized true cannot/],
  ...['single_word', 'lstrip', 'rstrip'].map((name): (typeof refused)[number] => [
    'byte',
    ['added_tokens'],
    added({id: 330, content: 'the,', [name]: true}),
    new RegExp(`^loadTokenizer: added_tokens\\[0\\]\\.${name} true cannot`),
  ]),
];

describe('tokenizer.json', () => {
  it('gives the ids of the Python library, in all recorded cases', async () => {
    expect(recorded.cases.length).toBeGreaterThan(25);
    for (const {base, changes, ids} of recorded.cases) {
      const tokenizer = await loadTokenizer(changed(base, changes));
      for (const [i, text] of recorded.texts.entries()) {
        expect(tokenizer.encode(text))
          .withContext(`${base} ${JSON.stringify(changes)} ${JSON.stringify(text)}`)
          .toEqual(ids[i]);
      }
    }
  });

  it('is refused where it would give others, or is broken, by the name of the field', async () => {
    for (const [base, path, value, message] of refused) {
      await expectAsync(loadTokenizer(changed(base, [[path, value]])))
        .withContext(`${base} ${path.join('.')} ${JSON.stringify(value)}`)
        .toBeRejectedWithError(message);
    }
  });

  it('refuses a split at the sign of Metaspace that a token of the vocabulary would be lost by', async () => {
    const {vocab, merges} = recorded.bases['metaspace']['model'] as {vocab: Record<string, number>; merges: unknown[]};
    const crossing: Change[] = [
      [['model', 'vocab'], {...vocab, '▁▁': Object.keys(vocab).length}],
      [
        ['model', 'merges'],
        [...merges, ['▁', '▁']],
      ],
    ];
    await expectAsync(loadTokenizer(changed('metaspace', crossing))).toBeRejectedWithError(
      /^loadTokenizer: pre_tokenizer\.split true cannot .* is false, as a token has "▁" behind its beginning$/,
    );
    const whole: Change = [['pre_tokenizer', 'split'], false];
    expect((await loadTokenizer(changed('metaspace', [...crossing, whole]))).encode('  a').length).toBeGreaterThan(0);
  });
});

describe('what is no text and no ids', () => {
  it('is refused by every tokenizer', async () => {
    const tokenizers = {
      characterTokenizer: characterTokenizer('abc'),
      byteTokenizer: byteTokenizer(),
      tokenizer: await loadTokenizer(recorded.bases['byte']),
    };
    for (const [name, {encode, decode}] of Object.entries(tokenizers)) {
      for (const text of [undefined, null, 5, ['a'], {}]) {
        expect(() => encode(text as never)).toThrowError(new RegExp(`^${name}: text must be a string, but is `));
      }
      for (const ids of [undefined, null, 5, 'abc', {}, [1.5], ['1'], [-1], [undefined]]) {
        expect(() => decode(ids as never)).toThrowError(new RegExp(`^${name}: ids must be `));
      }
    }
  });
});
