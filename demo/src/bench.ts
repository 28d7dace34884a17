/** Benchmark: what this device does with the loaded model, as a table to copy. */
import {disable, el, statusLine} from './dom';
import {fresh} from './fresh';
import type {Page} from './main';
import {ask} from './thread';

export function benchView(page: Page) {
  const status = statusLine();
  const rows = el('tbody');
  const about = el('caption');
  const heads = ['What', 'ms', 'Tokens a second'].map((text) => el('th', {scope: 'col'}, text));
  const table = el('table', {hidden: true}, about, el('thead', {}, el('tr', {}, ...heads)), rows);
  let stop = new AbortController();
  const run = el('button', {class: 'primary', onclick: () => void start()}, 'Measure');
  const copy = el('button', {disabled: true, onclick: () => void copyTable().catch(status.fail)}, 'Copy');

  async function copyTable(): Promise<void> {
    await navigator.clipboard.writeText(asText());
    status.say('Copied.');
  }

  function asText(): string {
    const lines = [...table.rows].map(({cells}) => [...cells].map((cell) => cell.textContent).join('\t'));
    return [about.textContent, ...lines].join('\n');
  }

  function show(what: string, ms: number, tokens: number): void {
    const figures = [ms, (1000 * tokens) / ms].map((figure) =>
      figure.toLocaleString('en', figure < 100 ? {maximumSignificantDigits: 3} : {maximumFractionDigits: 0}),
    );
    rows.append(el('tr', {}, el('th', {scope: 'row'}, what), ...figures.map((figure) => el('td', {}, figure))));
    table.hidden = false;
  }

  /** The op alone, in the worker. */
  async function measureScan(): Promise<void> {
    status.say('Measuring: a scan …');
    const {length, channels, states, forward, withGradient} = await ask('scan');
    const what = `Scan alone, ${length} tokens × ${channels.toLocaleString('en')} channels × ${states} states`;
    show(what, forward, length);
    show('The same scan, forward and backward', withGradient, length);
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
    show(what, best, tokens);
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
      await measure(`Training a small model (${size} parameters), ${steps} steps`, rows * length * steps, () =>
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
      about.textContent = page.about();
      await measureScan();
      signal.throwIfAborted();
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
      'What this device does: the scan at the heart of a Mamba, at the size of a block of mamba-130m; the model above; and how fast a small one of its own learns. The best of three takes of each.',
    ),
    el('div', {class: 'buttons'}, run, copy),
    status.line,
    table,
  );
  return {name: 'Benchmark', view, opened: undefined};
}
