/**
 * What is done to a text before the model sees it, and to tokens after, in such words of `@huggingface/tokenizers` (0.2.0) as
 * give what Hugging Face's Python library (tokenizers 0.23) makes of the original ones. The two differ above all in what
 * counts as white space, letter or digit, and in `Split`; guides/tokenizers.md lists the differences.
 */
import type {Field} from './fields';

type Step = Record<string, unknown>;

const punctuation = '[\\p{P}!-\\/:-@\\[-`{-~]';
/** The pattern of ByteLevel, which is GPT-2's. */
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const sequence = (pretokenizers: Step[]): Step => ({type: 'Sequence', pretokenizers});
const split = (regex: string, behavior: 'Isolated' | 'Removed', invert = false): Step => ({
  ...{type: 'Split', pattern: {Regex: regex}, behavior, invert},
});

const plainNormalizers = ['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents'];

/** @returns The normalizer for the package; null for none. */
export function normalizer(field: Field): Step | null {
  if (field.isNull) return null;
  const type = field.get('type').oneOf(...plainNormalizers, 'Prepend', 'Replace', 'BertNormalizer', 'Sequence');
  if (type === 'Sequence') {
    return {type, normalizers: steps(field.get('normalizers'), normalizer)};
  }
  if (type === 'Prepend') return {type, prepend: field.get('prepend').string()};
  if (type === 'Replace') return replacement(field);
  if (type === 'BertNormalizer') {
    const strip = field.get('strip_accents');
    return {
      type,
      clean_text: field.get('clean_text').boolean(true),
      handle_chinese_chars: field.get('handle_chinese_chars').boolean(true),
      strip_accents: strip.isNull ? null : strip.boolean(false),
      lowercase: field.get('lowercase').boolean(true),
    };
  }
  return {type};
}

/** @returns The pre-tokenizer for the package; null for none. */
export function preTokenizer(field: Field): Step | null {
  if (field.isNull) return null;
  const type = field
    .get('type')
    .oneOf(
      ...['ByteLevel', 'Metaspace', 'Split', 'Digits', 'Punctuation', 'Whitespace', 'WhitespaceSplit'],
      ...['BertPreTokenizer', 'CharDelimiterSplit', 'Sequence'],
    );
  switch (type) {
    case 'Sequence':
      return sequence(steps(field.get('pretokenizers'), preTokenizer));
    case 'ByteLevel':
      return byteLevel(field);
    case 'Metaspace':
      return metaspace(field);
    case 'Split':
      return splitBy(field);
    case 'Digits':
      return split(field.get('individual_digits').boolean(false) ? '\\p{N}' : '\\p{N}+', 'Isolated');
    case 'Punctuation': {
      const behavior = field.get('behavior');
      const kind = behavior.isNull ? 'Isolated' : behavior.oneOf('Isolated', 'Removed', 'Contiguous');
      return split(kind === 'Contiguous' ? `${punctuation}+` : punctuation, kind === 'Removed' ? kind : 'Isolated');
    }
    case 'Whitespace':
      return split('\\w+|[^\\w\\s]+', 'Removed', true);
    case 'WhitespaceSplit':
      return split('\\s+', 'Removed');
    case 'BertPreTokenizer':
      return sequence([split('\\s+', 'Removed'), split(punctuation, 'Isolated')]);
    default:
      return split(escaped(field.get('delimiter').string()), 'Removed');
  }
}

/** Whether all that reaches the model are the 256 characters that stand for bytes. */
export function endsInBytes(field: Field): boolean {
  if (field.isNull) return false;
  const type = field.get('type').value;
  return type === 'Sequence' ? field.get('pretokenizers').list().some(endsInBytes) : type === 'ByteLevel';
}

