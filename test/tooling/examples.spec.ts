/** Each of the examples, run as it stands on what is built; what it prints, or shows, is as good as it should be. */
import {execFile} from 'node:child_process';
import {cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {extname, join} from 'node:path';
import {promisify} from 'node:util';
import {build} from 'vite';
import type {Browser} from 'playwright-core';
import {root} from '../support/asUser';
import {startChromium} from '../support/chromium';

const run = promisify(execFile);
const require = createRequire(import.meta.url);
const types: Record<string, string> = {'.html': 'text/html', '.js': 'text/javascript'};

/** The number that each program prints, and the bound it is to keep, by far. */
const programs: Array<[file: string, number: RegExp, holds: (value: number) => boolean]> = [
  ['node.js', /^loss (\d\.\d+)$/m, (loss) => loss < 1],
  ['series-classification.js', /^accuracy (\d\.\d+) on curves/m, (accuracy) => accuracy > 0.8],
  ['text-classifier.js', /^food 0\.[0-2]\d, weather (\d\.\d+)$/m, (weather) => weather > 0.7],
  ['streaming-forecast.js', /^error (\d\.\d+) times/m, (error) => error < 0.5],
];

describe('the example', () => {
  let browser: Browser;
  let folder: string;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-examples-'));
    browser = await startChromium();
  });
  afterAll(async () => {
    await browser.close();
    rmSync(folder, {recursive: true});
  });

  for (const [file, number, holds] of programs) {
    it(`${file} does what it says`, async () => {
      const {stdout} = await run(process.execPath, [join(root, 'examples', file)], {cwd: folder});
      expect(holds(Number(number.exec(stdout)?.[1])))
        .withContext(stdout)
        .toBeTrue();
    });
  }

  /** Opens a page whose every request is answered by `find`, and gives what it shows at last. */
  async function shown(find: (url: URL) => string): Promise<string> {
    const page = await browser.newPage();
    try {
      const errors: string[] = [];
      page.on('pageerror', ({message}) => errors.push(message));
      await page.route('**/*', (route) => {
        const path = find(new URL(route.request().url()));
        return route.fulfill({contentType: types[extname(path)], body: readFileSync(path)});
      });
      await page.goto('http://localhost/index.html');
      await page.waitForFunction(() => !document.querySelector('#result')!.textContent.startsWith('Training'));
      expect(errors).toEqual([]);
      return (await page.textContent('#result'))!;
    } finally {
      await page.close();
    }
  }

  it('script-tags trains in a page', async () => {
    const text = await shown(({host, pathname}) => {
      if (host === 'localhost') return join(root, 'examples/script-tags', pathname);
      const isOurs = pathname === '/npm/tfjs-mamba';
      return isOurs ? join(root, 'dist/tfjs-mamba.umd.js') : require.resolve('@tensorflow/tfjs/dist/tf.min.js');
    });
    const [, percent] = /^(\d+) % right, on (webgl|cpu)\.$/.exec(text)!;
    expect(Number(percent)).toBeGreaterThan(60);
  });

  it('vite is built without being configured, and trains in a page', async () => {
    const project = join(folder, 'vite');
    const outDir = join(project, 'dist');
    cpSync(join(root, 'examples/vite'), project, {recursive: true});
    mkdirSync(join(project, 'node_modules'));
    symlinkSync(root, join(project, 'node_modules/tfjs-mamba'), 'junction');
    symlinkSync(join(root, 'node_modules/@tensorflow'), join(project, 'node_modules/@tensorflow'), 'junction');
    await build({root: project, logLevel: 'error', build: {chunkSizeWarningLimit: 4000}});
    const text = await shown(({pathname}) => join(outDir, pathname));
    const [, first, last] = /^The error fell from (\d\.\d+) to (\d\.\d+)\.$/.exec(text)!;
    // An untrained one begins anywhere from 0.2 on.
    expect(Number(last)).toBeLessThan(Math.min(0.2, Number(first)));
  });
});
