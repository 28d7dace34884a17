/** Learn from your text: training in the worker, paused and gone on with exactly, its loss drawn as it falls. */
import {drawCurves, type Point} from './curve';
import {download, el, field, handOver, number, statusLine} from './dom';
import type {Page} from './main';

/** The end of the text is for validation. */
const HELD_OUT = 0.1;
/** In characters: of less there is nothing to hold out. */
const SHORTEST = 100;

export function learnView(page: Page) {
  const status = statusLine();
  const text = el('textarea', {rows: 7, placeholder: 'Paste some thousand characters here.'});
  text.value = localStorage.getItem('text') ?? '';
  const steps = number('Steps', 300, {min: 1, step: 50});
  const rate = number('Learning rate', 0.005, {min: 0.00001, step: 0.001});
  const batchSize = number('Rows', 8, {min: 1, step: 1});
  const length = number('Tokens in a row', 64, {min: 8, step: 8});
  const hidden = el('input', {type: 'checkbox', checked: true});
  const prompt = el('input', {type: 'text', value: 'The '});
  const curve = el('div', {class: 'curve', role: 'img', 'aria-label': 'Loss over the steps'});
  const samples = el('div', {class: 'samples', 'aria-label': 'What it writes', role: 'log', tabindex: 0});
  let points: {training: Point[]; 'held out': Point[]} = {training: [], 'held out': []};
  let running: AbortController | undefined;
  let ended = Promise.resolve();

  const train = el('button', {class: 'primary', onclick: () => (ended = start())}, 'Train');
  const pause = el('button', {disabled: true, onclick: () => running?.abort()}, 'Pause');
  const anew = el('button', {onclick: () => void forget().catch(status.fail)}, 'Forget the run');
  const save = el('button', {onclick: () => void files()}, 'Download the model');
  document.addEventListener('visibilitychange', () => {
    if (document.hidden && hidden.checked) running?.abort();
  });

  function draw(): void {
    const axes = {x: (step: number) => `step ${step}`, y: (loss: number) => loss.toFixed(2)};
    curve.replaceChildren(drawCurves(points, Math.max(240, curve.clientWidth), axes));
    const last = points.training.at(-1);
    curve.setAttribute('aria-label', last ? `Loss over the steps; the last is ${last.y.toFixed(3)}` : 'No loss yet');
  }

  new ResizeObserver(() => points.training.length > 0 && draw()).observe(curve);

  async function sample(step: number): Promise<void> {
    let all = '';
    const options = {maxNewTokens: 100, temperature: 0.7, seed: step, signal: running?.signal};
    for await (const token of page.model().generate(prompt.value, options)) all += token.text;
    samples.prepend(el('p', {}, el('b', {}, `${step}  `), `${prompt.value}${all}`));
  }

  async function start(): Promise<void> {
    running = new AbortController();
    const end = page.begin(running);
    handOver(train, pause);
    try {
      const model = page.model();
      const all = text.value;
      localStorage.setItem('text', all);
      if (all.length < SHORTEST) throw new Error('Paste a longer text first: some thousand characters.');
      const cut = Math.floor(all.length * (1 - HELD_OUT));
      const total = steps.get();
      status.say('Reading the text …');
      const every = Math.max(1, Math.round(total / 12));
      let result = await model.fit({
        ...{data: all.slice(0, cut), batchSize: batchSize.get(), length: length.get(), seed: 1, steps: total},
        optimizer: {
          ...{weightDecay: 0.1, clipNorm: 1},
          learningRate: {
            peak: rate.get(),
            warmupSteps: Math.min(20, total - 1),
            totalSteps: total,
            floor: rate.get() / 50,
          },
        },
        validation: {data: all.slice(cut), every, batches: 2},
        checkpoint: {name: page.key(), every},
        signal: running.signal,
        callbacks: {
          onStep: ({step, loss, tokensPerSecond}) => {
            points.training.push({x: step, y: loss});
            status.progress(
              `Step ${step} of ${total}, loss ${loss.toFixed(3)}, ${Math.round(tokensPerSecond)} tokens a second.`,
            );
            if (step % 5 === 0 || step === total) draw();
          },
          onValidation: ({step, loss}) => {
            points['held out'].push({x: step, y: loss});
            draw();
            void sample(step).catch(status.fail);
          },
        },
      });
      draw();
      if (result.settled) {
        status.say(`Stopped behind step ${result.step} of ${total}; the step at hand is being finished and kept …`);
        result = await result.settled;
      }
      const ends = {
        steps: 'Done',
        aborted: 'Paused, and kept in this browser: train goes on exactly here',
        data: 'Done',
        patience: 'Done',
      };
      status.say(`${ends[result.ended]}. Step ${result.step} of ${total}.`);
    } catch (error) {
      status.fail(error);
    } finally {
      handOver(pause, train);
      running = undefined;
      end();
    }
  }

  function clear(): void {
    points = {training: [], 'held out': []};
    draw();
    samples.replaceChildren();
    status.say('');
  }

  /** A run that goes on is kept once more as it ends. */
  async function forget(): Promise<void> {
    running?.abort();
    await ended;
    await page.worker().deleteCheckpoint(page.key());
    clear();
    status.say('The run is forgotten; the weights stay as they are until you load the model again.');
  }

  async function files(): Promise<void> {
    try {
      for (const [name, bytes] of Object.entries(await page.model().savePretrained())) download(name, bytes);
      status.say('The files are in the Hugging Face layout: fromPretrained reads them, here and in Node.');
    } catch (error) {
      status.fail(error);
    }
  }

  const view = el(
    'div',
    {class: 'card'},
    field('Your text', text, 'It stays on this device; the last tenth is held out to measure by.'),
    el('div', {class: 'buttons'}, train, pause, save, anew),
    el(
      'details',
      {},
      el('summary', {}, 'How it learns'),
      el(
        'div',
        {class: 'row numbers'},
        steps.field,
        rate.field,
        batchSize.field,
        length.field,
        field('Samples begin with', prompt),
      ),
      el('label', {class: 'check'}, hidden, 'Pause while this tab is hidden'),
    ),
    status.line,
    curve,
    samples,
  );
  return {name: 'Learn from your text', view, opened: clear};
}
