/**
 * Data to train on, from files to batches: read as a stream, turned into tokens that lie on the disk, and cut into windows (texts) or
 * examples (JSON lines). Node only.
 */
import {applyChatTemplate, hasChatTemplate} from '../lm/chat';
import type {Tokenizer} from '../lm/tokenizers';
import {checkBoolean, checkKeys, checkOneOf, checkSignal, describe} from '../ops/check';
import {checkNumber} from '../ops/adamW/hyperparameters';
import {macrotask} from '../macrotask';
import type {BatchDataset, TokenBatch, TokenSource} from '../training/data';
import {tokenWindows} from '../training/data';
import type {ByteStream, Example, Split, Splits} from './documents';
import {openSplits} from './documents';
import type {Encoder} from './encoding';
import {ahead, openEncoder} from './encoding';
import {exampleBatches, type Examples} from './exampleBatches';
import {partOf, TokenFile} from './tokenFile';

/** The options of {@link openData}. */
export interface OpenDataOptions {
  /** Such as the model's own, which one without a `tokenizer.json` has not. */
  tokenizer: Tokenizer | undefined;
  /** Rows in a batch. */
  batchSize: number;
  /** Tokens in a row: of a window, and at most of an example, whose rest is cut off. */
  length: number;
  /** Of the order in training (0). */
  seed?: number;
  /** The part at the end of the training data that becomes `valid` where there is none (0). */
  heldOut?: number;
  /** Whether an example's prompt, or all of a chat but the last message, is no label (false). */
  maskPrompt?: boolean;
  /** Whether several examples share a row of `length`, which keeps them exactly apart (false): little padding, whatever their lengths. */
  pack?: boolean;
  /**
   * How a text is trained on: `random` windows, or `continuous` ones, each row going on where it ended in the batch before, for a trainer
   * that is `stateful`, or each token once, `sequential`, which may also be fewer than a row ('random').
   */
  order?: 'random' | 'continuous' | 'sequential';
  /** The token that ends each text and example (none). */
  endOfText?: number;
  signal?: AbortSignal;
  /** Is told how many tokens there are so far. */
  onProgress?: (progress: {name: string; tokens: number}) => unknown;
}

/** One part of the data. */
export interface DataPart {
  /** Endless, in an order drawn from the seed; its position can be saved. */
  training: BatchDataset<TokenBatch>;
  /** Each token, or example, once. */
  evaluation: BatchDataset<TokenBatch> & {readonly size: number};
  tokens: number;
  /** How many examples, where it is made of them. */
  examples?: number;
  /** How many of them were longer than `length`. */
  cut?: number;
}

/** What {@link openData} gives. */
export interface OpenedData {
  train?: DataPart;
  valid?: DataPart;
  test?: DataPart;
  /** Frees the disk. */
  close(): Promise<void>;
}

const OP = 'openData';
const names = [
  'tokenizer',
  'batchSize',
  'length',
  'seed',
  'heldOut',
  'maskPrompt',
  'pack',
  'order',
  'endOfText',
  'signal',
  'onProgress',
];

/** What {@link openData} gives of a text, a stream or a file of lines, all of which is to train on, but for a part held out. */
export type OpenedText = OpenedData & {train: DataPart};

/**
 * Opens data: a text file, a folder of them, a stream such as standard input, a file of JSON lines, or a folder with `train.jsonl`,
 * `valid.jsonl` and `test.jsonl`. A line has `text`, or `prompt` and `completion`, or `messages`, for which the tokenizer needs a chat
 * template.
 *
 * @throws Error naming the option, or the file and line, that is wrong.
 */
export async function openData(
  source: `${string}.${'txt' | 'json' | 'jsonl'}` | ByteStream,
  options: OpenDataOptions,
): Promise<OpenedText>;
export async function openData(source: string | ByteStream, options: OpenDataOptions): Promise<OpenedData>;
export async function openData(source: string | ByteStream, options: OpenDataOptions): Promise<OpenedData> {
  checkKeys(OP, options, names);
  const {batchSize, length, seed = 0, heldOut = 0, signal} = options;
  checkNumber(OP, 'batchSize', batchSize, 'positiveCount');
  checkNumber(OP, 'length', length, 'positiveCount');
  checkNumber(OP, 'seed', seed, 'count');
  if (!(heldOut >= 0 && heldOut < 1)) throw new Error(`${OP}: heldOut must be from 0 to below 1, but is ${heldOut}`);
  const {tokenizer} = options;
  if (typeof tokenizer?.encode !== 'function') {
    throw new Error(`${OP}: tokenizer must be one, as loadTokenizer gives, but is ${describe(tokenizer)}`);
  }
  checkBoolean(OP, 'pack', options.pack ?? false);
  checkOneOf(OP, 'order', options.order ?? 'random', ['random', 'continuous', 'sequential']);
  checkSignal(OP, signal);
  const encoder = openEncoder(tokenizer);
  const files: TokenFile[] = [];
  const close = async () => void (await Promise.all(files.map((file) => file.close())));
  try {
    return {...(await openParts(await openSplits(source), {...options, tokenizer}, files, encoder)), close};
  } catch (error) {
    await close();
    throw error;
  } finally {
    await encoder.close();
  }
}

/** Options that have been checked. */
type Settings = OpenDataOptions & {tokenizer: Tokenizer};

async function openParts(splits: Splits, options: Settings, files: TokenFile[], encoder: Encoder) {
  const {heldOut = 0} = options;
  const parts: Omit<OpenedData, 'close'> = {};
  for (const [name, split] of Object.entries(splits) as [keyof Splits, Split][]) {
    const file = await TokenFile.create();
    files.push(file);
    const share = name === 'train' && splits.valid === undefined ? heldOut : 0;
    const [part, held] =
      split.form === 'texts'
        ? await openTexts(split, file, share, options, encoder)
        : await openExamples(split, file, share, options, encoder);
    parts[name] = part;
    if (held) parts.valid = held;
  }
  return parts;
}

