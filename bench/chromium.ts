/**
 * `bench -- lm --backend wasm@chromium`: a whole language model in a page of headless Chromium that is isolated from other origins, beside wllama,
 * which is llama.cpp in WebAssembly, where peers/README.md was followed: prefill of 256 tokens and greedy decoding, float32, the same random weights
 * and the same prompt, in turns, the tokens they choose compared. A prefill's rate is the best of several runs, decoding's that of the median token and
 * of the best.
 */
import {mkdtempSync, readFileSync, readdirSync, rmSync} from 'node:fs';
import {readFile} from 'node:fs/promises';
import {availableParallelism, tmpdir} from 'node:os';
import {dirname, join} from 'node:path';
import {savePretrained} from '../src/node';
import {startBackend, type TestBackend} from '../test/support/backend';
import {inChromium} from '../test/support/inChromium';
import {makeModel, models} from './lm';
import {output} from './machine';
import type {Rates} from './page';
import {isInstalled, ofPeer, peerPython, peerWllama} from './peers/peers';
import {printTable} from './timing';

export async function benchChromium(backend: TestBackend): Promise<void> {
  await startBackend('wasm'); // to draw the weights
  for (const name of Object.keys(models)) await benchModel(name, backend);
}

async function benchModel(name: string, backend: TestBackend): Promise<void> {
  const {config, newTokens} = models[name];
  console.log(`\n${name}, float32, on ${backend} in Chromium`);
  const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-bench-'));
  try {
    const model = makeModel(config);
    await savePretrained(model, folder);
    model.dispose();
    const prompt = Array.from({length: 256}, (_, i) => (i * i * 7 + 11) % config.vocabSize);
    const given = ['/model/', prompt, Math.min(newTokens, 32), writePeer(folder) ? [1, availableParallelism()] : []];
    const code = [
      `import {startBackend} from './test/support/backend';`,
      `import {measureModel} from './bench/page';`,
      `await startBackend('${backend}');`,
      `await report(await measureModel(${given.map((value) => JSON.stringify(value)).join()}));`,
    ];
    printMeasured(await inChromium<Record<string, Rates>>(code.join('\n'), {}, [], (path) => serve(folder, path)));
  } finally {
    rmSync(folder, {recursive: true});
  }
}

/** Writes the model as wllama reads it; false where it or what writes it is not there. */
function writePeer(folder: string): boolean {
  if (!isInstalled('wllama', peerWllama) || !isInstalled('gguf', peerPython)) return false;
  const script = join(import.meta.dirname, 'peers/gguf_file.py');
  return ofPeer('gguf', () => output(peerPython, [script, folder, join(folder, 'model.gguf')])) !== undefined;
}

/** The model's files, and wllama's beside them. */
async function serve(folder: string, path: string): Promise<[type: string, body: Buffer]> {
  const name = path.replace('/model/', '');
  if (name === 'processorTime') return ['text/plain', Buffer.from(String(processorTime()))];
  if (name === 'index.js') return ['text/javascript', await readFile(peerWllama)];
  if (name === 'wllama.wasm') return ['application/wasm', await readFile(join(dirname(peerWllama), 'wasm', name))];
  return ['application/octet-stream', await readFile(join(folder, name))];
}

/** Milliseconds that the processes below this one have had, where Linux tells; in steps of 10. */
function processorTime(): number {
  const processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const all = processes.flatMap((id) => {
    try {
      // After the name, which may hold anything: state, parent, …, user and system time.
      const fields = readFileSync(`/proc/${id}/stat`, 'utf8').split(') ').at(-1)!.split(' ');
      return [{id: Number(id), parent: Number(fields[1]), time: 10 * (Number(fields[11]) + Number(fields[12]))}];
    } catch {
      return []; // it has ended
    }
  });
  const below = (parent: number): number =>
    all.filter((one) => one.parent === parent).reduce((sum, one) => sum + one.time + below(one.id), 0);
  return below(process.pid);
}

function printMeasured(measured: Record<string, Rates>): void {
  const ours = measured['this package'];
  const columns = {
    prefill: 'prefill 256',
    decode: 'decode',
    best: 'best token',
    prefillByCpu: 'prefill, CPU',
    decodeByCpu: 'decode, CPU',
  };
  const names = Object.keys(columns) as Array<keyof typeof columns>;
  printTable([
    ['tokens a second', ...names.flatMap((name) => [columns[name], 'ratio']), 'same tokens'],
    ...Object.entries(measured).map(([peer, rates]) => {
      const differs = rates.tokens.findIndex((id, i) => id !== ours.tokens[i]);
      const same = `${differs < 0 ? rates.tokens.length : differs} of ${ours.tokens.length}`;
      return [peer, ...names.flatMap((name) => [rates[name], ours[name] / rates[name]]), same];
    }),
  ]);
  console.log(`${new Set(ours.tokens).size} different tokens among ${ours.tokens.length}`);
}
