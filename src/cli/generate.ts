/** `tfjs-mamba generate`: continues a text, as a stream. */
import {readFile} from 'node:fs/promises';
import type {Command} from 'commander';
import type {RunFlags} from './flags';
import {fraction, natural, nonNegative, above0, option, positive, withBackend, withOutput} from './flags';
import type {Io} from './io';
import {readStdin, UsageError} from './io';
import type {ModelFlags} from './library';
import {loadModel, modelSource, startLibrary, withModel} from './library';

interface Flags extends RunFlags, ModelFlags {
  prompt?: string;
  promptFile?: string;
  maxTokens: number;
  temp: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repetitionPenalty?: number;
  seed?: number;
}

const help = `
The text goes to standard output as it comes, the pace to standard error. Ctrl-C ends it.

Examples:
  $ tfjs-mamba generate 'ROMEO:'                                     the model that "train" has made
  $ tfjs-mamba generate --model state-spaces/mamba-130m-hf 'Mamba is' --temp 0
  $ cat draft.txt | tfjs-mamba generate --max-tokens 500 --top-p 0.95`;

export function generate(command: Command, io: Io): void {
  command
    .description('continue a text')
    .argument('[prompt]', 'what to continue; or --prompt-file, or standard input')
    .addHelpText('after', help);
  withModel(command.optionsGroup('Model:'));
  command
    .optionsGroup('Prompt:')
    .option('-p, --prompt <text>', 'the same as the argument; - is standard input')
    .option('--prompt-file <file>', 'a file to continue');
  withSampling(command.optionsGroup('Text:'));
  withOutput(withBackend(command.optionsGroup('Other:')), 'the text and what it took, as one line of JSON at the end');
  command.action((argument: string | undefined, flags: Flags) => act(argument, flags, io));
}

/** How the next token is chosen. */
export function withSampling(command: Command): Command {
  return command
    .addOption(option('-m, --max-tokens <n>', 'tokens at most', positive).default(256))
    .addOption(option('--temp <x>', 'temperature; 0 takes the likeliest token', nonNegative).default(0.8))
    .addOption(option('--top-k <n>', 'only so many of the likeliest tokens', positive, 'all'))
    .addOption(option('--top-p <share>', 'the likeliest tokens that together have this probability', above0, 'all'))
    .addOption(option('--min-p <share>', 'tokens at least this fraction as likely as the likeliest', fraction, 'all'))
    .addOption(option('--repetition-penalty <x>', 'above 1 makes what has occurred less likely', above0, 'none'))
    .addOption(option('--seed <n>', 'the same text every time', natural, 'another each time'));
}

/** The sampling flags as the library calls them. */
export function samplingOptions({maxTokens, temp, topK, topP, minP, repetitionPenalty, seed}: Flags) {
  return {maxNewTokens: maxTokens, temperature: temp, topK, topP, minP, repetitionPenalty, seed};
}

async function act(argument: string | undefined, flags: Flags, io: Io): Promise<void> {
  modelSource(flags);
  const prompt = await readPrompt(argument, flags, io);
  const {lib, backend} = await startLibrary(flags);
  const model = await loadModel(lib, flags, io);
  let text = '';
  let tokens = 0;
  let reason = 'abort';
  const began = performance.now();
  let first = began;
  try {
    if (!flags.json) io.out(prompt);
    for await (const part of model.generate(prompt, {
      ...samplingOptions(flags),
      signal: io.signal,
      onEnd: (end) => (reason = end.reason),
    })) {
      if (tokens++ === 0) first = performance.now();
      text += part.text;
      if (!flags.json) io.out(part.text);
    }
  } catch (error) {
    if (!io.signal.aborted) throw error;
  } finally {
    model.dispose();
  }
  const seconds = (performance.now() - began) / 1000;
  // The first token is that of the prompt.
  const tokensPerSecond = tokens > 1 ? (tokens - 1) / ((performance.now() - first) / 1000) : undefined;
  const promptSeconds = (first - began) / 1000;
  if (flags.json) {
    io.out(`${JSON.stringify({prompt, text, tokens, reason, seconds, promptSeconds, tokensPerSecond, backend})}\n`);
  } else {
    io.out('\n');
    const pace = tokensPerSecond === undefined ? '' : `, ${tokensPerSecond.toFixed(1)} tokens/s`;
    io.err(
      `${tokens} tokens in ${seconds.toFixed(1)} s, ${promptSeconds.toFixed(2)} s of them for the prompt${pace}, on ${backend}\n`,
    );
  }
}

async function readPrompt(argument: string | undefined, flags: Flags, io: Io): Promise<string> {
  const {prompt, promptFile} = flags;
  const given = [argument, prompt, promptFile].filter((value) => value !== undefined);
  if (given.length > 1)
    throw new UsageError('the prompt is given more than once: as argument, --prompt or --prompt-file');
  if (promptFile !== undefined) {
    return readFile(promptFile, 'utf8').catch((error: Error) => {
      throw new UsageError(`--prompt-file ${promptFile} cannot be read: ${error.message}`);
    });
  }
  const text = argument ?? prompt;
  if (text !== undefined && text !== '-') return text;
  if (text === undefined && io.stdin.isTTY)
    throw new UsageError('the prompt is missing: an argument, --prompt-file, or standard input');
  return readStdin(io);
}