/** The part, and what is held out of it. */
type Opened = [part: DataPart, heldOut?: DataPart];

async function openTexts(
  split: Split & {form: 'texts'},
  file: TokenFile,
  share: number,
  options: Settings,
  encoder: Encoder,
): Promise<Opened> {
  const {endOfText, batchSize, length, seed = 0, pack} = options;
  if (options.maskPrompt) {
    throw new Error(`${OP}: maskPrompt is for examples with a prompt, such as JSON lines, but ${split.name} is text`);
  }
  if (pack) throw new Error(`${OP}: pack is for examples, such as JSON lines, but ${split.name} is text`);
  for await (const {pieces} of split.read()) {
    for await (const ids of ahead(pieces, (piece) => encoder.encode(piece))) await add(split, file, ids, options);
    if (endOfText !== undefined) await file.append([endOfText]);
  }
  const from = Math.floor(file.length * (1 - share));
  const part = (tokens: TokenSource, order = options.order ?? 'random'): DataPart => {
    const needed = {random: length + 1, continuous: batchSize * length + 1, sequential: 2}[order];
    if (tokens.length < 2) {
      throw new Error(
        `${OP}: ${split.name} gives ${tokens.length === 1 ? 'one token' : 'no tokens'}, but there must be one to learn after another`,
      );
    }
    if (tokens.length < needed) {
      throw new Error(
        `${OP}: ${split.name} gives ${tokens.length} tokens, but ${order === 'random' ? 'a row' : 'a batch'} takes ${needed}; a smaller length ${order === 'random' ? 'takes' : 'or batchSize takes'} fewer`,
      );
    }
    return {
      tokens: tokens.length,
      training: tokenWindows(tokens, {batchSize, length, seed, order}),
      evaluation: tokenWindows(tokens, {batchSize, length, order: 'sequential'}),
    };
  };
  if (share === 0) return [part(file)];
  return [part(partOf(file, 0, from)), part(partOf(file, from, file.length), 'random')];
}

async function openExamples(
  split: Split & {form: 'examples'},
  file: TokenFile,
  share: number,
  options: Settings,
  encoder: Encoder,
): Promise<Opened> {
  const {batchSize, length, seed = 0} = options;
  const {order = 'random'} = options;
  if (order === 'continuous') {
    throw new Error(
      `${OP}: order must be random, since the examples of ${split.name} do not follow on from each other; ` +
        "stateful training, which takes 'continuous', is for text",
    );
  }
  const starts = [0];
  const prompts: number[] = [];
  const cut: number[] = [];
  const encoded = ahead(split.read(), (example) => encodeExample(example, options, encoder));
  for await (const {ids, prompt} of encoded) {
    if (ids.length > length + 1) cut.push(prompts.length);
    const kept = ids.slice(0, length + 1);
    if (kept.length < 2) continue; // nothing to predict
    await add(split, file, kept, options);
    starts.push(file.length);
    prompts.push(prompt);
  }
  const examples: Examples = {tokens: file, starts, prompts};
  if (options.maskPrompt && prompts.length > 0 && prompts.every((prompt) => prompt === 0)) {
    throw new Error(`${OP}: maskPrompt is for examples with a prompt, but none of ${split.name} has one`);
  }
  const from = prompts.length - Math.floor(prompts.length * share);
  const part = (...range: [number, number]): DataPart => {
    if (range[0] === range[1]) throw new Error(`${OP}: ${split.name} has no examples, or too few to hold some out`);
    const how = {batchSize, length, seed, range, pack: options.pack ?? false};
    return {
      tokens: starts[range[1]] - starts[range[0]],
      examples: range[1] - range[0],
      cut: cut.filter((i) => i >= range[0] && i < range[1]).length,
      training: exampleBatches(examples, {...how, order}),
      evaluation: exampleBatches(examples, {...how, order: 'sequential'}),
    };
  };
  return share === 0 ? [part(0, from)] : [part(0, from), part(from, prompts.length)];
}

async function add(split: Split, file: TokenFile, tokens: ArrayLike<number>, options: Settings): Promise<void> {
  options.signal?.throwIfAborted();
  await file.append(tokens);
  options.onProgress?.({name: split.name, tokens: file.length});
  await macrotask();
}

/** The tokens of an example, and how many of them are its prompt. */
async function encodeExample(
  example: Example,
  options: Settings,
  encoder: Encoder,
): Promise<{ids: number[]; prompt: number}> {
  const {tokenizer, endOfText, maskPrompt} = options;
  const encode = async (text: string) => Array.from(await encoder.encode(text));
  const ended = (ids: number[]) => (endOfText === undefined || ids.at(-1) === endOfText ? ids : [...ids, endOfText]);
  if ('text' in example) return {ids: ended(await encode(example.text)), prompt: 0};
  if ('prompt' in example && !hasChatTemplate(tokenizer)) {
    const prompt = await encode(example.prompt);
    return {ids: ended([...prompt, ...(await encode(example.completion))]), prompt: maskPrompt ? prompt.length : 0};
  }
  const messages =
    'messages' in example
      ? example.messages
      : [{role: 'user', content: example.prompt}, {role: 'assistant', content: example.completion}]; // prettier-ignore
  const ids = ended(await encode(await applyChatTemplate(tokenizer, messages)));
  if (!maskPrompt) return {ids, prompt: 0};
  const before = await applyChatTemplate(tokenizer, messages.slice(0, -1), {addGenerationPrompt: true});
  return {ids, prompt: (await encode(before)).length};
}
