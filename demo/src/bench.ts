/** Benchmark: what this device does with the loaded model, as a table to copy. */
import {disable, el, statusLine} from './dom';
import {fresh} from './fresh';
import type {Page} from './main';

export function benchView(page: Page) {
  const status = statusLine();
  const rows = el('tbody');
  const table = el(
    'table',
    {hidden: true},
    el('thead', {}, el('tr', {}, el('th', {}, 'What'), el('th', {}, 'Tokens a second'))),
    rows,
  );
  let stop = new AbortController();
  const run = el('button', {class: 'primary', onclick: () => void start()}, 'Measure');
  const copy = el('button', {disabled: true, onclick: () => void copyTable().catch(status.fail)}, 'Copy');

  async function copyTable(): Promise<void> {
    await navigator.clipboard.writeText(asText());
    status.say('Copied.');
  }

  function asText(): string {
    return [...table.querySelectorAll('tr')]
      .map(({cells}) => [...cells].map((cell) => cell.textContent).join('\t'))
      .join('\n');
  }

  /** The best of three: the first one compiles. */
  async function measure(what: string, tokens: number, work: () => Promise<unknown>): Promise<void> {
    status.say(`Measuring: ${what} …`);
    let best = Infinity;
    for (let i = 0; i < 3; i++) {
      const begin = performance.now();
      await work();
      best = Math.min(best, performance.now() - begin);
    }
    rows.append(
      el('tr', {}, el('td', {}, what), el('td', {}, Math.round((1000 * tokens) / best).toLocaleString('en'))),
    );
    table.hidden = false;
  }

  /** Of a model of its own, so that yours stays as it is. */
  async function measureTraining(): Promise<void> {
    const model = await page.worker().mambaLM(fresh, {seed: 1});
    const [rows, length, steps] = [8, 64, 4];
    const data = Array.from({length: 2048}, (_, i) => (i * 37) % fresh.vocabSize);
    const options = {data, batchSize: rows, length, seed: 1, optimizer: {learningRate: 0.001}, steps};
    const {signal} = stop;
    const size = model.parameters.toLocaleString('en');
    try {
      await measure(`Training a small model (${size} parameters)`, rows * length * steps, () =>
        model.fit({...options, signal}),
      );
    } finally {
      await model.dispose();
    }
  }

  async function start(): Promise<void> {
    rows.replaceChildren();
    copy.disabled = true;
    const enable = disable(run);
    stop = new AbortController();
    const end = page.begin(stop);
    const {signal} = stop;
    try {
      const model = page.model();
      const ids = Array.from({length: 512}, (_, i) => (i * 37) % Math.min(256, model.config.vocabSize));
      const write = async (prompt: number[], maxNewTokens: number) => {
        for await (const {index} of model.generate(prompt, {maxNewTokens, temperature: 0, stopTokens: [], signal}))
          if (index < 0) break;
      };
      await measure('Reading 512 tokens', 512, () => write(ids, 1));
      await measure('Writing 64 tokens', 64, () => write([1], 64));
      await measureTraining();
      status.say('Done.');
    } catch (error) {
      status.say('Stopped, as another model is loaded.');
      status.fail(error);
    } finally {
      end();
      enable();
      copy.disabled = rows.childElementCount === 0;
    }
  }

  const view = el(
    'div',
    {class: 'card'},
    el(
      'p',
      {},
      'What this device does with the model above, and how fast a small one of its own learns; the best of three runs of each.',
    ),
    el('div', {class: 'buttons'}, run, copy),
    status.line,
    table,
  );
  return {name: 'Benchmark', view, opened: undefined};
}
