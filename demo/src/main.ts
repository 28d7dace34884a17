/** The page: choose a model and what it runs on, then one view at a time. */
import {droppedFiles, type ModelWorker, type WorkerModel} from 'tfjs-mamba/worker';
import {el, field, handOver, statusLine} from './dom';
import {benchView} from './bench';
import {fresh} from './fresh';
import {learnView} from './learn';
import {rememberView} from './remember';
import {selectView} from './select';
import {models} from './thread';
import {writeView} from './write';

declare const MODELS: string[];

export interface Page {
  worker(): ModelWorker;
  model(): WorkerModel;
  key(): string;
  /** What the model is, and what it runs on. */
  about(): string;
  /** Tells of work with the model, and gives what tells of its end: before another model is loaded, it is stopped and waited for. */
  begin(stop: AbortController): () => void;
}

/** Where pages may have it, the page's own files are kept for when there is no network; nothing depends on it. */
const offline = 'serviceWorker' in navigator ? keepFiles().catch(() => undefined) : undefined;

async function keepFiles(): Promise<void> {
  const {serviceWorker} = navigator;
  const control = new Promise((resolve) => serviceWorker.addEventListener('controllerchange', resolve, {once: true}));
  await serviceWorker.register(new URL('sw.js', document.baseURI));
  if (!serviceWorker.controller) await control;
  const own = performance.getEntriesByType('resource').map(({name}) => name);
  await Promise.all([location.href, ...own.filter((url) => url.startsWith('http'))].map((url) => fetch(url)));
}

const status = statusLine();
let model: WorkerModel | undefined;
let key = 'new';
let about = '';
/** What is at work, and its end. */
const works = new Map<AbortController, Promise<void>>();
const page: Page = {
  worker: models,
  model() {
    if (!model) throw new Error('First load a model, above.');
    return model;
  },
  key: () => key,
  about: () => about,
  begin(stop) {
    let end = () => {};
    works.set(stop, new Promise((resolve) => (end = resolve)));
    return () => {
      works.delete(stop);
      end();
    };
  },
};

const source = el(
  'select',
  {onchange: () => show()},
  ...MODELS.map((name) => el('option', {value: `models/${name}/`}, name)),
  el('option', {value: 'new'}, 'New small model, untrained'),
  el('option', {value: 'url'}, 'From the Hub or a URL'),
  el('option', {value: 'files'}, 'Files on this device'),
);
const address = el('input', {type: 'text', spellcheck: false, placeholder: 'owner/name or https://…'});
const files = el('input', {type: 'file', multiple: true});
const folder = el('input', {type: 'file', webkitdirectory: true});
const addressField = field('Hub id or URL', address, 'Downloaded once, then kept in this browser.');
const filesField = field(
  'config.json, model.safetensors, tokenizer.json',
  files,
  'Or drop them, or their folder, on the page.',
);
const folderField = field('Or their folder', folder);
const backend = el(
  'select',
  {},
  ...['best one', 'webgpu', 'webgl', 'wasm', 'cpu'].map((name) => el('option', {value: name}, name)),
);
const load = el('button', {class: 'primary', onclick: () => void open()}, 'Load');
const stop = el('button', {hidden: true}, 'Cancel');

for (const wide of [addressField, filesField, folderField]) wide.classList.add('wide');

function show(): void {
  addressField.hidden = source.value !== 'url';
  filesField.hidden = folderField.hidden = source.value !== 'files';
}

function chosen(dropped?: File[]): {from: string | File[]; name: string} {
  if (dropped) return {from: dropped, name: dropped[0].name};
  if (source.value === 'files') return {from: [...(files.files ?? []), ...(folder.files ?? [])], name: 'files'};
  const from = source.value === 'url' ? address.value.trim() : new URL(source.value, document.baseURI).href;
  return {from, name: from};
}

