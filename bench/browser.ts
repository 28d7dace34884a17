/**
 * `bench -- browser`: a model in a worker of a page in headless Chromium beside the same in Node, on the same backend (webgpu through Dawn): a
 * training step of the same text; and what a visitor feels: how soon an abort ends the work, and the tasks of the page's own thread that
 * lasted longer than 50 ms meanwhile.
 */
import * as tf from '@tensorflow/tfjs';
import type {Page} from 'playwright-core';
import {mambaLM} from '../src';
import {fit} from '../src/worker/fitting';
import {softwareGpu, type MaybeGpuBackend} from '../src/backends/softwareGpu';
import type {TestBackend} from '../test/support/backend';
import {startChromium} from '../test/support/chromium';
import {serveWorkerPage} from '../test/support/workerPage';
import {config, printDispatches, readTokens, recipe} from './epochs';
import {median, printTable} from './timing';

/** Rounds, steps of each, of which the first is not counted, and aborts; fewer where a step takes seconds, as software does a GPU's work. */
const MANY = {rounds: 3, steps: 5, aborts: 5};
const FEW = {rounds: 2, steps: 3, aborts: 2};
/** What a task may last without being felt. */
const LONG = 50;

type Times = number[];

/** From the end of the first step on, in ms a step. */
const perStep = (ends: Times) => (ends.at(-1)! - ends[0]) / (ends.length - 1);

/** Trains here. */
async function stepsHere(data: number[], steps: number): Promise<number> {
  const model = mambaLM(config, {seed: 1});
  const ends: Times = [];
  const emit = (event: string) => event === 'step' && ends.push(performance.now());
  await fit(model, {...recipe, data, steps}, new AbortController().signal, emit);
  model.dispose();
  return perStep(ends);
}

/** Trains there. */
async function stepsThere(page: Page, data: number[], steps: number): Promise<number> {
  const ends = await page.evaluate(
    async ([config, options]) => {
      const model = await models.mambaLM(config, {seed: 1});
      const ends: number[] = [];
      await model.fit({...options, callbacks: {onStep: () => void ends.push(performance.now())}});
      await model.dispose();
      return ends;
    },
    [config, {...recipe, data, steps}] as const,
  );
  return perStep(ends);
}

/** From an abort to the end of what it ends, in ms, and the longest task of the page's thread over all of that. */
async function feel(
  page: Page,
  data: number[],
  aborts: number,
): Promise<Record<'writing' | 'training' | 'settled', Times> & {longest: number}> {
  return page.evaluate(
    async ([config, options, count]) => {
      const tasks: number[] = [];
      new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({duration}) => duration))).observe({
        type: 'longtask',
      });
      const model = await models.mambaLM(config, {seed: 1});
      const once = async (work: (signal: AbortSignal, going: () => void) => Promise<unknown>) => {
        const stop = new AbortController();
        let begin = 0;
        const going = () => {
          if (begin > 0) return;
          begin = performance.now();
          stop.abort();
        };
        await work(stop.signal, going).catch((error: Error) => {
          if (error.name !== 'AbortError') throw error;
        });
        return performance.now() - begin;
      };
      const write = async (signal: AbortSignal, going: () => void) => {
        for await (const {index} of model.generate([1], {maxNewTokens: 1e6, stopTokens: [], signal}))
          if (index === 8) going();
      };
      let rest: Promise<unknown> | undefined;
      const train = async (signal: AbortSignal, going: () => void) => {
        const callbacks = {onStep: ({step}: {step: number}) => void (step === 2 && going())};
        rest = (await model.fit({...options, steps: 1000, signal, callbacks})).settled;
      };
      const [writing, training, settled]: number[][] = [[], [], []];
      for (let i = 0; i < count; i++) writing.push(await once(write));
      for (let i = 0; i < count; i++) {
        const ended = await once(train);
        const begin = performance.now();
        await rest;
        training.push(ended);
        settled.push(ended + performance.now() - begin);
      }
      await new Promise((resolve) => setTimeout(resolve, 100)); // the observer is told later
      return {writing, training, settled, longest: Math.max(0, ...tasks)};
    },
    [config, {...recipe, data}, aborts] as const,
  );
}

/** @param inNode Whether Node has the backend as well, and has started it. */
export async function benchBrowser(backend: TestBackend, inNode: boolean): Promise<void> {
  const isSoftware = inNode ? softwareGpu(tf.backend() as MaybeGpuBackend) !== undefined : backend === 'webgl';
  const {rounds, steps, aborts} = isSoftware ? FEW : MANY;
  const data = await readTokens();
  const {batchSize, length} = recipe;
  console.log(`training ${batchSize} × ${length} tokens a step, on ${backend}, busy or quiet as the machine is`);
  if (inNode) await printDispatches(data);
  const server = await serveWorkerPage((_, response) => response.writeHead(404).end());
  const browser = await startChromium();
  try {
    const page = await browser.newPage();
    await page.goto(server.url);
    await page.evaluate(async (name) => void (await connect().backend(name)), backend);
    const [here, there]: Times[] = [[], []];
    for (let round = 0; round < rounds; round++) {
      if (inNode) here.push(await stepsHere(data, steps));
      there.push(await stepsThere(page, data, steps));
    }
    const rows = [
      ['ms a step', 'best', 'median'],
      ['in the page', Math.min(...there), median(there)],
    ];
    if (inNode) {
      const ratios = there.map((ms, i) => ms / here[i]);
      rows.push(['in Node', Math.min(...here), median(here)]);
      rows.push(['page ÷ Node', Math.min(...there) / Math.min(...here), median(ratios)]);
    }
    printTable(rows);
    const {writing, training, settled, longest} = await feel(page, data, aborts);
    printTable([
      ['ms from an abort to the end', 'median', 'longest'],
      ['writing', median(writing), Math.max(...writing)],
      ['training', median(training), Math.max(...training)],
      ['… in the worker', median(settled), Math.max(...settled)],
    ]);
    console.log(
      longest === 0
        ? `no task of the page's thread lasted ${LONG} ms`
        : `the longest task of the page's thread lasted ${longest.toFixed(0)} ms`,
    );
  } finally {
    await browser.close();
    server.close();
  }
}