/** @returns The decoder for the package; null for none. */
export function decoder(field: Field): Step | null {
  if (field.isNull) return null;
  const type = field
    .get('type')
    .oneOf('ByteLevel', 'WordPiece', 'Metaspace', 'BPEDecoder', 'Replace', 'Fuse', 'Strip', 'ByteFallback', 'Sequence');
  switch (type) {
    case 'Sequence':
      return {type, decoders: steps(field.get('decoders'), decoder)};
    case 'Replace':
      return replacement(field);
    case 'WordPiece':
      return {type, prefix: field.get('prefix').string(), cleanup: field.get('cleanup').boolean(true)};
    case 'BPEDecoder':
      return {type, suffix: field.get('suffix').string()};
    case 'Strip': {
      const [content, start, stop] = [field.get('content'), field.get('start'), field.get('stop')];
      return {type, content: content.string(), start: start.natural(), stop: stop.natural()};
    }
    case 'Metaspace':
      return metaspaceFields(field, 'always', 'first');
    default:
      return {type};
  }
}

/** Those of a sequence, none of which may be missing. */
function steps(field: Field, step: (field: Field) => Step | null): Step[] {
  return field.list().map((item) => step(item) ?? item.wrong('an object'));
}

function byteLevel(field: Field): Step {
  const before: Step[] = [];
  // With a space as its sign, all that Metaspace does is to put one in front.
  if (field.get('add_prefix_space').boolean(true)) {
    before.push({type: 'Metaspace', replacement: ' ', prepend_scheme: 'always'});
  }
  if (field.get('use_regex').boolean(true)) before.push(split(gpt2, 'Isolated'));
  return sequence([...before, {type: 'ByteLevel', add_prefix_space: false, use_regex: false}]);
}

/** The package never splits here; where that matters is seen by the vocabulary, see model.ts. */
function metaspace(field: Field): Step {
  const step = metaspaceFields(field, 'always', 'first', 'never');
  field.get('split').boolean(true);
  return step;
}

function metaspaceFields(field: Field, ...schemes: string[]): Step {
  const scheme = field.get('prepend_scheme');
  const prepend = scheme.isNull ? 'always' : scheme.oneOf(...schemes);
  const prefix = field.get('add_prefix_space');
  if (!prefix.boolean(true) && prepend !== 'never') prefix.refuse('true');
  const mark = field.get('str_rep');
  const sign = field.get('replacement').string();
  if (!mark.isNull && mark.string() !== sign) mark.refuse(JSON.stringify(sign));
  return {type: 'Metaspace', replacement: sign, prepend_scheme: prepend};
}

function splitBy(field: Field): Step {
  const regex = pattern(field.get('pattern'));
  const behavior = field.get('behavior').oneOf('Isolated', 'Removed') as 'Isolated' | 'Removed';
  const invert = field.get('invert').boolean(false);
  // Each piece by itself is the same whichever of them are the matches.
  if (behavior === 'Isolated') return split(regex, behavior);
  // What a group has matched would be among the pieces.
  if (!invert && /\((?!\?)/.test(withoutEscapes(regex))) field.get('pattern').refuse('one without groups, if Removed');
  return split(regex, behavior, invert);
}

function replacement(field: Field): Step {
  // In JavaScript a dollar sign in what is put in has a meaning.
  const content = field.get('content').string().replaceAll('$', '$$$$');
  return {type: 'Replace', pattern: {Regex: pattern(field.get('pattern'))}, content};
}

/** The regular expression of a pattern, in the syntax of Python's library (Oniguruma), which the package translates. */
function pattern(field: Field): string {
  const text = field.get('String');
  if (!text.isNull) {
    if (text.string() === '') text.wrong('a string that is not empty');
    return escaped(text.string());
  }
  const regex = field.get('Regex');
  const bare = withoutEscapes(regex.string());
  // Atomic and possessive matches become plain ones in the package, references are not translated, and what looks
  // backwards goes wrong in V8 beside characters of two code units.
  if (/\(\?(?![:=!]|i:)|[*+?}]\+|\^/.test(bare) || /\\[1-9AGKRXbBk]/.test(regex.string())) {
    regex.refuse(
      'one without atomic or named groups, possessive quantifiers, options but (?i:, references, \\b, ^ and lookbehind',
    );
  }
  return regex.string();
}

/** Without escapes and classes, so that parentheses, quantifiers and anchors are what they look like. */
function withoutEscapes(regex: string): string {
  return regex.replace(/\\[pP]\{[^}]*\}|\\./gs, '_').replace(/\[[^\]]*\]/g, '_');
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
