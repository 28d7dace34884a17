/**
 * `bench -- guide`: makes guides/benchmarks.md and its pictures of what the benchmarks have kept in bench/results. Nothing in there is typed by
 * hand but what a figure means.
 */
import {mkdirSync, readdirSync, readFileSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import {format} from 'prettier';
import type {Line} from './chart';
import {chart} from './chart';
import type {Kept} from './results';

const root = join(import.meta.dirname, '..');
const results = join(root, 'bench/results');

export async function writeGuide(): Promise<void> {
  mkdirSync(join(root, 'guides/images'), {recursive: true});
  for (const [name, content] of Object.entries(await guideFiles())) writeFileSync(join(root, name), content);
  console.log('guides/benchmarks.md');
}

/** The page and its pictures by their paths in the repository. */
export async function guideFiles(): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  const picture: Picture = (name, lines, options) => {
    files[`guides/images/${name}.svg`] = chart(lines, options);
    return `![${options.title}](images/${name}.svg)\n`;
  };
  const kept = readdirSync(results)
    .filter((file) => file.endsWith('.json'))
    .sort()
    .map((file) => ({
      name: file.replace('.json', ''),
      ...(JSON.parse(readFileSync(join(results, file), 'utf8')) as Kept),
    }));
  const of = (kind: string) => kept.filter(({name}) => name.startsWith(`${kind}-`));
  const text = [
    '# Benchmarks\n',
    'Made by `npm run bench -- guide` of what the benchmarks have kept in `bench/results`: the commands are below, with what each ran on. On a',
    'machine that did other work, times by the clock count that too; those of the processors do not.\n',
    ...speed(of('speed')),
    ...length(of('length'), picture),
    ...generation(of('transformer'), picture),
    ...induction(of('induction')),
    ...not,
    '## What it ran on\n',
    table(
      ['command', 'on', 'load', 'versions', 'date'],
      kept.map(({command, machine, versions, date}) => [
        `\`${command}\``,
        machine.gpu ?? `${machine.processor}, ${machine.cores} cores`,
        machine.loadOfTheMachine.toFixed(0),
        [
          `TensorFlow.js ${versions.tfjs}`,
          `Node ${versions.node}`,
          versions.tensorflow && `TensorFlow ${versions.tensorflow}`,
        ]
          .filter(Boolean)
          .join(', '),
        date.slice(0, 10),
      ]),
    ),
  ].join('\n');
  const style = JSON.parse(readFileSync(join(root, '.prettierrc.json'), 'utf8')) as object;
  files['guides/benchmarks.md'] = await format(text, {...style, parser: 'markdown'});
  return files;
}

/** Draws a picture, and gives what shows it. */
type Picture = (name: string, lines: readonly Line[], options: Parameters<typeof chart>[1]) => string;

const backendOf = ({machine}: Kept) => machine.backend;
const number = (value: unknown) =>
  typeof value === 'number' ? value.toLocaleString('en', {maximumSignificantDigits: 3}) : '–';

function table(head: readonly string[], rows: ReadonlyArray<readonly string[]>): string {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n') + '\n';
}

/** Which backend, how large, how fast. */
function speed(kept: readonly Kept[]): string[] {
  const rows = kept.flatMap((result) =>
    result.figures.map(({name, parameters, reading, writing, writing8, learning}) => [
      backendOf(result),
      name as string,
      ...[parameters, reading, writing, writing8, learning].map(number),
    ]),
  );
  return [
    '## Which backend, how large, how fast\n',
    'Tokens a second of reading a prompt of 512, of writing one row and eight, and of learning (forward, backward and update); where the',
    'backend runs on the processor, a second of processor time.\n',
    table(['backend', 'model', 'parameters', 'reading', 'writing', 'writing, 8 rows', 'learning'], rows),
  ];
}

