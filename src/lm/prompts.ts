/** What generation begins with: token ids as lists or as a tensor, or text where the model has a tokenizer. */
import * as tf from '@tensorflow/tfjs';
import {describe} from '../ops/check';
import type {MambaState} from './model';
import type {Tokenizer} from './tokenizers';

/** One prompt, or a batch of them. */
export type Prompt = string | readonly string[] | readonly number[] | ReadonlyArray<readonly number[]> | tf.Tensor;

/** Whose prompts they are. */
interface Reader {
  readonly config: {readonly vocabSize: number};
  readonly tokenizer?: Tokenizer;
  readonly tokenizerFault?: Error;
}

/**
 * The ids of each prompt; and the tokenizer if the prompts are texts, so that what continues them is to be text.
 *
 * @param mayBeEmpty Whether one prompt of no ids will do, because there is something else to go on from.
 * @throws Error naming what is wrong with the prompt, or saying how to get a tokenizer.
 */
export async function readPrompts(
  op: string,
  prompt: Prompt,
  model: Reader,
  mayBeEmpty = false,
): Promise<{prompts: number[][]; tokenizer?: Tokenizer}> {
  const {vocabSize} = model.config;
  if (mayBeEmpty && prompt === '') return {prompts: [[]], tokenizer: tokenizerOf(op, model)};
  if (mayBeEmpty && Array.isArray(prompt) && prompt.length === 0) return {prompts: [[]]};
  const isText = typeof prompt === 'string' || (Array.isArray(prompt) && typeof prompt[0] === 'string');
  if (!isText) return {prompts: checkPrompts(op, await withoutTensor(op, prompt), vocabSize)};
  const tokenizer = tokenizerOf(op, model);
  const prompts = [prompt].flat().map((text, row) => {
    if (typeof text !== 'string') throw new Error(`${op}: prompt ${row} must be a text, as the first one is`);
    const ids = tokenizer.encode(text);
    if (ids.length === 0)
      throw new Error(`${op}: prompt ${row} must have one or more tokens, but is ${JSON.stringify(text)}`);
    return ids;
  });
  return {prompts: checkPrompts(op, prompts, vocabSize), tokenizer};
}

function tokenizerOf(op: string, {tokenizer, tokenizerFault}: Reader): Tokenizer {
  if (tokenizer) return tokenizer;
  const why = tokenizerFault
    ? `its tokenizer.json cannot be used (${tokenizerFault.message})`
    : 'no tokenizer.json came with it';
  throw new Error(
    `${op}: prompt is a text, but the model has no tokenizer, as ${why}; set model.tokenizer to what loadTokenizer(source), ` +
      'characterTokenizer or byteTokenizer gives, or give token ids',
    {cause: tokenizerFault},
  );
}

/** Ids [L] or [B,L] as lists. */
async function withoutTensor(op: string, prompt: Exclude<Prompt, string | readonly string[]> | readonly string[]) {
  if (!(prompt instanceof tf.Tensor)) return prompt;
  const {dtype, shape, rank, size} = prompt;
  if (dtype !== 'int32') throw new Error(`${op}: prompt must have dtype int32, but has ${dtype}; toInt() casts it`);
  if ((rank !== 1 && rank !== 2) || size === 0) {
    throw new Error(
      `${op}: prompt must have shape [length] or [batch,length], not empty, but has [${shape.join(',')}]`,
    );
  }
  return (await prompt.array()) as number[] | number[][];
}

function checkPrompts(op: string, prompt: unknown, vocabSize: number): number[][] {
  if (!Array.isArray(prompt) || prompt.length === 0) {
    throw new Error(
      `${op}: prompt must be a list of token ids, or a list of such lists, of one or more, an int32 tensor of them, or a text, ` +
        `but is ${Array.isArray(prompt) ? 'empty' : describe(prompt)}`,
    );
  }
  const prompts = (Array.isArray(prompt[0]) ? prompt : [prompt]) as number[][];
  prompts.forEach((ids, row) => {
    if (!Array.isArray(ids) || ids.length === 0) {
      throw new Error(`${op}: prompt ${row} must be a list of one or more token ids`);
    }
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong !== undefined) {
      throw new Error(`${op}: prompt must hold integers in [0, ${vocabSize}), but has ${String(wrong)}`);
    }
  });
  return prompts;
}

/** Puts padding on the left, so that all prompts end together. */
export function leftPadded(
  prompts: readonly number[][],
  state?: MambaState,
): [number[][], {state?: MambaState; mask?: number[][]}] {
  const length = Math.max(...prompts.map((ids) => ids.length));
  if (prompts.every((ids) => ids.length === length)) {
    return [[...prompts], {state}];
  }
  const zeros = (ids: readonly number[]) => new Array<number>(length - ids.length).fill(0);
  return [
    prompts.map((ids) => [...zeros(ids), ...ids]),
    {state, mask: prompts.map((ids) => [...zeros(ids), ...ids.map(() => 1)])},
  ];
}
