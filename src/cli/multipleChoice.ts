/**
 * Multiple choice as lm-evaluation-harness (EleutherAI, `lm_eval/api/task.py` and `lm_eval/api/model.py` of version 0.4) scores it: the log
 * probability of every choice after the context and a space; `acc` by the sums, `acc_norm` by the sums over the choices' characters.
 */
import * as tf from '@tensorflow/tfjs';
import type {MambaLM, Tokenizer} from '../node';
import {crossEntropy} from '../ops/crossEntropy';
import {UsageError} from './io';

export interface Question {
  context: string;
  choices: string[];
  /** The place of the right one. */
  gold: number;
}

export interface Scores {
  acc: number;
  acc_stderr: number;
  acc_norm: number;
  acc_norm_stderr: number;
  questions: number;
}

const IGNORED = -100;

/** @throws UsageError naming the line that is wrong. */
export function readQuestions(file: string, text: string): Question[] {
  const lines = text.split('\n').map((line, i) => ({line, number: i + 1})).filter(({line}) => line.trim() !== ''); // prettier-ignore
  if (lines.length === 0) throw new UsageError(`--choices ${file} has no questions`);
  return lines.map(({line, number}) => {
    let value: Record<string, unknown>;
    try {
      value = JSON.parse(line) as Record<string, unknown>;
    } catch {
      throw new UsageError(`--choices ${file}:${number} is no JSON`);
    }
    const context = value['context'] ?? value['query'] ?? value['question'];
    const gold = value['gold'] ?? value['label'] ?? value['answer'];
    const {choices} = value;
    const areTexts =
      Array.isArray(choices) && choices.length > 1 && choices.every((choice) => typeof choice === 'string');
    if (typeof context !== 'string' || !areTexts || !Number.isInteger(gold) || !((gold as number) in choices)) {
      throw new UsageError(
        `--choices ${file}:${number} must have "context", two or more "choices" and the place of the right one, counted from 0, as "gold"`,
      );
    }
    return {context, choices, gold: gold as number};
  });
}

/** Answers the questions. */
export async function score(
  model: MambaLM,
  questions: readonly Question[],
  {signal, onQuestion}: {signal?: AbortSignal; onQuestion?: (count: number) => void} = {},
): Promise<Scores> {
  const {tokenizer} = model;
  if (!tokenizer)
    throw model.tokenizerFault ?? new Error('no tokenizer.json came with the model, so text cannot be read');
  let right = 0;
  let rightNorm = 0;
  for (const [i, {context, choices, gold}] of questions.entries()) {
    signal?.throwIfAborted();
    onQuestion?.(i + 1);
    const sums: number[] = [];
    for (const choice of choices) sums.push(await logProbability(model, tokenizer, context, ` ${choice}`));
    if (best(sums) === gold) right++;
    if (best(sums.map((sum, k) => sum / [...choices[k]].length)) === gold) rightNorm++;
  }
  const n = questions.length;
  const share = (count: number) => [count / n, Math.sqrt(((count / n) * (1 - count / n)) / Math.max(n - 1, 1))];
  const [acc, accError] = share(right);
  const [norm, normError] = share(rightNorm);
  return {acc, acc_stderr: accError, acc_norm: norm, acc_norm_stderr: normError, questions: n};
}

/** The place of the largest, the first of several. */
function best(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}

/** ln p(continuation | context), cut into tokens as the harness's `_encode_pair` does: white space at the end of the context goes over. */
async function logProbability(
  model: MambaLM,
  tokenizer: Tokenizer,
  context: string,
  continuation: string,
): Promise<number> {
  const kept = context.trimEnd();
  const whole = tokenizer.encode(context + continuation);
  // Without a context the model begins after an end of text.
  const before = kept === '' ? [] : tokenizer.encode(kept);
  const lead = kept === '' ? model.config.eosTokenIds.slice(0, 1) : [];
  const ids = [...lead, ...(kept === '' ? tokenizer.encode(continuation) : whole)];
  const from = Math.max(lead.length + before.length, 1);
  const labels = ids.slice(1).map((id, t) => (t + 1 >= from ? id : IGNORED));
  const counted = labels.filter((label) => label !== IGNORED).length;
  if (counted === 0) throw new Error(`the choice ${JSON.stringify(continuation)} has no token of its own`);
  const mean = tf.tidy(() => {
    const xs = tf.tensor2d([ids.slice(0, -1)], undefined, 'int32');
    const logits = model.apply(xs) as tf.Tensor;
    return crossEntropy({logits, labels: tf.tensor2d([labels], undefined, 'int32'), ignoreIndex: IGNORED});
  });
  const [loss] = await mean.data();
  mean.dispose();
  return -loss * counted;
}
