/** `tfjs-mamba chat`: a conversation. What has been said is kept as the model's state, so that no turn reads it again. */
import type {Command} from 'commander';
import type {ChatMessage, MambaLM, StateHistory, Tokenizer} from '../node';
import {TextStream} from '../lm/textStream';
import {openConversation} from './conversation';
import type {RunFlags} from './flags';
import {withBackend, withOutput} from './flags';
import type {SamplingFlags} from './sampling';
import {samplingOptions, withSampling} from './sampling';
import type {Io} from './io';
import {stdinLines, UsageError} from './io';
import type {ModelFlags} from './library';
import {loadModel, modelSource, startLibrary, withAdapter, withModel, withWeights} from './library';

interface Flags extends RunFlags, ModelFlags, SamplingFlags {
  systemPrompt?: string;
  state?: string;
}

const help = `
Each line of standard input is a turn; Ctrl-D ends. The model's chat template puts the turns into the form it was taught; a model without one,
as the published Mambas are, continues what you write as plain text.

Examples:
  $ tfjs-mamba chat --model my-mamba --system-prompt 'Answer in one sentence.'
  $ tfjs-mamba chat --model my-mamba --state talk.safetensors     to be gone on with another day
  $ echo 'Hello!' | tfjs-mamba chat --model my-mamba --json`;

export function chat(command: Command, io: Io): void {
  command.description('talk with a model').addHelpText('after', help);
  withWeights(withAdapter(withModel(command.optionsGroup('Model:'))));
  withSampling(command.optionsGroup('Text:'));
  command.option('--system-prompt <text>', 'what the model is told first; needs a chat template');
  command.option(
    '--state <file>',
    'go on from the conversation that this file keeps, if it is there, and keep it there after each answer',
  );
  withOutput(withBackend(command.optionsGroup('Other:')), 'a line of JSON for each answer');
  command.action((flags: Flags) => act(flags, io));
}

async function act(flags: Flags, io: Io): Promise<void> {
  modelSource(flags);
  const {lib, backend} = await startLibrary(flags);
  const model = await loadModel(lib, flags, io);
  const conversation = await openConversation(lib, model, flags.state).catch((error: Error) => {
    model.dispose();
    throw error;
  });
  const {history, messages} = conversation;
  try {
    const tokenizer = model.tokenizer;
    if (!tokenizer)
      throw model.tokenizerFault ?? new Error('no tokenizer.json came with the model, so text cannot be read');
    const {hasChatTemplate} = await import('../lm/chat');
    const isTaught = hasChatTemplate(tokenizer);
    if (!isTaught && flags.systemPrompt !== undefined) {
      throw new UsageError('--system-prompt needs a model with a chat template, which this one has not');
    }
    const turns = isTaught ? new TemplateTurns(tokenizer, messages, flags.systemPrompt) : new PlainTurns(tokenizer);
    const remark = isTaught ? '' : ', without a chat template: it continues what you write';
    if (!flags.json) io.err(`${modelSource(flags)} on ${backend}${remark}\n`);
    const ask = () => {
      if (io.stdin.isTTY) io.err('> ');
    };
    ask();
    for await (const line of stdinLines(io)) {
      if (line.trim() !== '') {
        await answer(model, history, turns, line, flags, io);
        await conversation.keep();
      }
      ask();
    }
  } catch (error) {
    if (!io.signal.aborted) throw error;
    io.err('\n');
  } finally {
    history.dispose();
    model.dispose();
  }
}

async function answer(
  model: MambaLM,
  history: StateHistory,
  turns: Turns,
  line: string,
  flags: Flags,
  io: Io,
): Promise<void> {
  const tokenizer = model.tokenizer!;
  const prompt = await turns.read(line, history);
  const stream = new TextStream(tokenizer, prompt);
  let tokens = 0;
  const began = performance.now();
  for await (const {id} of model.generate(prompt, {
    ...samplingOptions(flags),
    stopTokens: stopTokens(model, tokenizer),
    history,
    signal: io.signal,
  })) {
    tokens++;
    const text = stream.add(id);
    if (!flags.json) io.out(text);
  }
  const content = stream.all();
  turns.answered(content);
  const tokensPerSecond = tokens / ((performance.now() - began) / 1000);
  io.out(
    flags.json
      ? `${JSON.stringify({role: 'assistant', content, tokens, promptTokens: prompt.length, tokensPerSecond})}\n`
      : '\n',
  );
}

/** What the checkpoint and the tokenizer say ends a text. */
function stopTokens({config}: MambaLM, tokenizer: Tokenizer): number[] {
  const {eos_token: token} = (tokenizer.config ?? {}) as {eos_token?: unknown};
  const ids = typeof token === 'string' ? tokenizer.encode(token) : [];
  return [...new Set([...config.eosTokenIds, ...(ids.length === 1 ? ids : [])])];
}

/** How turns become tokens. */
interface Turns {
  /** The tokens that are new to the history. */
  read(line: string, history: StateHistory): Promise<number[]>;
  answered(content: string): void;
}

class TemplateTurns implements Turns {
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly messages: ChatMessage[],
    systemPrompt: string | undefined,
  ) {
    if (systemPrompt === undefined) return;
    const system = {role: 'system', content: systemPrompt};
    if (messages.length === 0) messages.push(system);
    else if (messages[0].role !== 'system' || messages[0].content !== systemPrompt) {
      throw new UsageError(
        '--system-prompt is another than the conversation of --state began with; leave it out to go on',
      );
    }
  }

  async read(line: string, history: StateHistory): Promise<number[]> {
    this.messages.push({role: 'user', content: line});
    const {applyChatTemplate} = await import('../lm/chat');
    const text = await applyChatTemplate(this.tokenizer, this.messages, {addGenerationPrompt: true});
    const ids = this.tokenizer.encode(text);
    // An answer's text may have other tokens than those that were drawn: from there on it is read again.
    const differs = history.ids.findIndex((id, i) => id !== ids[i]);
    const known = differs === -1 ? history.ids.length : differs;
    history.rollBack(history.ids.length - known);
    return ids.slice(known);
  }

  answered(content: string): void {
    this.messages.push({role: 'assistant', content});
  }
}

class PlainTurns implements Turns {
  constructor(private readonly tokenizer: Tokenizer) {}

  async read(line: string): Promise<number[]> {
    return this.tokenizer.encode(`${line}\n`);
  }

  answered(): void {}
}
