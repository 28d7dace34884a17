/**
 * `bench -- states`: how long it takes to save, load and fork the state of the 130m shape after 10 and after 10,000 tokens: as bytes, as a Blob, as
 * a file in Node, in IndexedDB in headless Chromium, and there from a page whose model is in a worker.
 */
import {mkdtempSync, rmSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {TestBackend} from '../test/support/backend';
import {inChromium} from '../test/support/inChromium';
import {bundle, worker} from '../test/support/workerPage';
import '../src/node'; // for files
import {measureHere, type Row} from './statesMeasured';
import {printTable} from './timing';

function print(rows: Row[]): void {
  const columns = ['save', 'load', 'fork'].flatMap((what) => [`${what}, best`, 'median']);
  printTable([['ms', ...columns], ...rows.map((row) => row.map((cell) => (Number.isNaN(cell) ? '–' : cell)))]);
}

/** In Node, with files. */
export async function benchStates(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-bench-'));
  try {
    print(await measureHere([join(folder, 'state')]));
  } finally {
    rmSync(folder, {recursive: true});
  }
}

/** In headless Chromium, with IndexedDB: in the page itself, and in a worker. */
export async function benchStatesInChromium(backend: TestBackend): Promise<void> {
  const {code} = await bundle(worker);
  const page = [
    `import {startBackend} from './test/support/backend';`,
    `import {measureHere, measureWorker} from './bench/statesMeasured';`,
    `await startBackend('${backend}');`,
    `const place = 'indexeddb://bench';`,
    `const here = await measureHere([place]);`,
    `await report([...here, ...(await measureWorker('${backend}', [place]))]);`,
  ];
  const serve = (path: string) =>
    path === '/worker.js'
      ? Promise.resolve<[string, string]>(['text/javascript', code])
      : Promise.reject(new Error(path));
  print(await inChromium<Row[]>(page.join('\n'), {}, [], serve));
}