async function open(dropped?: File[]): Promise<void> {
  const abort = new AbortController();
  const others = [...works];
  const end = page.begin(abort);
  let note = '';
  stop.onclick = () => abort.abort();
  stop.hidden = false;
  handOver(load, stop);
  try {
    for (const [other] of others) other.abort();
    await Promise.all(others.map(([, ended]) => ended));
    stop.hidden = false;
    handOver(load, stop);
    abort.signal.throwIfAborted();
    const wanted = backend.value === 'best one' ? undefined : backend.value;
    await model?.dispose();
    model = undefined;
    status.say('Starting the backend …');
    await Promise.race([offline, new Promise((resolve) => setTimeout(resolve, 3000))]);
    const worker = models();
    const choice = await worker.backend(wanted);
    if (source.value === 'new' && !dropped) {
      model = await worker.mambaLM(fresh, {seed: 1, tokenizer: {type: 'byte'}});
      key = 'new';
    } else {
      const {from, name} = chosen(dropped);
      status.say('Looking for the model …');
      const onProgress = ({loadedBytes, totalBytes}: {loadedBytes: number; totalBytes: number}) =>
        status.progress(`${Math.floor((100 * loadedBytes) / totalBytes)} % of ${(totalBytes / 1e6).toFixed(1)} MB`);
      const cache = typeof from === 'string' && 'caches' in self;
      const onUncached = (why: string) => (note = ` ${why[0].toUpperCase()}${why.slice(1)}.`);
      model = await worker.fromPretrained(from, {cache, signal: abort.signal, onProgress, onUncached});
      key = name;
    }
    const size = model.parameters.toLocaleString('en');
    about = `${model.config.mixer === 'mamba2' ? 'Mamba-2' : 'Mamba'}, ${size} parameters, on ${choice.backend}`;
    status.say(`Ready: ${about}.${note}`);
    status.line.title = choice.reason;
    for (const {opened} of views) opened?.();
  } catch (error) {
    status.say('Cancelled.');
    status.fail(error);
  } finally {
    handOver(stop, load);
    stop.hidden = true;
    end();
  }
}

/** Tabs as the ARIA practices have them: arrows move, only the chosen one is in the tab order. */
const views = [writeView(page), learnView(page), rememberView(page), selectView(page), benchView(page)];
const tabs = views.map(({name}, i) =>
  el(
    'button',
    {
      role: 'tab',
      id: `tab-${i}`,
      'aria-controls': `view-${i}`,
      onclick: () => choose(i),
      onkeydown: (e: KeyboardEvent) => move(e, i),
    },
    name,
  ),
);
const panels = views.map(({view}, i) =>
  el('section', {role: 'tabpanel', id: `view-${i}`, 'aria-labelledby': `tab-${i}`, tabindex: 0}, view),
);

function choose(at: number): void {
  tabs.forEach((tab, i) => {
    tab.setAttribute('aria-selected', String(i === at));
    tab.tabIndex = i === at ? 0 : -1;
    panels[i].hidden = i !== at;
  });
}

function move({key}: KeyboardEvent, at: number): void {
  const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1}[key];
  if (to === undefined) return;
  const next = (to + tabs.length) % tabs.length;
  choose(next);
  tabs[next].focus();
}

document
  .querySelector('#app')!
  .append(
    el(
      'section',
      {class: 'card', 'aria-label': 'Model'},
      el(
        'div',
        {class: 'choice'},
        ...[field('Model', source), field('Runs on', backend), addressField, filesField, folderField],
        el('div', {class: 'buttons'}, load, stop),
      ),
      status.line,
    ),
    el('div', {role: 'tablist', 'aria-label': 'What to do'}, ...tabs),
    ...panels,
  );
show();
choose(0);
status.say('Nothing is loaded until you ask for it.');

// Held down, Enter would press the button that the pressed one hands its focus to.
document.addEventListener('keydown', (event) => {
  if (event.repeat && event.key === 'Enter' && event.target instanceof HTMLButtonElement) event.preventDefault();
});
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  if (!event.dataTransfer) return;
  void droppedFiles(event.dataTransfer).then(
    (dropped) => (dropped.length > 0 ? open(dropped) : undefined),
    status.fail,
  );
});
