/** Conversations as the text that a model was taught them in: the template of `tokenizer_config.json`, in Jinja. */
import type * as Library from '@huggingface/jinja';
import {describe} from '../ops/check';
import type {Tokenizer} from './tokenizers';

/** What somebody said: `role` is 'system', 'user' or 'assistant', as a rule. */
export interface ChatMessage {
  role: string;
  content: string;
}

/** The options of {@link applyChatTemplate}. */
export interface ChatTemplateOptions {
  /** Whether the text ends where the model is to answer (false). */
  addGenerationPrompt?: boolean;
}

const OP = 'applyChatTemplate';

/** Whether a tokenizer comes with a template for chats. */
export function hasChatTemplate({config}: Pick<Tokenizer, 'config'>): boolean {
  return templateOf(config) !== undefined;
}

/**
 * The text of a conversation, as the tokenizer's `chat_template` has it. Its special tokens are in the text. Needs the optional package
 * `@huggingface/jinja`.
 *
 * @throws Error if there is no template, or it refuses the messages.
 */
export async function applyChatTemplate(
  tokenizer: Pick<Tokenizer, 'config'>,
  messages: readonly ChatMessage[],
  options: ChatTemplateOptions = {},
): Promise<string> {
  if (typeof tokenizer !== 'object' || tokenizer === null) {
    throw new Error(`${OP}: tokenizer must be a tokenizer, such as loadTokenizer gives, but is ${describe(tokenizer)}`);
  }
  if (!Array.isArray(messages)) {
    throw new Error(`${OP}: messages must be a list of {role, content}, but is ${describe(messages)}`);
  }
  const template = templateOf(tokenizer.config);
  if (template === undefined) throw new Error(`${OP}: the tokenizer's tokenizer_config.json has no chat_template`);
  const {Template} = await library();
  try {
    return new Template(template).render({
      messages,
      ...specialTokens(tokenizer.config!),
      add_generation_prompt: options.addGenerationPrompt ?? false,
    });
  } catch (error) {
    throw new Error(`${OP}: ${(error as Error).message}`, {cause: error});
  }
}

async function library(): Promise<typeof Library> {
  try {
    // An optional peer: only chats need it.
    // eslint-disable-next-line no-restricted-syntax
    return await import('@huggingface/jinja');
  } catch (error) {
    throw new Error(`${OP}: chat templates need the package @huggingface/jinja; install it`, {cause: error});
  }
}

/** One template, or the default one of several. */
function templateOf(config: object | undefined): string | undefined {
  const {chat_template: given} = (config ?? {}) as {chat_template?: unknown};
  if (typeof given === 'string') return given;
  const named = Array.isArray(given) ? (given as {name?: unknown; template?: unknown}[]) : [];
  const found = named.find(({name}) => name === 'default')?.template;
  return typeof found === 'string' ? found : undefined;
}

/** `bos_token` and its like, which are texts or objects with one. */
function specialTokens(config: object): Record<string, string> {
  const tokens = Object.entries(config)
    .filter(([name]) => /^(bos|eos|unk|pad|sep|cls|mask)_token$/.test(name))
    .map(([name, token]) => [name, typeof token === 'string' ? token : (token as {content?: unknown} | null)?.content]);
  return Object.fromEntries(tokens.filter(([, token]) => typeof token === 'string')) as Record<string, string>;
}
