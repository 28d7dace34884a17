/**
 * The demo as it is built, in headless Chromium: a model in a real worker, under a policy that allows no eval. Screenshots of each view,
 * wide and narrow, go to .cache/screenshots, to be looked at.
 */
import {mkdirSync, mkdtempSync, readFileSync, rmSync} from 'node:fs';
import type {Server} from 'node:http';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Browser, BrowserContext, Page} from 'playwright-core';
import {root, runAsUser} from '../support/asUser';
import {startChromium} from '../support/chromium';
import {buildDemo, serveDemo, type Asked} from '../support/demoServer';

const text = 'The quick brown fox jumps over the lazy dog, and the lazy dog sleeps in the sun. '.repeat(24);
const screenshots = join(root, '.cache/screenshots');
const axe = readFileSync(join(root, 'node_modules/axe-core/axe.min.js'), 'utf8');

/** Saves a checkpoint of more than one range, and tells what Node writes with it. */
const save = (folder: string) => `
  import * as tf from '@tensorflow/tfjs';
  import '@tensorflow/tfjs-backend-wasm';
  import {byteTokenizer, mambaLM, savePretrained} from 'tfjs-mamba/node';
  await tf.setBackend('wasm');
  const model = mambaLM({vocabSize: 256, dModel: 48, nLayer: 2, dState: 8}, {seed: 4});
  model.tokenizer = byteTokenizer();
  await savePretrained(model, ${JSON.stringify(folder)});
  let written = '';
  for await (const {text} of model.generate('Once upon', {maxNewTokens: 40, seed: 5, temperature: 0.8, topP: 0.95})) written += text;
  console.log(JSON.stringify(written));
`;

