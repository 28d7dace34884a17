/** Text generation: one parallel pass over the prompts, then a step per token, as a stream. */
import * as tf from '@tensorflow/tfjs';
import type {ResolvedMambaConfig} from '../config/config';
import type {MambaState} from './model';
import {macrotask} from '../macrotask';
import {checkSignal, describe} from '../ops/check';
import {findsTopLogits, topLogits} from '../ops/topLogits';
import {Random} from '../random';
import type {SamplingOptions} from './sampling';
import {checkSampling, logSumExp, neededTokens, sampleToken, sampleTop} from './sampling';

/** What generation needs of a model. */
export interface Decoder {
  readonly config: ResolvedMambaConfig;
  prefill(ids: number[][], options: {state?: MambaState; mask?: number[][]}): {logits: tf.Tensor2D; state: MambaState};
  step(ids: number[], state: MambaState): {logits: tf.Tensor2D; state: MambaState};
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

const OP = 'generate';

/** A prompt's progress. */
interface Row {
  /** Its place among the prompts. */
  number: number;
  seen: Set<number>;
  random: () => number;
  done: boolean;
  last: number;
}

/**
 * Continues one prompt or a batch of prompts of different lengths; the tokens of a batch come step by step, row by row. Tensors it
 * makes are gone when the stream ends, however it ends.
 *
 * @throws Error naming the argument that is wrong, before any work; and if the model gives NaN or infinities.
 */
export async function* generate(
  model: Decoder,
  prompt: readonly number[] | ReadonlyArray<readonly number[]>,
  options: GenerateOptions = {},
): AsyncGenerator<GeneratedToken, void, undefined> {
  const {config} = model;
  const prompts = checkPrompts(prompt, config.vocabSize);
  checkOptions(options, config);
  const {maxNewTokens = 256, stopTokens = config.eosTokenIds, signal, seed} = options;
  /** Those that are not finished, in the order of the state. */
  let rows = prompts.map((ids, number): Row => {
    const random = new Random(seed === undefined ? Math.floor(Math.random() * 2 ** 32) : seed * 65537 + number);
    return {
      number,
      seen: new Set(ids),
      random: () => random.uint32() / 2 ** 32,
      done: false,
      last: ids[ids.length - 1],
    };
  });
  signal?.throwIfAborted();
  const breath = new Breath();
  let {logits, state} = model.prefill(...leftPadded(prompts, options.state));
  try {
    for (let index = 0; ; index++) {
      const choices = await readChoices(logits, options, config.realVocabSize);
      logits.dispose();
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
        progress.done = stopTokens.includes(id) || index + 1 >= maxNewTokens;
        progress.last = id;
        progress.seen.add(id);
        if (!stopTokens.includes(id)) {
          step.push({id, index, row, logprob: logit(id) - total});
        }
      }
      yield* step;
      const going = rows.filter(({done}) => !done);
      if (going.length === 0) return;
      if (going.length < rows.length) {
        state = takeRows(
          state,
          rows.flatMap(({done}, i) => (done ? [] : [i])),
        );
        rows = going;
      }
      await breath.take();
      signal?.throwIfAborted();
      const next = model.step(
        rows.map(({last}) => last),
        state,
      );
      tf.dispose(state);
      ({logits, state} = next);
    }
  } finally {
    tf.dispose([logits, state]);
  }
}

/** Some rows of a state, which is disposed: a finished row costs no further step. */
function takeRows(state: MambaState, rows: number[]): MambaState {
  const taken = tf.tidy(() => {
    const indices = tf.tensor1d(rows, 'int32');
    const take = (part: tf.TensorContainer): tf.TensorContainer => {
      if (part instanceof tf.Tensor) return tf.gather(part, indices);
      if (Array.isArray(part)) return part.map(take);
      return Object.fromEntries(Object.entries(part as tf.TensorContainerObject).map(([name, x]) => [name, take(x)]));
    };
    return take(state);
  });
  tf.dispose(state);
  return taken as MambaState;
}

/** What a row chooses its next token from. */
interface Choice {
  /** ln Σ exp of the logits. */
  total: number;
  choose(row: Row): number;
  /** The logit of the token chosen. */
  logit(id: number): number;
}

/**
 * Reads of the logits what it takes to choose. Those beyond the tokens are padding of the vocabulary: never chosen, though the model
 * gives them a probability.
 */
async function readChoices(logits: tf.Tensor2D, options: GenerateOptions, vocabSize: number): Promise<Choice[]> {
  const needed = neededTokens(options);
  if (needed !== undefined && findsTopLogits(needed)) {
    const rows = await topLogits(logits, needed, vocabSize);
    return rows.map(({logSumExp: total, ids, logits: values}) => ({
      total,
      choose: ({random}) => sampleTop(ids, values, options, random),
      logit: (id) => values[ids.indexOf(id)],
    }));
  }
  const [batch, width] = logits.shape;
  const values = (await logits.data()) as Float32Array;
  return Array.from({length: batch}, (_, row) => {
    const all = values.subarray(row * width, (row + 1) * width);
    const real = all.subarray(0, vocabSize);
    return {
      total: logSumExp(all),
      choose: ({seen, random}) => sampleToken(real, options, seen, random),
      logit: (id) => real[id],
    };
  });
}

/** Puts padding on the left, so that all prompts end together. */
function leftPadded(
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

function checkPrompts(prompt: readonly number[] | ReadonlyArray<readonly number[]>, vocabSize: number): number[][] {
  if (!Array.isArray(prompt) || prompt.length === 0) {
    throw new Error(`${OP}: prompt must be a list of token ids, or a list of such lists, of one or more`);
  }
  const prompts = (Array.isArray(prompt[0]) ? prompt : [prompt]) as number[][];
  prompts.forEach((ids, row) => {
    if (!Array.isArray(ids) || ids.length === 0) {
      throw new Error(`${OP}: prompt ${row} must be a list of one or more token ids`);
    }
    const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (wrong !== undefined) {
      throw new Error(`${OP}: prompt must hold integers in [0, ${vocabSize}), but has ${String(wrong)}`);
    }
  });
  return prompts;
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
];

function checkOptions(options: GenerateOptions, {vocabSize}: ResolvedMambaConfig): void {
  if (typeof options !== 'object' || options === null) {
    throw new Error(`${OP}: options must be an object with ${optionNames.join(', ')}, but is ${describe(options)}`);
  }
  const unknown = Object.keys(options).find((name) => !optionNames.includes(name));
  if (unknown !== undefined) {
    throw new Error(`${OP}: unknown option ${unknown}; expected ${optionNames.join(', ')}`);
  }
  checkSignal(OP, options.signal);
  checkSampling(OP, options);
  const {maxNewTokens = 1, stopTokens = [], seed = 0} = options;
  if (!Number.isInteger(maxNewTokens) || maxNewTokens < 1) {
    throw new Error(`${OP}: maxNewTokens must be a positive integer, but is ${String(maxNewTokens)}`);
  }
  if (!Number.isSafeInteger(seed) || seed < 0 || seed > 2 ** 36) {
    throw new Error(`${OP}: seed must be a whole number of 0 or more, up to 2^36, but is ${String(seed)}`);
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
