/** What it selects: Δ of each token as a heat map over the text, and what the state at one of them keeps of those before it. */
import type {Selection} from 'tfjs-mamba/worker';
import {disable, el, field, statusLine} from './dom';
import type {Page} from './main';

/** Of a longer text the beginning is shown. */
const LONGEST = 400;
const example =
  'ROMEO:\nBut, soft! what light through yonder window breaks?\nIt is the east, and Juliet is the sun.\nArise, fair sun, and kill the envious moon.';

const percent = (share: number) => `${Number((100 * share).toFixed(share < 0.1 ? 1 : 0))} %`;

export function selectView(page: Page) {
  const status = statusLine();
  const text = el('textarea', {rows: 4}, example);
  const layer = el('select', {onchange: () => draw()}, el('option', {value: -1}, 'All, on average'));
  const show = el('button', {class: 'primary', onclick: () => void guarded(read)}, 'Show');
  const back = el('button', {disabled: true, onclick: () => leave()}, 'Back to Δ');
  const words = el('div', {
    class: 'text heat',
    role: 'listbox',
    'aria-label': 'The text, token by token',
    hidden: true,
  });
  const scale = el('div', {class: 'scale', hidden: true}, el('span'), el('i'), el('span'));
  let pieces: string[] = [];
  let ids: number[] = [];
  let selected: Selection | undefined;
  /** The token whose state is looked at; -1 while it is Δ that is shown. */
  let at = -1;

  async function guarded(work: () => Promise<void>): Promise<void> {
    const enable = disable(show);
    try {
      await work();
    } catch (error) {
      status.fail(error);
    } finally {
      enable();
    }
  }

  async function read(): Promise<void> {
    const model = page.model();
    if (text.value === '') throw new Error('Write a text first.');
    status.say('Reading …');
    ids = (await model.encode(text.value)).slice(0, LONGEST);
    selected = await model.selection(ids);
    at = -1;
    // A token may be part of a character, which is shown where it is whole.
    const wholes = await Promise.all(ids.map((_, i) => model.decode(ids.slice(0, i + 1))));
    const ends = ['', ...wholes.map((whole) => whole.replace(/\uFFFD+$/, ''))];
    pieces = ids.map((_, i) => ends[i + 1].slice(ends[i].length));
    words.replaceChildren(...pieces.map(wordOf));
    draw();
  }

  function wordOf(piece: string, i: number): HTMLElement {
    const shown = piece.replaceAll('\n', '↵\n') || '·';
    return el('span', {role: 'option', tabindex: i === 0 ? 0 : -1, onclick: () => void guarded(() => look(i))}, shown);
  }

  async function look(i: number): Promise<void> {
    selected = await page.model().selection(ids, {at: i});
    at = i;
    draw();
    focusOn(i);
  }

  function leave(): void {
    if (document.activeElement === back) focusOn(at);
    at = -1;
    draw();
  }

  function draw(): void {
    if (!selected) return;
    const of = at < 0 ? selected.delta : selected.kept;
    const layers = layer.value === '-1' ? [...Array(of.length / ids.length).keys()] : [Number(layer.value)];
    const values = ids.map((_, t) => layers.reduce((sum, l) => sum + of[l * ids.length + t], 0) / layers.length);
    const [low, high] = at < 0 ? [Math.min(...values), Math.max(...values)] : [0, 1];
    const say = at < 0 ? (value: number) => value.toPrecision(2) : percent;
    [...words.children].forEach((word, t) => {
      const isLater = at >= 0 && t > at;
      const label = `${nameOf(t)}: ${isLater ? 'comes later' : at < 0 ? `Δ ${say(values[t])}` : `${say(values[t])} kept`}`;
      (word as HTMLElement).style.setProperty('--share', String((values[t] - low) / (high - low || 1)));
      for (const [name, value] of Object.entries({title: label, 'aria-label': label, 'aria-selected': t === at}))
        word.setAttribute(name, String(value));
    });
    scale.firstElementChild!.textContent = say(low);
    scale.lastElementChild!.textContent = say(high);
    words.hidden = scale.hidden = false;
    back.disabled = at < 0;
    status.say(at < 0 ? aboutSteps(values, say) : aboutPast(values));
  }

  function aboutSteps(values: number[], say: (value: number) => string): string {
    const order = ids.map((_, t) => t).sort((a, b) => values[b] - values[a]);
    const most = order.slice(0, 3).map((t) => `${nameOf(t)} (${say(values[t])})`);
    return `${ids.length} token${ids.length === 1 ? '' : 's'}. Most is written at ${most.join(', ')}. Choose a token to see what its state keeps.`;
  }

  function aboutPast(values: number[]): string {
    const past = values.slice(0, at);
    if (past.length === 0) return `Before ${nameOf(0)} there is nothing to keep.`;
    const half = [...past].reverse().findIndex((value) => value < 0.5);
    const near = {
      '-1': 'at least half of every token before it',
      0: 'less than half of the token before it',
      1: 'at least half of the token before it',
    }[half];
    const kept = near ?? `at least half of each of the ${half} tokens before it`;
    return `At ${nameOf(at)} the state keeps ${kept}, and ${percent(past[0])} of the first.`;
  }

  const nameOf = (t: number) => `“${pieces[t].replaceAll('\n', '↵') || '·'}”`;

  function focusOn(i: number): void {
    [...words.children].forEach((word, t) => ((word as HTMLElement).tabIndex = t === i ? 0 : -1));
    (words.children[i] as HTMLElement).focus();
  }

  words.addEventListener('keydown', (event) => {
    const from = [...words.children].indexOf(event.target as Element);
    const step = {ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1, Home: -from, End: ids.length - 1 - from}[
      event.key
    ];
    if (step !== undefined) focusOn(Math.min(ids.length - 1, Math.max(0, from + step)));
    else if (event.key === 'Enter' || event.key === ' ') void guarded(() => look(from));
    else if (event.key === 'Escape') leave();
    else return;
    event.preventDefault();
  });

  const view = el(
    'div',
    {class: 'card'},
    el(
      'p',
      {},
      'For every token the model chooses how much of it to write into its state: the step size Δ. The warmer, the more. Writing much also forgets much of what was there before.',
    ),
    field('A text', text, `The first ${LONGEST} tokens are shown.`),
    el('div', {class: 'row'}, field('Layer', layer), el('div', {class: 'buttons'}, show, back)),
    status.line,
    words,
    scale,
  );
  /** Of another model nothing has been shown yet. */
  function opened(): void {
    selected = undefined;
    words.hidden = scale.hidden = back.disabled = true;
    status.say('');
    const names = Array.from({length: page.model().config.nLayer}, (_, i) =>
      el('option', {value: i}, `Layer ${i + 1}`),
    );
    layer.replaceChildren(layer.firstElementChild!, ...names);
    layer.value = '-1';
  }
  return {name: 'What it selects', view, opened};
}
