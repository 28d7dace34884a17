/** `tfjs-mamba eval`: perplexity of texts, and accuracy at multiple choice as lm-evaluation-harness counts it. */
import {readFile} from 'node:fs/promises';
import type {Command} from 'commander';
import type {MambaLM} from '../node';
import {dataSource} from './dataSource';
import type {RunFlags} from './flags';
import {option, positive, positiveOrAll, withBackend, withOutput} from './flags';
import type {Io} from './io';
import {StatusLine, UsageError} from './io';
import type {Library, ModelFlags} from './library';
import type {Question} from './multipleChoice';
import {loadModel, modelSource, startLibrary, withAdapter, withModel, withWeights} from './library';

interface Flags extends RunFlags, ModelFlags {
  data?: string;
  choices?: string;
  batchSize: number;
  maxSeqLength: number;
  batches: number;
  limit: number;
}

const help = `
A line of --choices is {"context": "…", "choices": ["…", "…"], "gold": 0}; "query" or "question" will do for the context, "label" or "answer" for
the number of the right choice. A choice is scored by the sum of its tokens' log probabilities after the context and a space; acc takes the
largest sum, acc_norm the largest per character of the choice. Perplexity is over windows of --max-seq-length, each read from its beginning.

Examples:
  $ tfjs-mamba eval --model runs/train --data held-out.txt
  $ tfjs-mamba eval --model state-spaces/mamba-130m-hf --choices arc.jsonl --limit 100`;

export function evaluate(command: Command, io: Io): void {
  command.description('measure perplexity, or accuracy at multiple choice').addHelpText('after', help);
  withWeights(withAdapter(withModel(command.optionsGroup('Model:'))));
  command
    .optionsGroup('Data:')
    .option('--data <source>', 'texts for the perplexity: a file, a folder, JSON lines (test.jsonl of a folder), or -')
    .option('--choices <file>', 'questions with choices, as JSON lines')
    .addOption(option('--max-seq-length <n>', 'tokens in a window', positive).default(1024))
    .addOption(option('--batch-size <n>', 'windows at a time', positive).default(4))
    .addOption(option('--batches <n>', 'only so many of them; -1 for all', positiveOrAll).default(-1))
    .addOption(option('--limit <n>', 'only the first so many questions; -1 for all', positiveOrAll).default(-1));
  withOutput(withBackend(command.optionsGroup('Other:')), 'the figures as one line of JSON');
  command.action((flags: Flags) => act(flags, io));
}

async function act(flags: Flags, io: Io): Promise<void> {
  modelSource(flags);
  if (flags.data === undefined && flags.choices === undefined) {
    throw new UsageError('there is nothing to measure on: --data for perplexity, --choices for accuracy');
  }
  const {readQuestions} = await import('./multipleChoice');
  const {choices: file} = flags;
  const questions = file === undefined ? undefined : readQuestions(file, await readFile(file, 'utf8').catch((error: Error) => {
    throw new UsageError(`--choices ${file} cannot be read: ${error.message}`);
  })); // prettier-ignore
  const {lib} = await startLibrary(flags);
  const model = await loadModel(lib, flags, io);
  try {
    const perplexity = flags.data === undefined ? {} : await measureTexts(lib, model, flags.data, flags, io);
    const accuracy = questions === undefined ? {} : await measureChoices(model, questions, flags, io);
    const figures: Record<string, number> = {...perplexity, ...accuracy};
    if (flags.json) return io.out(`${JSON.stringify(figures)}\n`);
    for (const [name, value] of Object.entries(figures)) {
      io.out(`${name.padEnd(18)}${Number.isInteger(value) ? value.toLocaleString('en') : value.toFixed(4)}\n`);
    }
  } finally {
    model.dispose();
  }
}

async function measureTexts(lib: Library, model: MambaLM, named: string, flags: Flags, io: Io) {
  const {tokenizer} = model;
  if (!tokenizer)
    throw model.tokenizerFault ?? new Error('no tokenizer.json came with the model, so text cannot be read');
  const source = await dataSource(named, io);
  const line = new StatusLine(io);
  try {
    const data = await lib.openData(source.path, {
      tokenizer,
      batchSize: flags.batchSize,
      length: flags.maxSeqLength,
      order: 'sequential',
      endOfText: model.config.eosTokenIds[0],
      signal: io.signal,
      onProgress: ({tokens}) => line.show(`${tokens.toLocaleString('en')} tokens`),
    });
    try {
      const part = data.test ?? data.valid ?? data.train!;
      const evaluator = lib.trainer(model, {optimizer: lib.adamW({learningRate: 1})});
      const result = await evaluator.evaluate(part.evaluation, {
        batches: flags.batches === -1 ? undefined : flags.batches,
      });
      return {...result, tokens: part.tokens};
    } finally {
      await data.close();
    }
  } finally {
    line.end();
    await source.close();
  }
}

async function measureChoices(model: MambaLM, questions: readonly Question[], flags: Flags, io: Io) {
  const {score} = await import('./multipleChoice');
  const line = new StatusLine(io);
  const asked = flags.limit === -1 ? questions : questions.slice(0, flags.limit);
  try {
    return await score(model, asked, {
      signal: io.signal,
      onQuestion: (count) => line.show(`question ${count} of ${asked.length}`),
    });
  } finally {
    line.end();
  }
}
