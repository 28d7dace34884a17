/** Text generation: one parallel pass over the prompts, then a step per token, as a stream. */
import * as tf from '@tensorflow/tfjs';
import type {ResolvedMambaConfig} from '../config/config';
import type {Steps} from './decoding';
import {Decoding} from './decoding';
import type {StateHistory} from './history';
import type {MambaState} from './model';
import {macrotask} from '../macrotask';
import {show} from '../mixers/fields';
import {checkSignal, describe} from '../ops/check';
import {didYouMean} from '../ops/suggest';
import {Random} from '../random';
import type {Prompt} from './prompts';
import {leftPadded, readPrompts} from './prompts';
import type {SamplingOptions} from './sampling';
import {checkSampling} from './sampling';
import {TextStream} from './textStream';
import type {Tokenizer} from './tokenizers';

/** What generation needs of a model. */
export interface Decoder extends Steps {
  readonly config: ResolvedMambaConfig;
  readonly tokenizer?: Tokenizer;
  /** Why a checkpoint's own tokenizer is not there, if it has one. */
  readonly tokenizerFault?: Error;
  prefill(ids: number[][], options: {state?: MambaState; mask?: number[][]}): {logits: tf.Tensor2D; state: MambaState};
}

/** The options of {@link MambaLM.generate}. */
export interface GenerateOptions extends SamplingOptions {
  /** Tokens per prompt at most (256). */
  maxNewTokens?: number;
  /** Tokens that end a row; they are not handed out (the checkpoint's end of text). */
  stopTokens?: readonly number[];
  /** Fixes the draw; each row has its own sequence. */
  seed?: number;
  /** Ends the generation; it then throws the signal's reason. */
  signal?: AbortSignal;
  /** The state to go on from, of the batch of prompts; it is not disposed. */
  state?: MambaState;
  /** Where one prompt goes on from, and what is read and written is added; the prompt may then be empty: `''` or `[]`. */
  history?: StateHistory;
  /** Is told of each row as it ends. */
  onEnd?: (end: GenerationEnd) => unknown;
}

/** How a row of {@link MambaLM.generate} ended. */
export interface GenerationEnd {
  /** The prompt that it continued: 0 unless a batch. */
  row: number;
  /** At one of `stopTokens`; after `maxNewTokens`; or by `signal`, which also makes the stream throw. */
  reason: 'stop' | 'length' | 'abort';
  /** How many tokens were handed out. */
  tokens: number;
  /** All of the new text, where the prompt was a text; what is no whole character at its end is U+FFFD. */
  text?: string;
}

/** One token of a stream. */
export type GeneratedToken = {
  id: number;
  /** Its place among the new tokens of its row. */
  index: number;
  /** The prompt it continues: 0 unless a batch. */
  row: number;
  /** Its natural log probability under the model, before temperature and the other options. */
  logprob: number;
};

/** One token of the stream that continues a text. */
export type GeneratedText = GeneratedToken & {
  /**
   * The text that is certain by now and has not been handed out: never part of a character. Empty where a token only begins one, which the
   * token that ends it then brings along.
   */
  text: string;
};

const OP = 'generate';

/** Ids of a history that are decoded with what continues it: what a token is as text may depend on the few before it. */
const CONTEXT = 32;

/** A prompt's progress. */
interface Row {
  /** Its place among the prompts. */
  number: number;
  seen: Set<number>;
  random: () => number;
  /** Why it has ended, if it has. */
  ended?: GenerationEnd['reason'];
  last: number;
  /** Tokens handed out. */
  count: number;
  text?: TextStream;
}

/**
 * Continues one prompt or a batch of prompts of different lengths; the tokens of a batch come step by step, row by row. Tensors it
 * makes are gone when the stream ends, however it ends.
 *
 * @throws Error naming the argument that is wrong, before any work; and if the model gives NaN or infinities.
 */
