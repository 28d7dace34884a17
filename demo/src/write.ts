/** Write: a text as it comes, taken back to any point, continued in two ways, kept for another day. */
import type {WorkerHistory} from 'tfjs-mamba/worker';
import {download, el, field, handOver, number, statusLine} from './dom';
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
  let last = Promise.resolve();

  const button = (label: string, work: () => Promise<void>) => el('button', {onclick: () => guarded(work)}, label);
  const write = el('button', {class: 'primary', onclick: () => begin()}, 'Write');
  const stop = el('button', {disabled: true, onclick: () => running?.abort()}, 'Stop');
  const undo = button('Undo a token', () => takeBack(pane(), 1));
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

  /** One thing after another: what is asked for while it writes ends that first. */
  function guarded(work: () => Promise<void>): void {
    running?.abort();
    last = last.then(work).catch(status.fail);
  }

  function begin(): void {
    if (running) return;
    const stopping = new AbortController();
    guarded(() => writeOn(stopping));
    running = stopping;
    handOver(write, stop);
  }

  function addPane(history: WorkerHistory): Pane {
    const label = panes.length === 0 ? 'Text' : 'Second text';
    const text = el('div', {class: 'text', role: 'group', tabindex: 0, 'aria-label': label});
    const made: Pane = {history, text};
    text.onclick = ({target}) => {
      const at = [...text.querySelectorAll('span')].indexOf(target as HTMLSpanElement);
      if (at >= 0) guarded(() => takeBack(made, text.querySelectorAll('span').length - at));
    };
    text.onkeydown = (event) => {
      if (event.key !== 'Backspace') return;
      event.preventDefault();
      guarded(() => takeBack(made, 1));
    };
    panes.push(made);
    pages.append(text);
    return made;
  }

  async function clear(): Promise<void> {
    await forget();
    status.say('');
  }

  async function forget(): Promise<void> {
    await Promise.all(panes.map(({history}) => history.dispose().catch(() => undefined)));
    panes = [];
    pages.replaceChildren();
  }

  /** Continues all panes by turns, each with draws of its own. */
  async function writeOn(stopping: AbortController): Promise<void> {
    const end = page.begin(stopping);
    const {signal} = stopping;
    const isNew = panes.length === 0;
    const begin = performance.now();
    let count = 0;
    let isWhole = false;
    const speed = () => {
      const rate = count / ((performance.now() - begin) / 1000);
      return `${rate.toFixed(rate < 10 ? 1 : 0)} a second`;
    };
    const one = async ({history, text}: Pane, i: number) => {
      if (isNew) text.append(el('b', {}, prompt.value));
      const options = {
        ...{history, signal, seed: seed.get() + i, maxNewTokens: length.get(), temperature: temperature.get()},
        ...{topP: topP.get(), repetitionPenalty: penalty.get(), ...(topK.get() > 0 && {topK: topK.get()})},
      };
      for await (const token of page.model().generate(isNew ? prompt.value : '', options)) {
        text.append(el('span', {}, token.text));
        count++;
        status.progress(`${count} tokens, ${speed()}.`);
      }
    };
    try {
      if (isNew && prompt.value === '') throw new Error('Write a beginning first.');
      if (isNew) addPane(await page.model().stateHistory({depth: 256}));
      const ends = await Promise.allSettled(panes.map(one));
      const wrong = ends.find((end) => end.status === 'rejected' && (end.reason as Error).name !== 'AbortError');
      if (wrong) throw (wrong as PromiseRejectedResult).reason;
      isWhole = !signal.aborted;
      if (count > 0) status.say(`${count} tokens written, ${speed()}.`);
      else if (isWhole) status.say('The model ends the text here.');
      seed.set(seed.get() + panes.length);
    } finally {
      // Of what was refused, or stopped at once, nothing is left over that the next text would be taken to continue.
      if (isNew && count === 0 && !isWhole) await forget();
      running = undefined;
      handOver(stop, write);
      end();
    }
  }

  async function takeBack({history, text}: Pane, count: number): Promise<void> {
    if (count > text.querySelectorAll('span').length) throw new Error('No written token is left to take back.');
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
    if (name.value === '') throw new Error('Give it a name first.');
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
    field(
      'The beginning',
      prompt,
      'Click a word of the text to go back to before it; by keyboard, Backspace in the text takes back a token.',
    ),
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
    guarded(async () => {
      await clear();
      await list();
    });
  return {name: 'Write', view, opened};
}
