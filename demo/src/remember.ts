/** Long memory: a long text fed piece by piece, with the time of each and the size of what is kept of it, which does not grow.
 * It is kept after each piece, so that a text that was left in the middle is gone on with. */
import type {WorkerHistory, WorkerModel} from 'tfjs-mamba/worker';
import {el, field, handOver, number, statusLine} from './dom';
import {needle} from './needle';
import type {Page} from './main';
import {piecesView} from './pieces';
import {ask} from './thread';

export function rememberView(page: Page) {
  const status = statusLine();
  const hidden = needle(page);
  const file = el('input', {type: 'file', accept: '.txt,text/plain'});
  const piece = number('Tokens at a time', 256, {min: 16, step: 16});
  const pieces = piecesView();
  let running: AbortController | undefined;
  const read = el('button', {class: 'primary', onclick: () => void start()}, 'Read it');
  const stop = el('button', {disabled: true, onclick: () => running?.abort()}, 'Stop');

  async function start(): Promise<void> {
    running = new AbortController();
    const {signal} = running;
    const end = page.begin(running);
    let history: WorkerHistory | undefined;
    pieces.clear();
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
      let isFirst = true;
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
        const count = Math.min(ids.length, at + size);
        pieces.add({count, ...((part.length === size || isFirst) && {each}), memory: await ask('memory')});
        isFirst = false;
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

  const view = el(
    'div',
    {class: 'card'},
    el(
      'p',
      {},
      'The state has the same size however much has been read, and a token takes the same time. Each bar is the time of a piece of the text: they stay level, unless the device is busy with something else. The lines are the memory of all tensors, and what the backend has taken for them; beside these the list of tokens is kept, some bytes for each, to take the text up again.',
    ),
    el('div', {class: 'row'}, field('A long text', file), piece.field, el('div', {class: 'buttons'}, read, stop)),
    status.line,
    pieces.view,
    hidden.view,
  );
  return {name: 'Long memory', view, opened: hidden.opened};
}