export async function* generate(
  model: Decoder,
  prompt: Prompt,
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken | GeneratedText, void, undefined> {
  const {config} = model;
  const {prompts, tokenizer} = await readPrompts(OP, prompt, model, (options?.history?.ids?.length ?? 0) > 0);
  checkOptions(options, config, prompts.length);
  const {maxNewTokens = 256, stopTokens = config.eosTokenIds, signal, seed, onEnd, history} = options;
  const before = history?.ids ?? [];
  /** Those that are not finished, in the order of the state. */
  let rows = prompts.map((ids, number): Row => {
    const random = new Random(seed === undefined ? Math.floor(Math.random() * 2 ** 32) : seed * 65537 + number);
    return {
      number,
      seen: new Set([...before, ...ids]),
      random: () => random.uint32() / 2 ** 32,
      last: ids[ids.length - 1],
      count: 0,
      text: tokenizer && new TextStream(tokenizer, [...before.slice(-CONTEXT), ...ids]),
    };
  });
  const tell = ({number, ended, count, text}: Row) =>
    onEnd?.({row: number, reason: ended!, tokens: count, ...(text && {text: text.all()})});
  signal?.throwIfAborted();
  const breath = new Breath();
  const read = history ? history.read(model, prompts[0]) : model.prefill(...leftPadded(prompts, options.state));
  const decoding = new Decoding(model, read, options, config.realVocabSize, history !== undefined);
  try {
    for (let index = 0; ; index++) {
      // Of one prompt alone the next tokens are sure to be asked for; the first one waits for no other.
      const ahead = prompts.length > 1 ? 0 : Math.min(index, maxNewTokens - index - 1);
      const choices = await decoding.choices(ahead);
      const step: GeneratedToken[] = [];
      for (const [i, progress] of rows.entries()) {
        const row = progress.number;
        const {total, choose, logit} = choices[i];
        if (!Number.isFinite(total)) {
          throw new Error(
            `${OP}: the logits of token ${index} of row ${row} are not finite; the model's weights are broken`,
          );
        }
        const id = choose(progress);
        if (stopTokens.includes(id)) progress.ended = 'stop';
        else if (index + 1 >= maxNewTokens) progress.ended = 'length';
        progress.last = id;
        progress.seen.add(id);
        if (progress.ended !== 'stop') {
          progress.count++;
          history?.add(id, decoding.state);
          step.push({
            id,
            index,
            row,
            logprob: logit(id) - total,
            ...(progress.text && {text: progress.text.add(id)}),
          });
        }
      }
      yield* step;
      const going = rows.filter(({ended}) => !ended);
      rows.filter(({ended}) => ended).forEach(tell);
      if (going.length === 0) return;
      if (going.length < rows.length) {
        decoding.take(rows.flatMap(({ended}, i) => (ended ? [] : [i])));
        rows = going;
      }
      await breath.take();
      if (signal?.aborted) {
        going.forEach((row) => tell({...row, ended: 'abort'}));
        signal.throwIfAborted();
      }
      decoding.step(rows.map(({last}) => last));
    }
  } finally {
    if (history && history.newest.state !== decoding.state) tf.dispose(decoding.state);
    decoding.dispose();
    history?.end();
  }
}

const optionNames = [
  'maxNewTokens',
  'temperature',
  'topK',
  'topP',
  'minP',
  'repetitionPenalty',
  'stopTokens',
  'seed',
  'signal',
  'state',
  'history',
  'onEnd',
];

function checkOptions(options: GenerateOptions, {vocabSize}: ResolvedMambaConfig, rows: number): void {
  if (typeof options !== 'object' || options === null) {
    throw new Error(`${OP}: options must be an object with ${optionNames.join(', ')}, but is ${describe(options)}`);
  }
  const unknown = Object.keys(options).find((name) => !optionNames.includes(name));
  if (unknown !== undefined) {
    const meant = didYouMean(unknown, optionNames, {max_new_tokens: 'maxNewTokens', max_tokens: 'maxNewTokens'});
    throw new Error(`${OP}: unknown option ${unknown}; expected ${optionNames.join(', ')}${meant}`);
  }
  checkSignal(OP, options.signal);
  checkSampling(OP, options);
  const {maxNewTokens = 1, stopTokens = [], seed = 0, onEnd, state, history} = options;
  if (history !== undefined) {
    if (typeof history?.rollBack !== 'function') {
      throw new Error(`${OP}: history must be what stateHistory() or loadHistory gives, but is ${describe(history)}`);
    }
    if (state !== undefined) throw new Error(`${OP}: history has its own state; leave out state`);
    if (rows !== 1) throw new Error(`${OP}: history is of one prompt, but there are ${rows}`);
  }
  if (onEnd !== undefined && typeof onEnd !== 'function') {
    throw new Error(`${OP}: onEnd must be a function, but is ${describe(onEnd)}`);
  }
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1) {
    throw new Error(`${OP}: maxNewTokens must be a positive integer, but is ${show(maxNewTokens)}`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0 || seed > 2 ** 36) {
    throw new Error(`${OP}: seed must be a whole number of 0 or more, up to 2^36, but is ${show(seed)}`);
  }
  if (!Array.isArray(stopTokens) || !stopTokens.every((id) => Number.isInteger(id) && id >= 0 && id < vocabSize)) {
    throw new Error(`${OP}: stopTokens must be a list of token ids in [0, ${vocabSize}), but is ${String(stopTokens)}`);
  }
}

/** Lets the event loop run now and then: on backends that compute in place, awaiting a result alone never does. */
class Breath {
  private last = performance.now();

  async take(): Promise<void> {
    if (performance.now() - this.last > 16) {
      await macrotask();
      this.last = performance.now();
    }
  }
}