/** Time and memory over the length. */
function length(kept: readonly Kept[], picture: Picture): string[] {
  const parts = kept.flatMap((result) => {
    const backend = backendOf(result);
    const names = [...new Set(result.figures.map(({name}) => name as string))];
    const lines = (field: string): Line[] =>
      names.map((name, group) => ({
        ...{name, group, dashed: name.startsWith('Transformer')},
        points: result.figures
          .filter((row) => row.name === name)
          .map((row) => [row.length as number, row[field] as number]),
      }));
    const time = result.figures[0].processorMs === undefined || backend === 'webgpu' ? 'ms' : 'processorMs';
    const x = {label: 'length', log: 2} as const;
    return [
      `### ${backend}\n`,
      picture(`length-${backend}`, lines(time), {
        title: `Time over length, ${backend}`,
        x,
        y: {label: time === 'ms' ? 'ms' : 'ms of the processors', log: 10},
      }),
      picture(`memory-${backend}`, lines('heldMB'), {
        title: `Memory over length, ${backend}`,
        x,
        y: {label: 'MB', log: 10},
      }),
      table(
        ['', 'grows with L to the power of', 'longest', 'ms', 'MB'],
        names.map((name) => {
          const last = result.figures.filter((row) => row.name === name).at(-1)!;
          return [name, result.findings[name].toFixed(2), number(last.length), number(last[time]), number(last.heldMB)];
        }),
      ),
    ];
  });
  return [
    '## Linear in the length\n',
    'A scan of 128 channels and 16 states, and a model of two blocks of width 64 that reads a prompt or makes a gradient; the Transformer beside it',
    'is of the same size. The power is fitted over the upper half of the lengths. MB is what TensorFlow.js holds on top of weights and inputs.\n',
    ...parts,
  ];
}

/** Generation beside a Transformer. */
function generation(kept: readonly Kept[], picture: Picture): string[] {
  const rows: string[][] = [];
  const lines = kept.flatMap((result, group) => {
    const isByClock = result.figures.some((row) => row.tokensPerProcessorSecond === undefined);
    const backend = `${backendOf(result)}${isByClock ? ', by the clock' : ''}`;
    const of = (name: string) => result.figures.filter((row) => row.name === name);
    const [mamba, transformer] = [of('mamba'), of('transformer')];
    // A GPU's processor only waits.
    const rateOf = (row: Kept['figures'][number]) =>
      (backendOf(result) === 'webgpu'
        ? row.tokensPerSecond
        : (row.tokensPerProcessorSecond ?? row.tokensPerSecond)) as number;
    mamba.forEach((row, i) => {
      const [rate, other] = [rateOf(row), rateOf(transformer[i])];
      const cells = [number(row.batch), number(rate), number(other), (rate / other).toFixed(1)];
      rows.push([backend, ...cells, number(row.stateMB), number(transformer[i].stateMB)]);
    });
    const points = (list: Kept['figures']): Line['points'] => list.map((row) => [row.batch as number, rateOf(row)]);
    return [
      {name: `Mamba, ${backend}`, group, points: points(mamba)},
      {name: `Transformer, ${backend}`, group, dashed: true, points: points(transformer)},
    ];
  });
  return [
    '## Generation beside a Transformer\n',
    'Tokens a second (where the backend runs on the processor, a second of processor time unless it says otherwise) behind a prompt of 2,048, four blocks of width 256 and a',
    'Transformer of as many weights with a KV cache, both of this package. Tensors of TensorFlow.js never change, so its cache is copied for every',
    'token, up to three times the traffic of one that grows in place.\n',
    picture('generation', lines, {
      ...{
        title: 'Generation over batch',
        x: {label: 'rows', log: 2} as const,
        y: {label: 'tokens a second', log: 10} as const,
      },
    }),
    table(['backend', 'rows', 'Mamba', 'Transformer', 'ratio', 'state, MB', 'cache, MB'], rows),
  ];
}

/** Induction heads far beyond what they were trained on. */
function induction(kept: readonly Kept[]): string[] {
  if (kept.length === 0) return [];
  const rows = kept.flatMap((result) =>
    result.figures.map(({length, accuracy, seconds, heldMB}) => [
      ...[
        backendOf(result),
        number(length),
        `${100 * (accuracy as number)} %`,
        (seconds as number).toFixed(1),
        (heldMB as number).toFixed(2),
      ],
    ]),
  );
  return [
    '## Induction heads\n',
    'The model of `models/induction-heads`, trained on 256 tokens, reads four sequences side by side, 2,048 tokens at a time with the state carried on.\n',
    table(['backend', 'tokens', 'right', 'seconds', 'MB held'], rows),
  ];
}

const not = [
  '## Not measured\n',
  '`bench/peers/README.md` says how PyTorch, Hugging Face, llama.cpp and wllama are run beside this package where they can be had; what that gave is in',
  '`bench/NOTES.md`. Not measured: published checkpoints, as the Hub could not be reached; the sizes above have random weights.\n',
];
