/**
 * Texts to tokens while the next ones are read: for Hugging Face's tokenizers, which take their time, in a thread of its own; those of bytes
 * and characters do it at once. Only so many texts wait at a time, whatever there is to read. Node only.
 */
import {existsSync} from 'node:fs';
import {extname} from 'node:path';
import {fileURLToPath} from 'node:url';
import {Worker} from 'node:worker_threads';
import {isHuggingFaces} from '../lm/tokenizers/huggingFace';
import type {Tokenizer} from '../lm/tokenizers';
import type {Answer, Question} from './tokenizerWorker';

/** Texts that may wait for the thread. */
export const AHEAD = 8;

export interface Encoder {
  encode(text: string): Promise<ArrayLike<number>>;
  /** Ends the thread, whatever it is at. */
  close(): Promise<void>;
}

const here = fileURLToPath(import.meta.url);

/** The program of the thread: a file of the package, which neither its source nor a bundle has. */
export const thread = {program: here.replace(/[^/\\]*$/, `tokenizerWorker${extname(here).replace('.ts', '.js')}`)};

/** @param tokenizer One whose `encode` is somebody's own is asked itself. */
export function openEncoder(tokenizer: Tokenizer): Encoder {
  const {program} = thread;
  if (!isHuggingFaces(tokenizer) || !existsSync(program)) {
    return {encode: async (text) => tokenizer.encode(text), close: async () => {}};
  }
  return new Thread(new Worker(program, {workerData: tokenizer.toJSON()}));
}

interface Waiting {
  resolve(ids: Int32Array): void;
  reject(error: Error): void;
}

class Thread implements Encoder {
  private readonly waiting: Waiting[] = [];
  private fault?: Error;

  constructor(private readonly worker: Worker) {
    worker.on('message', (answer: Answer) => {
      const {resolve, reject} = this.waiting.shift()!;
      if ('ids' in answer) resolve(answer.ids);
      else reject(new Error(answer.error));
    });
    worker.on('error', (error) => this.end(error));
    worker.on('exit', () => this.end(new Error('openData: the thread of the tokenizer has ended')));
  }

  encode(text: string): Promise<Int32Array> {
    return new Promise((resolve, reject) => {
      if (this.fault) return reject(this.fault);
      this.waiting.push({resolve, reject});
      this.worker.postMessage({text} satisfies Question);
    });
  }

  async close(): Promise<void> {
    await this.worker.terminate();
  }

  private end(error: Error): void {
    this.fault ??= error;
    this.waiting.splice(0).forEach(({reject}) => reject(this.fault!));
  }
}

/** Results of what is at work on each item, in their order: at most so many are begun and not taken. */
export async function* ahead<T, R>(
  items: AsyncIterable<T>,
  work: (item: T) => Promise<R>,
  most = AHEAD,
): AsyncGenerator<R> {
  const begun: Promise<R>[] = [];
  for await (const item of items) {
    const result = work(item);
    result.catch(() => {}); // whoever takes it is told
    begun.push(result);
    if (begun.length >= most) yield await begun.shift()!;
  }
  while (begun.length > 0) yield await begun.shift()!;
}
