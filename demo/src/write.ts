/** Write: a text as it comes, taken back to any point, continued in two ways, kept for another day. */
import type {WorkerHistory} from 'tfjs-mamba/worker';
import {download, el, field, number, statusLine} from './dom';
import type {Page} from './main';

interface Pane {
  history: WorkerHistory;
  text: HTMLElement;
}

export function writeView(page: Page) {
  const status = statusLine();
  const prompt = el('textarea', {rows: 3}, 'Once upon a time');
  const temperature = number('Temperature', 0.8, {min: 0, step: 0.1});
  const topP = number('Top p', 0.95, {min: 0.05, max: 1, step: 0.05});
  const topK = number('Top k (0: all)', 0, {min: 0, step: 1});
  const penalty = number('Repetition penalty', 1, {min: 0.1, step: 0.1});
  const length = number('Tokens', 120, {min: 1, step: 1});
  const seed = number('Seed', 1, {min: 0, step: 1});
  const pages = el('div', {class: 'pages'});
  let panes: Pane[] = [];
  let running: AbortController | undefined;

  const button = (label: string, work: () => Promise<void>, kind = '') =>
    el('button', {class: kind, onclick: () => void guarded(work)}, label);
  const write = button('Write', () => writeOn(), 'primary');
  const stop = el('button', {disabled: true, onclick: () => running?.abort()}, 'Stop');
  const undo = button('Undo a token', () => takeBack(panes[0], 1));
  const branch = button('Branch', () => split());
  const anew = button('Begin anew', () => clear());
  const name = el('input', {type: 'text', value: 'my story', spellcheck: false});
  const saved = el('select', {}, el('option', {value: ''}, 'Kept texts …'));
  const keep = button('Keep', () => save());
  const restore = button('Go on with it', () => open());
  const asFile = button('As a file', async () => download('story.state', await pane().history.save()));

  function pane(): Pane {
    if (panes.length === 0) throw new Error('There is no text yet.');
    return panes[0];
  }

  async function guarded(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      status.fail(error);
    }
  }

  function addPane(history: WorkerHistory): Pane {
    const text = el('p', {class: 'text', tabindex: 0, 'aria-label': 'Text'});
    const made: Pane = {history, text};
    panes.push(made);
    pages.append(text);
    return made;
  }

  async function clear(): Promise<void> {
    running?.abort();
    await Promise.all(panes.map(({history}) => history.dispose().catch(() => undefined)));
    panes = [];
    pages.replaceChildren();
    prompt.disabled = false;
    status.say('');
  }

  /** Continues all panes by turns, each with draws of its own. */
  async function writeOn(): Promise<void> {
    const model = page.model();
    const isNew = panes.length === 0;
    if (isNew) addPane(await model.stateHistory({depth: 256}));
    running = new AbortController();
    const {signal} = running;
    write.disabled = true;
    stop.removeAttribute('disabled');
    const begin = performance.now();
    let count = 0;
    const one = async ({history, text}: Pane, i: number) => {
      if (isNew) text.append(el('b', {}, prompt.value));
      const options = {
        ...{history, signal, seed: seed.get() + i, maxNewTokens: length.get(), temperature: temperature.get()},
        ...{topP: topP.get(), repetitionPenalty: penalty.get(), ...(topK.get() > 0 && {topK: topK.get()})},
      };
      for await (const token of model.generate(isNew ? prompt.value : '', options)) {
        const word = el('span', {}, token.text);
        word.onclick = () =>
          void guarded(() => takeBack({history, text}, text.querySelectorAll('span').length - placeOf(text, word)));
        text.append(word);
        const rate = ++count / ((performance.now() - begin) / 1000);
        status.say(`${count} tokens, ${rate.toFixed(rate < 10 ? 1 : 0)} a second.`);
      }
    };
    try {
      const ends = await Promise.allSettled(panes.map(one));
      const wrong = ends.find((end) => end.status === 'rejected' && (end.reason as Error).name !== 'AbortError');
      if (wrong) throw (wrong as PromiseRejectedResult).reason;
      seed.set(seed.get() + panes.length);
    } finally {
      write.disabled = false;
      stop.setAttribute('disabled', '');
    }
  }

  async function takeBack({history, text}: Pane, count: number): Promise<void> {
    await history.rollBack(count);
    for (let i = 0; i < count; i++) text.querySelector('span:last-of-type')?.remove();
    status.say(count === 1 ? 'Took one token back.' : `Took ${count} tokens back.`);
  }

  async function split(): Promise<void> {
    const [first, second] = panes;
    if (second) {
      await second.history.dispose();
      second.text.remove();
      panes = [first];
      return;
    }
    const other = addPane(await pane().history.fork());
    other.text.append(...[...first.text.childNodes].map((node) => node.cloneNode(true)));
    status.say('Two copies of the same memory; write, and they go their own ways.');
  }

  async function save(): Promise<void> {
    await pane().history.save(`indexeddb://${name.value}`);
    await list();
    status.say(`Kept as “${name.value}” in this browser.`);
  }

  async function open(): Promise<void> {
    if (saved.value === '') throw new Error('Choose a kept text first.');
    const model = page.model();
    const history = await model.loadHistory(saved.value, {depth: 256});
    await clear();
    const whole = (await model.decode(await history.ids())).replace(/\uFFFD+$/, ''); // the rest of a character is to come
    addPane(history).text.append(el('b', {}, whole));
    status.say('Nothing was read again: the memory is as it was.');
  }

  async function list(): Promise<void> {
    const places = await page.worker().listStates();
    const options = places.map((place) => el('option', {value: place}, place.replace('indexeddb://', '')));
    saved.replaceChildren(el('option', {value: ''}, 'Kept texts …'), ...options);
  }

  const view = el(
    'div',
    {class: 'card'},
    field('The beginning', prompt, 'Click a word of the text to go back to before it.'),
    el('div', {class: 'buttons'}, write, stop, undo, branch, anew),
    el(
      'details',
      {},
      el('summary', {}, 'How it chooses'),
      el('div', {class: 'row numbers'}, ...[temperature, topP, topK, penalty, length, seed].map((one) => one.field)),
    ),
    status.line,
    pages,
    el(
      'details',
      {},
      el('summary', {}, 'Keep this memory'),
      el(
        'div',
        {class: 'row'},
        field('Name', name),
        el('div', {class: 'buttons'}, keep, asFile),
        field('Kept', saved),
        el('div', {class: 'buttons'}, restore),
      ),
    ),
  );
  const opened = () =>
    void guarded(async () => {
      await clear();
      await list();
    });
  return {name: 'Write', view, opened};
}

function placeOf(text: HTMLElement, word: HTMLElement): number {
  return [...text.querySelectorAll('span')].indexOf(word);
}
