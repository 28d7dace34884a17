/** `tfjs-mamba generate`: continues a text, as a stream. */
import {existsSync, statSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import type {Command} from 'commander';
import type {StateHistory} from '../node';
import type {RunFlags} from './flags';
import {withBackend, withOutput} from './flags';
import type {Io} from './io';
import {readStdin, UsageError} from './io';
import type {ModelFlags} from './library';
import type {SamplingFlags} from './sampling';
import {samplingOptions, withSampling} from './sampling';
import {loadModel, modelSource, startLibrary, withAdapter, withModel, withWeights} from './library';

interface Flags extends RunFlags, ModelFlags, SamplingFlags {
  prompt?: string;
  promptFile?: string;
  state?: string;
}

const help = `
The text goes to standard output as it comes, the pace to standard error. Ctrl-C ends it.

Examples:
  $ tfjs-mamba generate 'ROMEO:'                                     the model that "train" has made
  $ tfjs-mamba generate --model state-spaces/mamba-130m-hf 'Mamba is' --temp 0
  $ tfjs-mamba generate --state talk.safetensors 'Once upon a time' && tfjs-mamba generate --state talk.safetensors ''
  $ cat draft.txt | tfjs-mamba generate --max-tokens 500 --top-p 0.95`;

export function generate(command: Command, io: Io): void {
  command
    .description('continue a text')
    .argument('[prompt]', 'what to continue; or --prompt-file, or standard input')
    .addHelpText('after', help);
  withWeights(withAdapter(withModel(command.optionsGroup('Model:'))));
  command
    .optionsGroup('Prompt:')
    .option('-p, --prompt <text>', 'the same as the argument; - is standard input')
    .option('--prompt-file <file>', 'a file to continue')
    .option(
      '--state <file>',
      'go on from what this file remembers, if it is there, and write into it what there is then',
    );
  withSampling(command.optionsGroup('Text:'));
  withOutput(withBackend(command.optionsGroup('Other:')), 'the text and what it took, as one line of JSON at the end');
  command.action((argument: string | undefined, flags: Flags) => act(argument, flags, io));
}

async function act(argument: string | undefined, flags: Flags, io: Io): Promise<void> {
  modelSource(flags);
  const {state} = flags;
  if (state !== undefined && existsSync(state) && !statSync(state).isFile()) {
    throw new UsageError(`--state must be a file, or a place for one, but ${state} is a folder`);
  }
  const prompt = await readPrompt(argument, flags, io);
  const {lib, backend} = await startLibrary(flags);
  const model = await loadModel(lib, flags, io);
  let text = '';
  let tokens = 0;
  let reason = 'abort';
  const began = performance.now();
  let first = began;
  let history: StateHistory | undefined;
  try {
    if (state !== undefined) history = existsSync(state) ? await lib.loadHistory(model, state) : lib.stateHistory();
    if (!flags.json) io.out(prompt);
    for await (const part of model.generate(prompt, {
      ...samplingOptions(flags),
      history,
      signal: io.signal,
      onEnd: (end) => (reason = end.reason),
    })) {
      if (tokens++ === 0) first = performance.now();
      text += part.text;
      if (!flags.json) io.out(part.text);
    }
    if (history) await lib.saveState(model, history, state);
  } catch (error) {
    if (!io.signal.aborted) throw error;
    if (history && tokens > 0) await lib.saveState(model, history, state);
  } finally {
    history?.dispose();
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
