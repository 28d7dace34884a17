/**
 * `npm run demo:picture`: draws the README's picture of the demo page. Headless Chromium opens the demo as it is built, a new model learns the
 * beginning of Shakespeare in it, and what it then selects of a text is photographed.
 */
import {readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {root} from '../test/support/asUser';
import {startChromium} from '../test/support/chromium';
import {buildDemo, serveDemo} from '../test/support/demoServer';

const learning = {characters: 20_000, steps: '300'};
/** Milliseconds that it may take to learn. */
const PATIENCE = 20 * 60_000;

const text = readFileSync(join(root, 'models/data/tinyshakespeare.txt'), 'utf8').slice(0, learning.characters);
await buildDemo();
const {url, server} = await serveDemo(root, []);
const browser = await startChromium();
try {
  const context = await browser.newContext({viewport: {width: 1000, height: 900}});
  const page = await context.newPage();
  const button = (name: string) => page.getByRole('button', {name, exact: true});
  const told = (what: RegExp) => page.locator('.status:visible', {hasText: what}).first().waitFor({timeout: PATIENCE});
  await page.goto(url);
  await page.getByRole('combobox', {name: 'Model'}).selectOption('new');
  await page.getByRole('combobox', {name: 'Runs on'}).selectOption('wasm');
  await button('Load').click();
  await told(/^Ready/);
  await page.getByRole('tab', {name: 'Learn from your text'}).click();
  await page.getByRole('textbox', {name: 'Your text'}).fill(text);
  await page.getByText('How it learns').click();
  await page.getByRole('spinbutton', {name: 'Steps'}).fill(learning.steps);
  await button('Train').click();
  await told(/^Done/);
  await page.getByRole('tab', {name: 'What it selects'}).click();
  await button('Show').click();
  await told(/tokens\. Most is written at/);
  await page.mouse.move(0, 0);
  const picture = await page.screenshot({fullPage: true});
  writeFileSync(join(root, 'guides/images/demo.webp'), await asWebP(picture));
} finally {
  await browser.close();
  server.close();
}

/** A PNG as a WebP, which is a fifth of its size; the browser knows how. */
async function asWebP(png: Buffer): Promise<Buffer> {
  const page = await browser.newPage();
  const address = await page.evaluate(
    async (source) => {
      const image = new Image();
      image.src = source;
      await image.decode();
      const canvas = document.createElement('canvas');
      [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
      canvas.getContext('2d')!.drawImage(image, 0, 0);
      return canvas.toDataURL('image/webp', 0.85);
    },
    `data:image/png;base64,${png.toString('base64')}`,
  );
  return Buffer.from(address.slice(address.indexOf(',') + 1), 'base64');
}
