/** What is seen of a long text as it is read, piece after piece: the time of a token, and the memory; as pictures, and as a table for who sees none. */
import {drawCurves, type Point} from './curve';
import type {Memory} from './device';
import {el} from './dom';

/** How far it has come, and what that took. */
export interface Piece {
  count: number;
  /** Milliseconds a token; none of a short rest, which would seem slow, since what a piece costs besides its tokens is then shared by few. */
  each?: number;
  memory: Memory;
}

/** More would not be seen one by one. */
const MOST_BARS = 100;
const MOST_ROWS = 10;

const inMegabytes = (bytes: number) => (bytes / 1e6).toPrecision(3);
const megabytes = (bytes: number) => (bytes === 0 ? '0' : `${inMegabytes(bytes)} MB`);
const whole = (count: number) => count.toLocaleString('en');

export function piecesView() {
  let pieces: Piece[] = [];
  const bars = el('div', {class: 'bars', role: 'img'});
  const curve = el('div', {class: 'curve', role: 'img'});
  const table = el('table');
  const title = (text: string) => el('h2', {}, text);
  const figures = el('details', {}, el('summary', {}, 'The figures'), el('div', {class: 'wide'}, table));
  const view = el('div', {class: 'part'}, title('Time of a token'), bars, title('Memory'), curve, figures);

  /** Bars as high as a token takes long, half of the height being the median; of many pieces each bar is the mean of several. */
  function drawTimes(): void {
    const times = pieces.flatMap(({each}) => each ?? []);
    const size = Math.ceil(times.length / MOST_BARS);
    const groups = Array.from({length: Math.ceil(times.length / size)}, (_, i) =>
      times.slice(i * size, (i + 1) * size),
    );
    const means = groups.map((group) => group.reduce((sum, time) => sum + time, 0) / group.length);
    const median = [...means].sort((a, b) => a - b)[Math.floor(means.length / 2)];
    bars.replaceChildren(
      ...means.map((mean) => {
        const bar = el('i', {title: `${mean.toFixed(2)} ms a token`});
        bar.style.height = `${Math.min(100, (50 * mean) / median)}%`;
        return bar;
      }),
    );
    bars.setAttribute('aria-label', `Time of a token, piece after piece; the median is ${median.toFixed(2)} ms`);
  }

  function drawMemory(): void {
    const curves: Record<string, Point[]> = {};
    for (const {count, memory} of pieces)
      for (const [name, bytes] of Object.entries(memory)) (curves[name] ??= []).push({x: count, y: bytes});
    const named = Object.entries(curves).map(([name, points]) => [`${name} ${megabytes(points.at(-1)!.y)}`, points]);
    const axes = {x: (count: number) => `${whole(count)} tokens`, y: megabytes, fromZero: true};
    curve.replaceChildren(
      drawCurves(Object.fromEntries(named) as typeof curves, Math.max(240, curve.clientWidth), axes),
    );
    const ends = Object.entries(curves).map(
      ([name, points]) => `${name} ${megabytes(points[0].y)} at first and ${megabytes(points.at(-1)!.y)} now`,
    );
    curve.setAttribute('aria-label', `Memory over the tokens read: ${ends.join(', ')}`);
  }

  /** A few pieces, the last one among them. */
  function list(): void {
    const names = Object.keys(pieces[0].memory);
    const row = (cells: string[], kind: 'th' | 'td', scope: string) =>
      el('tr', {}, ...cells.map((cell, i) => (i === 0 ? el('th', {scope}, cell) : el(kind, {scope}, cell))));
    const every = Math.ceil(pieces.length / MOST_ROWS);
    const shown = pieces.filter((_, i) => (pieces.length - 1 - i) % every === 0);
    const heads = ['Tokens read', 'ms a token', ...names.map((name) => `${name[0].toUpperCase()}${name.slice(1)}, MB`)];
    const rows = shown.map(({count, each, memory}) =>
      row([whole(count), each?.toFixed(2) ?? '–', ...names.map((name) => inMegabytes(memory[name]))], 'td', 'row'),
    );
    table.replaceChildren(el('thead', {}, row(heads, 'th', 'col')), el('tbody', {}, ...rows));
  }

  function draw(): void {
    view.hidden = pieces.length === 0;
    if (view.hidden) return;
    drawTimes();
    drawMemory();
    list();
  }

  new ResizeObserver(() => pieces.length > 0 && drawMemory()).observe(curve);
  draw();
  return {
    view,
    add(piece: Piece) {
      pieces.push(piece);
      draw();
    },
    clear() {
      pieces = [];
      draw();
    },
  };
}
