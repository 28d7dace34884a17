/**
 * `bench -- finetune`: how much of the gain of full fine-tuning adapters of under 2 % of the parameters have, LoRA over float32 and over 8 bits
 * (QLoRA). By the commands alone, as one would in a fresh clone: `train` on Shakespeare, then `finetune` on this repository's own prose, a
 * tenth of whose paragraphs validates and another tenth tests. What a method is run with (rank, targets, learning rate, step) is chosen by the
 * first tenth; the figures are of the other, which no choice has seen.
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
const recipes = [
  ['--lora-rank', '2', '--lora-alpha', '8', '--lora-targets', 'in_proj,x_proj,out_proj,embeddings'],
  ['--lora-rank', '3', '--lora-alpha', '12', '--lora-targets', 'in_proj,out_proj,embeddings'],
];
const methods: Record<string, {kind: string; recipes: string[][]; rates: number[]; weights: string[]}> = {
  full: {kind: 'full', recipes: [[]], rates: [4e-3, 8e-3], weights: []},
  LoRA: {kind: 'lora', recipes, rates: [2e-2, 4e-2], weights: []},
  QLoRA: {kind: 'lora', recipes, rates: [2e-2, 4e-2], weights: ['--weights', 'int8']},
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
    const share = writeProse(at('prose.txt'), at('test.txt'));
    command(backend, 'train', '--out', at('base'), ...base);
    const tested = (...model: string[]) =>
      command(backend, 'eval', '--model', ...model, '--data', at('test.txt'), '--max-seq-length', '256')[0]['loss'] as number; // prettier-ignore
    const before = tested(at('base'));
    console.log(`loss on the prose that tests before: ${before.toFixed(4)} nats a byte, on ${backend}`);
    const rows = Object.entries(methods).map(([method, {kind, recipes, rates, weights}]) => {
      const choices = recipes.flatMap((recipe, i) =>
        rates.map((rate) => ({recipe, rate, name: `${method}-${i}-${rate}`})),
      );
      const runs = choices.map(({recipe, rate, name}) => {
        const place = [kind === 'full' ? '--out' : '--adapter-path', at(name)];
        const start = performance.now();
        const events = command(backend, 'finetune', '--model', at('base'), '--data', at('prose.txt'), '--held-out', share, ...further, '--fine-tune-type', kind, ...recipe, ...weights, '--keep-best', '--learning-rate', String(rate), ...place); // prettier-ignore
        const {parameters, trained} = events.find(({event}) => event === 'model') as {parameters: number; trained: number} & Event; // prettier-ignore
        const {best} = events.at(-1) as {best: {loss: number; step: number}} & Event;
        const seconds = (performance.now() - start) / 1000;
        return {recipe, rate, name, trained: trained / parameters, best, seconds};
      });
      console.log(`${method}, validation: ${runs.map(({recipe, rate, best}) => `${[...recipe, rate].join(' ')} gives ${best.loss.toFixed(4)} at step ${best.step}`).join(', ')}`); // prettier-ignore
      const [chosen] = runs.sort((a, b) => a.best.loss - b.best.loss);
      const model = kind === 'full' ? [at(chosen.name)] : [at('base'), ...weights, '--adapter-path', at(chosen.name)];
      return {method, ...chosen, loss: tested(...model)};
    });
    const gain = (loss: number) => before - loss;
    printTable([
      ['', 'trained', 'learning rate', 'loss', 'gain', "of full's gain", 'seconds'],
      ...rows.map(({method, recipe, trained, rate, loss, seconds}) => [
        [method, ...recipe].join(' '),
        `${(100 * trained).toFixed(2)} %`,
        String(rate),
        loss.toFixed(4),
        gain(loss).toFixed(4),
        `${((100 * gain(loss)) / gain(rows[0].loss)).toFixed(0)} %`,
        seconds.toFixed(0),
      ]),
    ]);
  } finally {
    rmSync(folder, {recursive: true, force: true});
  }
}

/**
 * Writes the prose: every tenth paragraph in a file of its own, to test; of the rest those before them at the end, to validate.
 *
 * @returns The share of the rest that validates.
 */
function writeProse(rest: string, test: string): string {
  const files = ['.', 'guides', 'bench', 'bench/peers', 'models', 'custom-ops'].flatMap((room) => {
    const names = readdirSync(join(root, room)).filter((name) => name.endsWith('.md'));
    return names.sort().map((name) => join(root, room, name));
  });
  const paragraphs = files.flatMap((file) => readFileSync(file, 'utf8').split('\n\n'));
  const part = (isOf: (place: number) => boolean) => paragraphs.filter((_, i) => isOf(i % 10)).join('\n\n') + '\n\n';
  const [trains, validates] = [part((place) => place < 8), part((place) => place === 8)];
  writeFileSync(rest, trains + validates);
  writeFileSync(test, part((place) => place === 9)); // prettier-ignore
  const [total, size] = [trains + validates, validates].map((text) => Buffer.byteLength(text));
  return String(size / total);
}
