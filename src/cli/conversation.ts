/**
 * What `chat --state FILE` keeps: the state and the ids that it has read, as `saveState` writes them, and beside it what was said, `FILE.json`,
 * which a chat template is filled with anew at each turn. Should the one be older than the other, what differs is read again.
 */
import {existsSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import type {ChatMessage, MambaLM, StateHistory} from '../node';
import {writeWhole} from '../nodeStaging';
import type {Library} from './library';

export interface Conversation {
  readonly history: StateHistory;
  /** What has been said so far; whoever says more adds it. */
  readonly messages: ChatMessage[];
  /** Writes it, if there is a file for it. */
  keep(): Promise<void>;
}

/** Goes on with the conversation of a file, if there is one. */
export async function openConversation(lib: Library, model: MambaLM, file: string | undefined): Promise<Conversation> {
  if (file === undefined) return {history: lib.stateHistory(), messages: [], keep: async () => {}};
  const beside = `${file}.json`;
  const messages = existsSync(beside) ? await readMessages(beside) : [];
  const history = existsSync(file) ? await lib.loadHistory(model, file) : lib.stateHistory();
  return {
    history,
    messages,
    async keep() {
      await lib.saveState(model, history, file);
      await writeWhole(beside, JSON.stringify(messages));
    },
  };
}

async function readMessages(file: string): Promise<ChatMessage[]> {
  let content: unknown;
  try {
    content = JSON.parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw new Error(`${file} cannot be read: ${(error as Error).message}`, {cause: error});
  }
  const isMessage = (value: unknown) => {
    const {role, content: said} = Object(value) as Partial<ChatMessage>;
    return typeof role === 'string' && typeof said === 'string';
  };
  if (!Array.isArray(content) || !content.every(isMessage)) {
    throw new Error(`${file} must hold what was said, a list of {role, content}`);
  }
  return content as ChatMessage[];
}
