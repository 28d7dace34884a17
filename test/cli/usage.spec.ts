/** How commands are called: help, wrong flags, and flags from a file. */
import {spawnSync} from 'node:child_process';
import {mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Io} from '../../src/cli/io';
import {makeProgram} from '../../src/cli/program';
import {goesOnWith} from '../../src/cli/together';
import {call} from './call';

const built = [
  'generate',
  'chat',
  'eval',
  'train',
  'finetune',
  'fuse',
  'convert',
  'quantize',
  'info',
  'doctor',
  'completion',
];

describe('the command line', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'tfjs-mamba-cli-'));
  });
  afterAll(() => rmSync(folder, {recursive: true}));

  it('names what goes on with a run, by as many processes as it was begun with', () => {
    const flags = {shardOptimizer: true} as Parameters<typeof goesOnWith>[1];
    const whole = 'tfjs-mamba train --out a --cluster --shard-optimizer';
    expect(goesOnWith('train --out a', {} as typeof flags, undefined)).toBe('npx tfjs-mamba train --out a');
    expect(goesOnWith('train --out a', flags, {size: 3})).toBe(`npx ${whole}, on each of the 3 workers`);
    process.env['TFJS_MAMBA_LAUNCH'] = 'some';
    try {
      expect(goesOnWith('train --out a', flags, {size: 3})).toBe(`npx tfjs-mamba launch --workers 3 -- ${whole}`);
    } finally {
      delete process.env['TFJS_MAMBA_LAUNCH'];
    }
  });

  it('explains itself and every command, with an example and --json on each', async () => {
    const whole = await call(['--help']);
    expect([whole.code, whole.err]).toEqual([0, '']);
    expect(whole.out).toMatch(/^Usage: tfjs-mamba <command>/);
    for (const name of [...built, 'setup-native', 'launch'])
      expect(whole.out).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    for (const name of built) {
      const {code, out} = await call([name, '--help']);
      expect(code).toBe(0);
      expect(out)
        .withContext(name)
        .toMatch(new RegExp(`^Usage: tfjs-mamba ${name} `));
      for (const part of ['--json', '--config', '  $ tfjs-mamba ']) expect(out).withContext(name).toContain(part);
    }
  });

  it('says what a flag is unless given, also where that depends', async () => {
    const {out} = await call(['finetune', '--help']);
    const words = out.replace(/\s+/g, ' ');
    for (const told of [
      '(default: 0.0001 for full, 0.001 for lora and dora)',
      '(default: in_proj,x_proj,out_proj)',
      '(default: 4)',
    ]) {
      expect(words).toContain(told);
    }
  });

  it('describes every flag', () => {
    const {commands} = makeProgram({} as Io, '1');
    const silent = commands.flatMap((command) => command.options.filter(({description}) => description.length < 3));
    expect(silent).toEqual([]);
  });

  it('says what is wrong in one line, with a guess, and ends with 2', async () => {
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text);
      return join(folder, name);
    };
    const cases: [string[], RegExp][] = [
      [[], /^tfjs-mamba: a command is missing; tfjs-mamba --help lists/],
      [['finetnue'], /^tfjs-mamba: unknown command 'finetnue' \(did you mean finetune\?\); tfjs-mamba --help/],
      [['finetune', '--bacth-size', '3'], /^tfjs-mamba finetune: unknown option '--bacth-size' \(did you mean --batch-size\?\); tfjs-mamba finetune --help/],
      [['finetune', '--iters', 'many'], /^tfjs-mamba finetune: option '--iters <n>' argument 'many' is invalid\. It must be a whole number of 1 or more;/],
      [['finetune', '--iters'], /^tfjs-mamba finetune: option '--iters <n>' argument missing;/],
      [['finetune', '--num-layers', '0'], /It must be a whole number of 1 or more, or -1 for all;/],
      [['finetune'], /^tfjs-mamba finetune: --model is missing: a folder, a file, a URL, or a name on the Hub such as/],
      [['finetune', '--model', 'x'], /^tfjs-mamba finetune: --data is missing: /],
      [['finetune', '--model', 'x', '--data', '/nowhere'], /^tfjs-mamba finetune: --data \/nowhere: there is no such file or folder$/],
      [['train', '--out', '/nowhere', '--resume'], /^tfjs-mamba train: --resume: \/nowhere holds no model$/],
      [['train', '--data', '-'], /^tfjs-mamba train: --data -: standard input is empty$/],
      [['eval', '--model', 'x'], /^tfjs-mamba eval: there is nothing to measure on: --data for perplexity, --choices/],
      [['eval', '--model', 'x', '--choices', file('choices.jsonl', '{"context": "a", "choices": ["b"], "gold": 0}')], /choices\.jsonl:1 must have "context", two or more "choices"/],
      [['generate', '--model', 'x'], /^tfjs-mamba generate: the prompt is missing: an argument, --prompt-file, or standard input$/],
      [['generate', '--model', 'x', 'a', '--prompt', 'b'], /the prompt is given more than once/],
      [['generate', '--model', 'x', '--temp=-1', 'a'], /It must be a number of 0 or more;/],
      [['finetune', '--model', 'x', '--lora-targets', 'in_proj,,'], /It must be names with commas between;/],
      [['finetune', '--model', 'x', '--data', 'src', '--resume'], /^tfjs-mamba finetune: --resume: adapters holds no model$/],
      [['generate', '--model', 'x', '--top-p', '1.5', 'a'], /It must be a number above 0 and up to 1;/],
      [['finetune', '--model', 'x', '--data', 'src', '--fine-tune-type', 'full', '--weights', 'int8'], /: --weights must be float32 with --fine-tune-type full, which trains them, but is int8$/],
      [['finetune', '--model', 'x', '--data', 'src', '--fine-tune-type', 'full', '--resume-adapter-file', 'y'], /: --resume-adapter-file is for lora and dora, but --fine-tune-type is full; fuse it first$/],
      [['finetune', '--model', 'x', '--data', 'src', '--out', 'y'], /: --out is for --fine-tune-type full; lora keeps its adapter in --adapter-path$/],
      [['finetune', '--model', 'x', '--data', 'src', '--adapter-path', 'y', '--fine-tune-type', 'full'], /: --adapter-path is for lora and dora; full keeps the whole model in --out$/],
      [['finetune', '--model', 'x', '--data', 'src', '--adapter-path', 'LICENSE'], /: --adapter-path LICENSE must be a folder, or a place for one, but LICENSE is a file$/],
      [['train', '--data', 'src', '--out', 'LICENSE/run'], /: --out LICENSE\/run must be a folder, or a place for one, but LICENSE is a file$/],
      [['convert', '--model', 'x', '--out', 'LICENSE'], /: --out LICENSE must be a folder, /],
      [['fuse', '--model', 'x', '--save-path', 'LICENSE'], /: --save-path LICENSE must be a folder, /],
      [['quantize', '--model', 'x', '--save-path', 'LICENSE'], /: --save-path LICENSE must be a folder, /],
      [['completion', 'csh'], /Allowed choices are bash, zsh, fish;/],
      [['convert', '--model', 'x'], /^tfjs-mamba convert: --out is missing/],
      [['convert', '--model', 'x', '--out', 'y', '--dtype', 'float8'], /Allowed choices are float32, float16, bfloat16, int8;/],
      [['convert', '--model', 'x', '--out', 'y', '--dtype', 'float16', '--to', 'layers'], /^tfjs-mamba convert: --dtype is float32 in the layout layers$/],
      [['train', '--config', '/nowhere.yaml'], /^tfjs-mamba train: --config \/nowhere\.yaml cannot be read: /],
      [['train', '--config', file('list.yaml', '- a')], /list\.yaml must hold flags and their values, such as iters: 100$/],
      [['train', '--config', file('broken.yaml', 'a: [')], /broken\.yaml is no YAML: /],
      [['train', '--config', file('unknown.yaml', 'batchsise: 4')], /unknown\.yaml: there is no flag batchsise; did you mean batchSize\?$/],
      [['train', '--config', file('wrong.json', '{"iters": "x"}')], /wrong\.json: iters: "x"\. It must be a whole number of 1 or more\.$/],
      [['train', '--config', file('nested.json', '{"iters": [1]}')], /nested\.json: iters must be a single value, but is \[1\]$/],
      [['train', '--config', file('flag.json', '{"force": 1}')], /flag\.json: force must be true or false, but is 1$/],
      [['train', '--config', file('choice.yaml', 'mixer: rwkv')], /choice\.yaml: mixer: "rwkv"\. Allowed choices are mamba1, mamba2\.$/],
    ]; // prettier-ignore
    for (const [args, message] of cases) {
      const {code, out, err} = await call(args);
      expect([code, out]).withContext(args.join(' ')).toEqual([2, '']);
      expect(err.trimEnd()).withContext(args.join(' ')).toMatch(message);
      expect(err.match(/\n/g)!.length).withContext(err).toBe(1);
    }
  });

  it('takes flags from YAML and JSON, spelled as one likes, and its own before them', async () => {
    const yaml = join(folder, 'flags.yaml');
    writeFileSync(yaml, '# of a model\nmodel: mamba-130m\njson: true\n');
    const {code, events} = await call(['info', '--config', yaml]);
    expect([code, events()[0]['model']]).toEqual([0, 'mamba-130m']);
    const other = await call(['info', '-c', yaml, '--model', 'mamba2-130m']);
    expect(other.events()[0]['model']).toBe('mamba2-130m');
    for (const [name, text] of Object.entries({
      'a.yaml': 'max_seq_length: 7',
      'b.json': '{"max-seq-length": 7}',
      'c.yml': 'maxSeqLength: 7',
    })) {
      const path = join(folder, name);
      writeFileSync(path, `${text}\n`);
      const text7 = join(folder, 'seven.txt');
      writeFileSync(text7, 'abcdefg');
      const failed = await call([
        'train',
        '-c',
        path,
        '--data',
        text7,
        '--held-out',
        '0',
        '--out',
        join(folder, 'out'),
      ]);
      expect(failed.err).toMatch(/gives 7 tokens, but a row takes 8; a smaller length takes fewer\n$/);
      expect(failed.code).toBe(1);
    }
  });

  it('is a process that needs no TensorFlow.js to explain itself', () => {
    // A loader that fails on any import of it.
    const hook = `import {register} from 'node:module'; register('data:text/javascript,' + encodeURIComponent(
      "export async function resolve(name, context, next) { if (name.startsWith('@tensorflow')) throw new Error('loaded'); return next(name, context); }"));`;
    const refuse = ['--import', `data:text/javascript,${encodeURIComponent(hook)}`];
    const bin = (...args: string[]) =>
      spawnSync(process.execPath, [...refuse, 'bin/tfjs-mamba.js', ...args], {encoding: 'utf8'});
    const {status, stdout} = bin('finetune', '--help');
    expect([status, stdout.split('\n')[0]]).toEqual([0, 'Usage: tfjs-mamba finetune [options]']);
    expect(bin('doctor').stderr).toContain('loaded'); // the loader does refuse it
  });
});
