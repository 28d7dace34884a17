/**
 * `bench -- finetune`: how much of the gain of full fine-tuning adapters of under 2 % of the parameters have, LoRA over float32 and over 8 bits
 * (QLoRA). By the commands alone, as one would in a fresh clone: `train` on Shakespeare, then `finetune` on this repository's own prose, a
 * tenth of whose paragraphs is held out. Each method has the best of its learning rates, and its lowest validation loss (`--keep-best`).
 */
import {spawnSync} from 'node:child_process';
import {mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {printTable} from './timing';

const root = join(import.meta.dirname, '..');
const base = ['--d-model', '192', '--n-layer', '2', '--iters', '1500', '--learning-rate', '4e-3'];
const further = ['--iters', '800', '--steps-per-eval', '100', '--val-batches', '-1'];
/** Shakespeare has few of the bytes of Markdown, so the embedding, which is the head too, has something to learn. */
const targets = 'in_proj,x_proj,out_proj,embeddings';
const lora = ['--fine-tune-type', 'lora', '--lora-rank', '2', '--lora-alpha', '8', '--lora-targets', targets];
const methods: Record<string, {flags: string[]; rates: number[]}> = {
  full: {flags: ['--fine-tune-type', 'full'], rates: [4e-3, 8e-3]},
  LoRA: {flags: lora, rates: [2e-2, 4e-2]},
  QLoRA: {flags: [...lora, '--weights', 'int8'], rates: [2e-2, 4e-2]},
};

type Event = Record<string, unknown> & {event?: string};

/** Runs a command of this package, and gives the lines of JSON that it wrote. */
function command(backend: string, ...args: string[]): Event[] {
  const program = join(root, 'test/cli/process.ts');
  const {status, stdout, stderr} = spawnSync(
    process.execPath,
    ['--import', 'tsx', program, ...args, '--backend', backend, '--json'],
    {cwd: root, encoding: 'utf8', maxBuffer: 2 ** 30},
  );
  if (status !== 0) throw new Error(`tfjs-mamba ${args.join(' ')} ended with ${status}: ${stderr}`);
  return stdout.trim().split('\n').map((line) => JSON.parse(line) as Event); // prettier-ignore
}

export function benchFinetune(backend: string): void {
  const folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-bench-finetune-'));
  try {
    const at = (name: string) => join(folder, name);
    const share = writeProse(at('prose.txt'), at('held-out.txt'));
    command(backend, 'train', '--out', at('base'), ...base);
    const [{loss: before}] = command(backend, 'eval', '--model', at('base'), '--data', at('held-out.txt'), '--max-seq-length', '256'); // prettier-ignore
    console.log(`loss on held-out prose before: ${(before as number).toFixed(4)} nats a byte, on ${backend}`);
    const rows = Object.entries(methods).map(([method, {flags, rates}]) => {
      const runs = rates.map((rate) => {
        const place = at(`${method}-${rate}`);
        const start = performance.now();
        const events = command(backend, 'finetune', '--model', at('base'), '--data', at('prose.txt'), '--held-out', share, ...further, ...flags, '--keep-best', '--learning-rate', String(rate), '--adapter-path', place, '--out', place); // prettier-ignore
        const {parameters, trained} = events.find(({event}) => event === 'model') as {parameters: number; trained: number} & Event; // prettier-ignore
        const {best} = events.at(-1) as {best: {loss: number; step: number}} & Event;
        return {rate, trained: trained / parameters, best, seconds: (performance.now() - start) / 1000};
      });
      console.log(`${method}: ${runs.map(({rate, best}) => `${rate} gives ${best.loss.toFixed(4)} at step ${best.step}`).join(', ')}`); // prettier-ignore
      return {method, ...runs.sort((a, b) => a.best.loss - b.best.loss)[0]};
    });
    const gain = (loss: number) => (before as number) - loss;
    printTable([
      ['', 'trained', 'learning rate', 'loss', 'gain', "of full's gain", 'seconds'],
      ...rows.map(({method, trained, rate, best, seconds}) => [
        method,
        `${(100 * trained).toFixed(2)} %`,
        String(rate),
        best.loss.toFixed(4),
        gain(best.loss).toFixed(4),
        `${((100 * gain(best.loss)) / gain(rows[0].best.loss)).toFixed(0)} %`,
        seconds.toFixed(0),
      ]),
    ]);
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

/** Writes the prose, every tenth paragraph at its end and in a file of its own. @returns The share of those. */
function writeProse(all: string, heldOut: string): string {
  const files = ['.', 'guides', 'bench', 'bench/peers', 'models', 'custom-ops'].flatMap((room) => {
    const names = readdirSync(join(root, room)).filter((name) => name.endsWith('.md'));
    return names.sort().map((name) => join(root, room, name));
  });
  const paragraphs = files.flatMap((file) => readFileSync(file, 'utf8').split('\n\n'));
  const part = (isHeld: boolean) => paragraphs.filter((_, i) => (i % 10 === 9) === isHeld).join('\n\n') + '\n\n';
  const [trained, held] = [part(false), part(true)];
  writeFileSync(all, trained + held);
  writeFileSync(heldOut, held);
  const [total, size] = [trained + held, held].map((text) => Buffer.byteLength(text));
  return String(size / total);
}
