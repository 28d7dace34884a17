/** The thread that turns texts into tokens: given the content of a `tokenizer.json`, it answers each text with its ids, or with why not. */
import {parentPort, workerData} from 'node:worker_threads';
import {huggingFaceTokenizer} from '../lm/tokenizers/huggingFace';

/** What {@link tokenizerThread} posts. */
export interface Question {
  text: string;
}

/** What is posted back, in the order of the texts. */
export type Answer = {ids: Int32Array} | {error: string};

const tokenizer = huggingFaceTokenizer(workerData as object);

parentPort!.on('message', ({text}: Question) => {
  // One after the other, as they all wait for the same.
  void tokenizer.then(
    ({encode}) => answer(() => Int32Array.from(encode(text))),
    (error: Error) =>
      answer(() => {
        throw error;
      }),
  );
});

function answer(work: () => Int32Array<ArrayBuffer>): void {
  try {
    const ids = work();
    parentPort!.postMessage({ids} satisfies Answer, [ids.buffer]);
  } catch (error) {
    parentPort!.postMessage({error: (error as Error).message} satisfies Answer);
  }
}
