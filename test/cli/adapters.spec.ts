/** Fine-tuning by an adapter, from the command line: trained, stopped and gone on with, used beside its model, and put into it. */
import {existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync} from 'node:fs';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import {call} from './call';
import {letters, smallFolder} from './smallFolder';

describe('an adapter', () => {
  let root: string;
  let model: string;
  const at = (name: string) => join(root, name);
  const tune = (out: string, ...more: string[]) =>
    ['finetune', '--model', model, '--adapter-path', at(out), '--data', at('text.txt'), '--iters', '8', '--save-every', '3', '--batch-size', '2', '--max-seq-length', '12', '--learning-rate', '0.03', ...more]; // prettier-ignore
  const loss = async (...more: string[]) =>
    (await call(['eval', '--data', at('text.txt'), '--max-seq-length', '12', '--json', ...more])).events()[0]['loss'] as number; // prettier-ignore

  beforeAll(async () => {
    root = mkdtempSync(join(tmpdir(), 'tfjs-mamba-adapters-'));
    model = await smallFolder(at('model'));
    writeFileSync(at('text.txt'), 'that is not the other so be it or not '.repeat(12));
    const {code, out, err} = await call(tune('lora', '--lora-rank', '2', '--lora-targets', 'in_proj,embeddings'));
    expect([code, err]).toEqual([0, '']);
    const [, trained, total] = /^training ([\d,]+) of ([\d,]+) parameters, \d+\.\d\d %$/m.exec(out)!.map((digits) => Number(digits.replaceAll(',', ''))); // prettier-ignore
    expect(trained).toBeLessThan(total / 2);
    expect(out).toMatch(/ generate --model .*model --adapter-path .*lora 'Once'\n$/);
  });
  afterAll(() => rmSync(root, {recursive: true}));

  it('is kept alone, as PEFT has it, brings the loss down, and gives the same in the weights as beside them', async () => {
    const config = JSON.parse(readFileSync(at('lora/adapter_config.json'), 'utf8')) as object;
    expect(config).toEqual(jasmine.objectContaining({peft_type: 'LORA', r: 2}));
    expect(existsSync(at('lora/config.json'))).toBeFalse();
    const [before, beside] = [await loss('--model', model), await loss('--model', model, '--adapter-path', at('lora'))];
    expect(beside).toBeLessThan(before - 0.05);
    const fused = await call([
      'fuse',
      '--model',
      model,
      '--adapter-path',
      at('lora'),
      '--save-path',
      at('fused'),
      '--json',
    ]);
    expect(fused.events()).toEqual([jasmine.objectContaining({savePath: at('fused')})]);
    expect(await loss('--model', at('fused'))).toBeCloseTo(beside, 5);
    const again = await call(['fuse', '--model', model, '--adapter-path', at('lora'), '--save-path', at('fused')]);
    expect([again.code, again.err]).toEqual([2, jasmine.stringMatching(/fused holds a model; --force writes over it/)]);
  });

  it('that was stopped goes on to the same bits', async () => {
    const stopped = await call(
      tune('stopped', '--lora-rank', '2', '--lora-targets', 'in_proj,embeddings', '--steps-per-report', '1'),
      {stopAt: 'step 4 '},
    );
    expect(stopped.out).toMatch(
      /Stopped after step 4 of 8, and saved\. To go on: npx tfjs-mamba finetune --model .* --adapter-path .*stopped\n$/,
    );
    const other = await call(tune('stopped', '--lora-rank', '4'));
    expect([other.code, other.out]).toEqual([2, '']);
    expect(other.err).toMatch(/begun with --lora-rank 2 and stopped; leave out --lora-rank 4 to go on .*--force\n$/);
    expect((await call(tune('stopped'))).code).toBe(0);
    const weights = (name: string) => readFileSync(at(`${name}/adapter_model.safetensors`));
    expect(weights('stopped')).toEqual(weights('lora'));
    const refused = await call(tune('lora'));
    expect([refused.code, refused.err]).toEqual([
      2,
      jasmine.stringMatching(/has ended after 8 steps; .*, --adapter-path takes another/),
    ]);
  });

  it('is of the blocks, the kind and the weights that the flags or a file as mlx_lm has it say, and may begin with another', async () => {
    writeFileSync(at('lora.yaml'), 'num_layers: 1\nfine_tune_type: dora\nlora_parameters:\n  rank: 3\n  alpha: 6\n  keys: [in_proj, dt_proj]\n'); // prettier-ignore
    expect((await call(tune('dora', '--iters', '1', '--config', at('lora.yaml')))).code).toBe(0);
    const config = JSON.parse(readFileSync(at('dora/adapter_config.json'), 'utf8')) as {target_modules: string[]};
    expect(config).toEqual(jasmine.objectContaining({use_dora: true, r: 3, lora_alpha: 6}));
    const file = readFileSync(at('dora/adapter_model.safetensors'), 'latin1');
    expect([/layers\.1\.mixer\.dt_proj/.test(file), /layers\.0\./.test(file)]).toEqual([true, false]);
    const begun = await call(
      tune('begun', '--iters', '1', '--resume-adapter-file', at('lora/adapter_model.safetensors')),
    );
    expect(begun.code).toBe(0);
    const validation = /^step 1: validation loss (\d\.\d+)/m;
    const fresh = await call(tune('fresh', '--iters', '1'));
    expect(Number(validation.exec(begun.out)![1])).toBeLessThan(Number(validation.exec(fresh.out)![1]));
    const none = await call(tune('none', '--lora-targets', 'inproj'));
    expect([none.code, none.err]).toEqual([
      1,
      jasmine.stringMatching(/^tfjs-mamba finetune: addAdapter: .*inproj.*in_proj/),
    ]);
  });

  it('may lie over weights in 8 bits, which a model can be saved in', async () => {
    const wide = await smallFolder(at('wide'), letters, 32);
    const {code, events} = await call(['quantize', '--model', wide, '--save-path', at('int8'), '--json']);
    const {bytes, floats} = events()[0] as {bytes: number; floats: number};
    expect([code, bytes < 0.6 * floats]).toEqual([0, true]);
    const held = ['--weights', 'int8'];
    const before = await loss('--model', at('int8'), ...held);
    expect(Math.abs(before - (await loss('--model', wide)))).toBeLessThan(0.01);
    const args = tune('qlora', ...held, '--grad-checkpoint', '--lr-schedule', 'constant');
    args[2] = at('int8');
    expect((await call(args)).code).toBe(0);
    expect(await loss('--model', at('int8'), ...held, '--adapter-path', at('qlora'))).toBeLessThan(before - 0.02);
  });
});
