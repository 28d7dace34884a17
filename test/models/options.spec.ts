/** The options of the main job, `npm start`: what it does with a folder that holds work, and what it says of wrong ones. */
import {spawnSync} from 'node:child_process';
import {mkdirSync, mkdtempSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import type {Job} from '../../models/shakespeare/options';
import {help, readJob, UsageError} from '../../models/shakespeare/options';

describe('the options of the main job', () => {
  let root: string;
  const at = (name: string) => join(root, name);

  beforeAll(() => {
    root = mkdtempSync(join(tmpdir(), 'tfjs-mamba-'));
    const folders: Record<string, Record<string, object>> = {
      empty: {},
      stopped: {'config.json': {}, 'run.json': {round: 0, step: 4, steps: 10}},
      begun: {'config.json': {}, 'run.json': {round: 1, step: 0, steps: 10}},
      ended: {'config.json': {}, 'run.json': {round: 0, step: 10, steps: 10}},
      other: {'config.json': {}},
    };
    for (const [name, files] of Object.entries(folders)) {
      mkdirSync(at(name));
      for (const [file, content] of Object.entries(files)) writeFileSync(join(at(name), file), JSON.stringify(content));
    }
  });
  afterAll(() => rmSync(root, {recursive: true}));

  it('say whether it begins, or goes on', () => {
    const cases: Array<[string[], Partial<Job>]> = [
      [['--out', at('nothing')], {goesOn: false, steps: 1500}],
      [['--out', at('empty'), '--steps', '7'], {goesOn: false, steps: 7}],
      [['--out', at('stopped')], {goesOn: true}],
      [['--out', at('begun')], {goesOn: true}],
      [['--from', at('stopped')], {goesOn: true}],
      [['--from', at('ended')], {goesOn: true}],
      [['--from', at('ended'), '--steps', '7'], {goesOn: true, steps: 7}],
      [['--out', at('stopped'), '--steps', '10'], {goesOn: true}],
      [['--from', at('other')], {goesOn: true}],
      ...['stopped', 'ended', 'other'].map((name): [string[], Partial<Job>] => [
        ['--out', at(name), '--force'],
        {goesOn: false, folder: at(name)},
      ]),
    ];
    for (const [args, job] of cases) {
      expect(readJob(args)).withContext(args.join(' ')).toEqual(jasmine.objectContaining(job));
    }
    expect(readJob(['--help'])).toBeUndefined();
    for (const option of ['--from', '--out', '--steps', '--force', '--help']) expect(help).toContain(option);
  });

  it('that are wrong, or would throw work away, are refused in one line', () => {
    const cases: Array<[string[], RegExp]> = [
      [['--out', at('ended')], /ended holds a run that has ended after 10 steps; --from .*ended trains it .*, --force starts anew/],
      [['--out', at('other')], /other holds a model, but no run of this job; --force trains over it, --out takes another folder$/],
      [['--from', at('nope')], /^--from .*nope: there is no such folder$/],
      [['--from', at('empty')], /^--from .*empty: the folder holds no model$/],
      [['--from', at('ended'), '--out', at('empty')], /leave out --out$/],
      [['--from', at('ended'), '--force'], /leave out --force$/],
      [['--steps', '0'], /^--steps must be a positive whole number, but is '0'$/],
      [['--steps', '1e3'], /^--steps must be a positive whole number, but is '1e3'$/],
      [['--from', at('stopped'), '--steps', '7'], /stopped on its way to 10 steps, .*; leave out --steps, or start anew with --out .*stopped --force$/],
      [['--out', at('begun'), '--steps', '7'], /begun holds a run that was stopped on its way to 10 steps/],
      [['--stesp', '3'], /^Unknown option '--stesp'; npm start -- --help lists the options$/],
      [['--from'], /^Option '--from <value>' argument missing; npm start -- --help lists the options$/],
      [['again'], /^Unexpected argument 'again'; npm start -- --help lists the options$/],
    ]; // prettier-ignore
    for (const [args, message] of cases) {
      expect(() => readJob(args))
        .withContext(args.join(' '))
        .toThrowError(UsageError, message);
    }
  });

  it('are told of before any work, by the process', () => {
    const run = (...args: string[]) =>
      spawnSync(process.execPath, ['--import', 'tsx', 'models/shakespeare/train.ts', ...args], {encoding: 'utf8'});
    const {status, stdout} = run('--help');
    expect([status, stdout]).toEqual([0, `${help}\n`]);
    const wrong = run('--from', 'nope');
    // And nothing else: TensorFlow, which tells how it was built, is not loaded yet.
    expect([wrong.status, wrong.stdout]).toEqual([2, '']);
    expect(wrong.stderr).toBe('npm start: --from nope: there is no such folder\n');
  });
});
