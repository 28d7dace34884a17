/**
 * A needle in a haystack: a fact at the beginning, much else after it, and a question at the end. What counts is how likely the model finds the
 * true answer, beside how likely it finds it where the fact has never been there.
 */
import type {WorkerHistory, WorkerModel} from 'tfjs-mamba/worker';
import {el, field, handOver, number, statusLine} from './dom';
import type {Page} from './main';

/** Token ids of each part. */
interface Task {
  fact: number[];
  question: number[];
  answer: number[];
  /** The hay, without end. */
  hay(at: number): number;
}

/** What lies between where no other text is chosen. */
const HAY = 'The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again. ';
/** So much is read at a time, so that it can be stopped. */
const PIECE = 256;

const percent = (share: number) => `${(100 * share).toPrecision(3)} %`;

export function needle(page: Page) {
  const status = statusLine();
  const fact = el('input', {type: 'text', value: 'The password is swordfish. '});
  const question = el('input', {type: 'text', value: 'The password is'});
  const answer = el('input', {type: 'text', value: ' swordfish'});
  const between = number('Tokens between', 2048, {min: 1, step: 256});
  let running: AbortController | undefined;
  const hide = el('button', {class: 'primary', onclick: () => void start()}, 'Hide and ask');
  const stop = el('button', {disabled: true, onclick: () => running?.abort()}, 'Stop asking');

  async function start(): Promise<void> {
    running = new AbortController();
    const end = page.begin(running);
    handOver(hide, stop);
    try {
      const model = page.model();
      const task = model.hasTokenizer ? await inWords(model) : inSigns(model.config.vocabSize);
      const count = between.get();
      const [there, control] = [await ask(model, task, count, true), await ask(model, task, count, false)];
      const times = there / control;
      const verdict =
        there > 0.5 && times > 2 ? 'It remembers.' : times > 2 ? 'It remembers a little.' : 'It does not remember.';
      status.say(
        `After ${count.toLocaleString('en')} tokens the true answer has a probability of ${percent(there)}; ` +
          `without the fact ${percent(control)}. ${verdict}`,
      );
    } catch (error) {
      status.say('Stopped.');
      status.fail(error);
    } finally {
      end();
      handOver(stop, hide);
    }
  }

  async function inWords(model: WorkerModel): Promise<Task> {
    if (question.value === '' || answer.value === '') throw new Error('Write a question and its answer first.');
    const hay = await model.encode(HAY);
    return {
      fact: await model.encode(fact.value),
      question: await model.encode(question.value),
      answer: await model.encode(answer.value),
      hay: (at) => hay[at % hay.length],
    };
  }

  /** For a model that knows no words: after the last of its signs comes another one, which is to be told where the last comes again. */
  function inSigns(signs: number): Task {
    const own = Math.floor(Math.random() * (signs - 1));
    const hay = Array.from({length: 4096}, () => Math.floor(Math.random() * (signs - 1)));
    return {fact: [signs - 1, own], question: [signs - 1], answer: [own], hay: (at) => hay[at % hay.length]};
  }

  /** How likely the answer is. */
  async function ask(model: WorkerModel, task: Task, count: number, isThere: boolean): Promise<number> {
    const history = await model.stateHistory({depth: 1});
    try {
      if (isThere) await read(model, history, task.fact);
      for (let at = 0; at < count; at += PIECE) {
        running!.signal.throwIfAborted();
        status.progress(`Reading ${isThere ? 'after' : 'without'} the fact: ${at.toLocaleString('en')} tokens …`);
        await read(
          model,
          history,
          Array.from({length: Math.min(PIECE, count - at)}, (_, i) => task.hay(at + i)),
        );
      }
      let sum = 0;
      for (let i = 0; i < task.answer.length; i++) {
        const all = await model.logprobs(history, [...task.question, ...task.answer.slice(0, i)]);
        sum += all[task.answer[i]];
      }
      return Math.exp(sum);
    } finally {
      await history.dispose();
    }
  }

  /** A token is written only to be taken back. */
  async function read(model: WorkerModel, history: WorkerHistory, ids: number[]): Promise<void> {
    for await (const {index} of model.generate(ids, {history, maxNewTokens: 1, temperature: 0, stopTokens: []}))
      if (index > 0) break;
    await history.rollBack(1);
  }

  const words = [field('Fact', fact), field('Question', question), field('True answer', answer)];
  const view = el(
    'section',
    {class: 'part', 'aria-label': 'Needle'},
    el('h2', {}, 'A needle in a haystack'),
    el(
      'p',
      {},
      'A fact at the beginning, much else after it, a question at the end. A model that has not learned to look back will not find it; ',
      'induction-heads has learned nothing else, by signs and not by words.',
    ),
    el('div', {class: 'row'}, ...words, between.field),
    el('div', {class: 'buttons'}, hide, stop),
    status.line,
  );
  /** Words are nothing to a model that has only signs. */
  function opened(): void {
    for (const word of words) word.hidden = !page.model().hasTokenizer;
    status.say('');
  }
  return {view, opened};
}
