/** Long memory: a long text fed piece by piece, with the time of each and the size of what is kept of it, which does not grow.
 * It is kept after each piece, so that a text that was left in the middle is gone on with. */
import type {WorkerHistory, WorkerModel} from 'tfjs-mamba/worker';
import {el, field, handOver, number, statusLine} from './dom';
import {needle} from './needle';
import type {Page} from './main';

/** More would not be seen one by one. */
const MOST_BARS = 100;

export function rememberView(page: Page) {
  const status = statusLine();
  const hidden = needle(page);
  const file = el('input', {type: 'file', accept: '.txt,text/plain'});
  const piece = number('Tokens at a time', 256, {min: 16, step: 16});
  const bars = el('div', {class: 'bars', role: 'img', 'aria-label': 'Time for each piece'});
  let running: AbortController | undefined;
  const read = el('button', {class: 'primary', onclick: () => void start()}, 'Read it');
  const stop = el('button', {disabled: true, onclick: () => running?.abort()}, 'Stop');

  async function start(): Promise<void> {
    running = new AbortController();
    const {signal} = running;
    const end = page.begin(running);
    let history: WorkerHistory | undefined;
    bars.replaceChildren();
    handOver(read, stop);
    try {
      const model = page.model();
      history = await model.stateHistory({depth: 2});
      const chosen = file.files?.[0];
      const text = await chosen?.text();
      if (!chosen || !text) throw new Error(chosen ? `${chosen.name} is empty.` : 'Choose a text first.');
      const size = piece.get();
      const ids = await model.encode(text);
      const place = `indexeddb://long memory of ${chosen.name}`;
      const kept = await keptHistory(model, place, ids);
      if (kept) {
        await history.dispose();
        ({history} = kept);
      }
      const times: number[] = [];
      for (let at = kept?.count ?? 0; at < ids.length && !signal.aborted; at += size) {
        const begin = performance.now();
        const part = ids.slice(at, at + size);
        for await (const {index} of model.generate(part, {
          ...{history, maxNewTokens: 1, temperature: 0, stopTokens: [], signal},
        })) {
          if (index === 0) break;
        }
        await history.rollBack(1); // it was to read, not to write
        const each = (performance.now() - begin) / part.length;
        // A short rest would seem slow, since what a piece costs besides its tokens is then shared by few.
        if (part.length === size || times.length === 0) times.push(each);
        draw(times);
        const count = Math.min(ids.length, at + size);
        // What a file has besides the state is, almost all, the list of ids.
        const bytes = (await history.save(place)).length - ids.slice(0, count).join(',').length;
        const tell = count < ids.length ? status.progress : status.say;
        tell(
          `${count.toLocaleString('en')} of ${ids.length.toLocaleString('en')} tokens read, ${each.toFixed(2)} ms a token; ` +
            `kept of them: ${(bytes / 1000).toFixed(0)} kB${kept ? `; went on at ${kept.count.toLocaleString('en')}` : ''}.`,
        );
      }
    } catch (error) {
      status.fail(error);
    } finally {
      await history?.dispose();
      end();
      handOver(stop, read);
    }
  }

  /** What was kept of this text when it was last left in the middle; none if it was read to the end, or by another model. */
  async function keptHistory(model: WorkerModel, place: string, ids: number[]) {
    if (!(await page.worker().listStates()).includes(place)) return undefined;
    const history = await model.loadHistory(place, {depth: 2}).catch(() => undefined);
    const read = (await history?.ids()) ?? [];
    if (history && read.length < ids.length && read.every((id, i) => id === ids[i]))
      return {history, count: read.length};
    await history?.dispose();
    return undefined;
  }

  /** Bars as high as a token takes long, half of the height being the median; of many pieces each bar is the mean of several. */
  function draw(times: number[]): void {
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

  const view = el(
    'div',
    {class: 'card'},
    el(
      'p',
      {},
      'The state has the same size however much has been read, and a token takes the same time. Each bar is the time of a piece of the text: they stay level, unless the device is busy with something else.',
    ),
    el('div', {class: 'row'}, field('A long text', file), piece.field, el('div', {class: 'buttons'}, read, stop)),
    status.line,
    bars,
    hidden.view,
  );
  return {name: 'Long memory', view, opened: hidden.opened};
}