describe('the demo', () => {
  let folder: string;
  let written: string;
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  let server: Server;
  let url: string;
  const asked: Asked[] = [];
  const errors: string[] = [];

  const control = (role: 'button' | 'tab' | 'textbox' | 'spinbutton' | 'combobox', name: string) =>
    page.getByRole(role, {name, exact: role !== 'textbox' && role !== 'combobox'});
  const status = (pattern: RegExp) => page.locator('.status:visible', {hasText: pattern}).first().waitFor();

  async function open(backend: string): Promise<void> {
    await page.goto(url);
    await control('combobox', 'Model').selectOption('url');
    await control('textbox', 'Hub id or URL').fill(`${url}small/`);
    await control('combobox', 'Runs on').selectOption(backend);
    await control('button', 'Load').click();
    await status(new RegExp(`on ${backend}\\.`));
    await page.getByText('How it chooses').click();
    await control('textbox', 'The beginning').fill('Once upon');
    await set({Seed: 5});
  }

  async function set(values: Record<string, number>): Promise<void> {
    for (const [name, value] of Object.entries(values)) await control('spinbutton', name).fill(String(value));
  }

  /** Writes on, and gives all of the text. */
  async function write(tokens: number): Promise<string> {
    await set({Tokens: tokens});
    await control('button', 'Write').click();
    await status(new RegExp(`^${tokens} tokens`));
    await page.waitForFunction(() => document.querySelector('button.primary:disabled') === null);
    return (await page.locator('.text').first().textContent())!;
  }

  async function look(name: string): Promise<void> {
    for (const width of [1280, 390]) {
      await page.setViewportSize({width, height: 844});
      await page.screenshot({path: join(screenshots, `${name}-${width}.png`), fullPage: true});
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    }
    const serious = await page.evaluate(async (code) => {
      new Function(code)();
      const {violations} = await (globalThis as unknown as {axe: {run(): Promise<{violations: Array<{id: string; impact: string}>}>}}).axe.run();
      return violations.filter(({impact}) => impact === 'serious' || impact === 'critical').map(({id}) => id);
    }, axe); // prettier-ignore
    expect(serious).withContext(name).toEqual([]);
  }

  beforeAll(async () => {
    mkdirSync(screenshots, {recursive: true});
    folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-demo-'));
    written = runAsUser(save(folder)) as string;
    await buildDemo();
    ({url, server} = await serveDemo(folder, asked));
    browser = await startChromium();
    context = await browser.newContext();
    page = await context.newPage();
    page.setDefaultTimeout(60_000);
    page.on('pageerror', ({message}) => errors.push(message));
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  });
  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(folder, {recursive: true, force: true});
  });

  afterEach(() => expect(errors.splice(0)).withContext('errors of the page').toEqual([]));

  it('asks for nothing that was not asked for, loads by ranges, and writes what Node writes', async () => {
    asked.splice(0);
    await page.goto(url);
    expect(asked.filter(({path}) => path.startsWith('/small/'))).toEqual([]);
    await open('wasm');
    expect(asked.some(({path, range}) => path === '/small/model.safetensors' && range)).toBeTrue();
    expect(await write(40)).toBe(`Once upon${written}`);
    await control('button', 'Undo a token').click();
    await status(/^Took one token back/);
    await set({Tokens: 5000});
    await control('button', 'Write').click();
    await control('button', 'Stop').click();
    await page.waitForFunction(() => document.querySelector('button.primary:disabled') === null);
    expect((await page.locator('.text span').count()) < 4000).toBeTrue();
    await look('write');
  });

  it('keeps the place of who goes by keyboard, and reads out what happens, but not every token', async () => {
    const {keyboard} = page;
    // A tab may have the same name.
    const focused = (name: string) => page.locator('button:not([role]):focus', {hasText: new RegExp(`^${name}$`)});
    const tabTo = async (name: string) => {
      for (let i = 0; i < 30 && (await focused(name).count()) === 0; i++) await keyboard.press('Tab');
    };
    const press = async (name: string, pattern: RegExp, next = name) => {
      await tabTo(name);
      await keyboard.press('Enter');
      await status(pattern);
      await focused(next).waitFor();
    };
    await open('wasm');
    await page.evaluate(() => {
      const told: string[] = [];
      for (const line of document.querySelectorAll('[role=status]')) {
        new MutationObserver(() => {
          if (line.getAttribute('aria-live') !== 'off') told.push(line.textContent);
        }).observe(line, {childList: true});
      }
      Object.assign(globalThis, {told});
    });
    // On a phone too the fields come before the button that takes them, as they do in this order.
    await control('textbox', 'Hub id or URL').focus();
    await keyboard.press('Tab');
    await focused('Load').waitFor();
    await press('Load', /on wasm\./);
    await set({Tokens: 30});
    await press('Write', /^30 tokens written/);
    const told = await page.evaluate(() => (globalThis as unknown as {told: string[]}).told);
    expect(told.filter((text) => /^\d+ tokens/.test(text)).length).toBeLessThan(5);
    expect(told.at(-1)).toMatch(/^30 tokens written/);
    await page.getByRole('group', {name: 'Text'}).focus();
    await keyboard.press('Backspace');
    await status(/^Took one token back/);
    await set({Tokens: 5000});
    await press('Write', /^\d+ tokens, /, 'Stop');
    await press('Stop', /^\d+ tokens written/, 'Write');
    await control('tab', 'What it selects').click();
    await press('Show', /tokens\. Most is written at/);
    await page.locator('[role=option]').first().focus();
    await keyboard.press('Enter');
    await status(/^Before/);
    await control('button', 'Back to Δ').focus();
    await keyboard.press('Enter');
    await page.locator('[role=option]:focus').waitFor();
  });

  it('bears with a visitor who clicks twice, changes things while it writes, and fills in nonsense', async () => {
    const panes = page.locator('.pages .text');
    await open('wasm');
    await set({Tokens: 30});
    await control('button', 'Write').dblclick();
    await status(/^30 tokens/);
    await set({Tokens: 5000});
    await control('button', 'Write').click();
    await control('button', 'Branch').click();
    await status(/^Two copies/);
    expect(await panes.count()).toBe(2);
    // A byte that is part of a character shows nothing to click on.
    await panes.nth(1).locator('span').nth(20).dispatchEvent('click');
    await status(/^Took/);
    expect(await panes.nth(1).locator('span').count()).toBe(20);
    await control('button', 'Write').click();
    await control('button', 'Begin anew').click();
    await panes.first().waitFor({state: 'detached'});
    await control('spinbutton', 'Temperature').fill('');
    await control('button', 'Write').click();
    await status(/^Temperature: a number of at least 0/);
    await set({Temperature: 0.8, Seed: 5});
    expect(await write(40)).toBe(`Once upon${written}`);
    await set({Tokens: 5000});
    await control('button', 'Write').click();
    await control('combobox', 'Runs on').selectOption('cpu');
    await control('button', 'Load').click();
    await status(/on cpu\./);
    await panes.first().waitFor({state: 'detached'});
    expect(await write(3)).toMatch(/^Once upon/);
  });

  it('is there without a network the second time, model and all', async () => {
    await open('wasm');
    await context.setOffline(true);
    asked.splice(0);
    await open('wasm');
    expect(await write(40)).toBe(`Once upon${written}`);
    // The browser itself looks whether the service worker is still the same.
    expect(asked.filter(({path}) => path !== '/sw.js')).toEqual([]);
    await context.setOffline(false);
    // What the network says of itself.
    expect(errors.splice(0).filter((error) => !error.includes('ERR_INTERNET_DISCONNECTED'))).toEqual([]);
  });

  it('keeps a memory, which goes on after a reload as if nothing had been between', async () => {
    await open('wasm');
    await write(20);
    await page.getByText('Keep this memory').click();
    await control('button', 'Keep').click();
    await status(/^Kept as/);
    await set({Seed: 9});
    const undisturbed = await write(20);
    await open('wasm');
    await page.getByText('Keep this memory').click();
    await control('combobox', 'Kept').selectOption('indexeddb://my story');
    await control('button', 'Go on with it').click();
    await status(/^Nothing was read again/);
    await set({Seed: 9});
    expect(await write(20)).toBe(undisturbed);
  });

  it('learns, and after a pause and a reload goes on bit for bit', async () => {
    const learn = async () => {
      await control('tab', 'Learn from your text').click();
      await control('textbox', 'Your text').fill(text);
      await page.getByText('How it learns').click();
      await set({Steps: 30, Rows: 4, 'Tokens in a row': 32});
    };
    /** The loss of each step that the curve has been told of. */
    const losses = async (pattern: RegExp) => {
      await control('button', 'Train').click();
      await status(pattern);
      return page.locator('#view-1 .curve').getAttribute('aria-label');
    };
    await open('wasm');
    await learn();
    const undisturbed = await losses(/^Done\. Step 30 of 30/);
    const [, loss] = /the last is (\d\.\d+)/.exec(undisturbed!)!;
    expect(Number(loss)).toBeLessThan(5);
    await look('learn');
    const files = async () => {
      const begun = page.waitForEvent('download', (file) => file.suggestedFilename() === 'model.safetensors');
      await control('button', 'Download the model').click();
      return readFileSync(await (await begun).path());
    };
    const wanted = await files();
    await control('button', 'Forget the run').click();
    await status(/^The run is forgotten/);
    await open('wasm');
    await learn();
    // In the page, since a click from here might come too late.
    await page.evaluate(() => {
      const line = document.querySelectorAll('.status')[2];
      const pause = [...document.querySelectorAll('button')].find(({textContent}) => textContent === 'Pause')!;
      let isPaused = false;
      new MutationObserver(() => {
        const step = Number(/^Step (\d+) of 30/.exec(line.textContent)?.[1]);
        if (step >= 5 && !isPaused) {
          isPaused = true;
          pause.click();
        }
        const isHidden = step >= 15;
        if (isHidden === document.hidden) return;
        Object.defineProperty(document, 'hidden', {value: isHidden, configurable: true});
        document.dispatchEvent(new Event('visibilitychange'));
      }).observe(line, {childList: true});
    });
    await control('button', 'Train').click();
    await status(/^Paused/);
    // Hidden, it pauses by itself.
    await control('button', 'Train').click();
    await status(/^Paused.*Step (1[5-9]|2\d)/);
    await open('wasm');
    await learn();
    expect(await losses(/^Done\. Step 30 of 30/)).toBe(undisturbed);
    expect(wanted.equals(await files())).toBeTrue();
  });

  it('reads what is long in pieces, and measures', async () => {
    await open('wasm');
    await control('tab', 'Long memory').click();
    await page
      .getByLabel('A long text')
      .setInputFiles({name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from(text)});
    await control('button', 'Read it').click();
    await status(/^1,944 of 1,944 tokens read/);
    await page.getByText('The figures').click();
    const told = await page.getByRole('img', {name: /^Memory/}).getAttribute('aria-label');
    const [, first, last] = /tensors (\d\S+) MB at first and (\d\S+) MB now, heap of wasm \d/.exec(told!)!;
    expect(Number(first)).toBeGreaterThan(0);
    expect(last).toBe(first);
    // Eight pieces, with the memory of each.
    expect(await page.locator('#view-2 tbody tr').count()).toBe(8);
    expect(await page.locator('#view-2 tbody td:nth-child(3)').allTextContents()).toEqual(Array(8).fill(first));
    await look('long-memory');
    // The same text under another name, left in the middle. In the page, since a click from here might come too late.
    await page
      .getByLabel('A long text')
      .setInputFiles({name: 'b.txt', mimeType: 'text/plain', buffer: Buffer.from(text)});
    await page.evaluate(() => {
      const panel = document.querySelector('#view-2')!;
      const stop = [...panel.querySelectorAll('button')].find(({textContent}) => textContent === 'Stop')!;
      new MutationObserver((_, observer) => {
        if (!/^(512|768) of/.test(panel.querySelector('.status')!.textContent)) return;
        observer.disconnect();
        stop.click();
      }).observe(panel.querySelector('.status')!, {childList: true});
    });
    await control('button', 'Read it').click();
    await page.waitForFunction(() => document.querySelector('button.primary:disabled') === null);
    await status(/^(512|768) of/);
    await control('button', 'Read it').click();
    await status(/^1,944 of 1,944 .* went on at (512|768)/);
    await open('wasm');
    await page.getByText('Keep this memory').click();
    const goneOn: string[] = [];
    for (const name of ['a.txt', 'b.txt']) {
      await control('combobox', 'Kept').selectOption(`indexeddb://long memory of ${name}`);
      await control('button', 'Go on with it').click();
      await status(/^Nothing was read again/);
      await set({Seed: 9});
      goneOn.push((await write(20)).slice(text.length));
    }
    expect(goneOn[0].length).toBeGreaterThan(0);
    expect(goneOn[1]).toBe(goneOn[0]);
    await control('tab', 'Benchmark').click();
    await control('button', 'Measure').click();
    await status(/^Done\./);
    const rows = page.locator('#view-4 tbody tr');
    expect((await rows.allTextContents()).map((row) => /^[A-Z]\w+( \w+)?/.exec(row)![0])).toEqual(
      ['Scan alone', 'The same', 'Reading 512', 'Writing 64', 'Training a'],
    ); // prettier-ignore
    for (const figure of await rows.locator('td').allTextContents()) expect(figure).toMatch(/^[\d,]*[1-9][\d,.]*$/);
    await page.emulateMedia({colorScheme: 'dark'});
    await look('benchmark');
    await page.emulateMedia({colorScheme: 'light'});
  });

  it('finds a needle with the model that has learned to, and says of another that it does not', async () => {
    const hide = async (pattern: RegExp) => {
      await control('tab', 'Long memory').click();
      await set({'Tokens between': 300});
      await control('button', 'Hide and ask').click();
      await status(pattern);
    };
    await page.goto(url);
    await control('combobox', 'Model').selectOption('induction-heads');
    await control('combobox', 'Runs on').selectOption('wasm');
    await control('button', 'Load').click();
    await status(/on wasm\./);
    await hide(/^After 300 tokens the true answer has a probability of (9\d|100).*It remembers\.$/);
    await look('needle');
    await open('wasm');
    await hide(/It does not remember\.$/);
  });

  it('shows what it selects, and what the state at a token keeps, by mouse and by keyboard', async () => {
    await open('wasm');
    await control('tab', 'What it selects').click();
    await control('textbox', 'A text').fill('Once upon\na time');
    await control('button', 'Show').click();
    await status(/^16 tokens\. Most is written at/);
    await control('combobox', 'Layer').selectOption('Layer 2');
    const tokens = page.getByRole('option', {name: /: /});
    expect(await tokens.allTextContents()).toEqual([...'Once upon', '↵\n', ...'a time']);
    expect(await tokens.first().getAttribute('aria-label')).toMatch(/^“O”: Δ 0\.\d+$/);
    const kept = (t: number) => tokens.nth(t).getAttribute('aria-label');
    await tokens.nth(4).click();
    await status(/^At “ ” the state keeps/);
    expect([await kept(4), await kept(5)]).toEqual(['“ ”: 100 % kept', '“u”: comes later']);
    await page.keyboard.press('ArrowRight');
    await page.keyboard.press('Enter');
    await status(/^At “u” the state keeps/);
    // The further back, the less is left.
    const shares = await Promise.all(
      [0, 2, 4, 5].map(async (t) => Number(/: ([\d.]+) % kept/.exec((await kept(t))!)![1])),
    );
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares[0]).toBeLessThan(shares[3]);
    await page.emulateMedia({colorScheme: 'dark'});
    await look('selects-dark');
    await page.emulateMedia({colorScheme: 'light'});
    await page.keyboard.press('Escape');
    await status(/^16 tokens/);
    await look('selects');
  });

  for (const backend of ['webgl', 'webgpu']) {
    it(`writes on ${backend} what Node writes`, async () => {
      await open(backend);
      const text = await write(8);
      expect(`Once upon${written}`.startsWith(text)).toBeTrue();
      expect(text.length).toBeGreaterThan('Once upon'.length);
    });
  }
});
