/** Long memory: a long text fed piece by piece, with the time of each and the size of what is kept of it, which does not grow. */
import {el, field, number, statusLine} from './dom';
import type {Page} from './main';

export function rememberView(page: Page) {
  const status = statusLine();
  const file = el('input', {type: 'file', accept: '.txt,text/plain'});
  const piece = number('Tokens at a time', 256, {min: 16, step: 16});
  const bars = el('div', {class: 'bars', role: 'img', 'aria-label': 'Time for each piece'});
  let running: AbortController | undefined;
  const read = el('button', {class: 'primary', onclick: () => void start()}, 'Read it');
  const stop = el('button', {onclick: () => running?.abort()}, 'Stop');

  async function start(): Promise<void> {
    running = new AbortController();
    const {signal} = running;
    const model = page.model();
    bars.replaceChildren();
    const history = await model.stateHistory({depth: 2});
    try {
      const text = await file.files?.[0]?.text();
      if (!text) throw new Error('Choose a text first.');
      const ids = await model.encode(text);
      const times: number[] = [];
      for (let at = 0; at < ids.length && !signal.aborted; at += piece.get()) {
        const begin = performance.now();
        const part = ids.slice(at, at + piece.get());
        for await (const {index} of model.generate(part, {history, maxNewTokens: 1, temperature: 0, signal})) {
          if (index === 0) break;
        }
        await history.rollBack(1); // it was to read, not to write
        times.push(performance.now() - begin);
        const bar = el('i', {title: `${times.at(-1)!.toFixed(0)} ms`});
        bar.style.height = `${Math.min(100, (60 * times.at(-1)!) / times[Math.min(1, times.length - 1)])}%`;
        bars.append(bar);
        const count = Math.min(ids.length, at + piece.get());
        // What a file has besides the state is, almost all, the list of ids.
        const bytes = (await history.save()).length - ids.slice(0, count).join(',').length;
        const each = times.at(-1)! / part.length;
        status.say(
          `${count.toLocaleString('en')} of ${ids.length.toLocaleString('en')} tokens read, ${each.toFixed(2)} ms a token; ` +
            `kept of them: ${(bytes / 1000).toFixed(0)} kB.`,
        );
      }
    } catch (error) {
      status.fail(error);
    } finally {
      await history.dispose();
    }
  }

  const view = el(
    'div',
    {class: 'card'},
    el(
      'p',
      {},
      'A state has the same size however much has been read, and a token takes the same time. Each bar is one piece of the text: they stay level.',
    ),
    el('div', {class: 'row'}, field('A long text', file), piece.field, el('div', {class: 'buttons'}, read, stop)),
    status.line,
    bars,
  );
  return {name: 'Long memory', view, opened: undefined};
}
