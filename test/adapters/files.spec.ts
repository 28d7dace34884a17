/** Files of adapters that are wrong are refused by name and leave the model as it was; what is saved into a folder stands beside a model. */
import {mkdtemp, readdir, readFile, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import {addAdapter, loadAdapter, saveAdapter} from '../../src/adapters';
import type {MambaLM} from '../../src/lm/model';
import {savePretrained} from '../../src/lm/pretrained';
import '../../src/node';
import {folderFiles, golden, memorySource, parseSafetensors, safetensors} from '../checkpoints/memoryFiles';
import {expectHarmless, readMutated} from '../checkpoints/mutate';
import {loadGolden} from '../lm/goldenModels';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';
const inProj = 'base_model.model.backbone.layers.0.mixer.in_proj';

const loadBase = () => loadGolden({folder: 'lm/mamba_v64_h32', files: ['config.json', 'model.safetensors']});
const files = (name: string) => folderFiles(join(golden, 'peft', name));
const jsonOf = (name: string) =>
  JSON.parse(new TextDecoder().decode(files(name)[CONFIG] as Uint8Array)) as Record<string, unknown>;
const withConfig = (change: object) => ({
  ...files('lora_r4'),
  [CONFIG]: JSON.stringify({...jsonOf('lora_r4'), ...change}),
});

/** The weights with another header. */
function withHeader(name: string, change: (header: Record<string, unknown>) => void) {
  const given = files(name);
  const {header, data} = parseSafetensors(given[WEIGHTS] as Uint8Array);
  change(header);
  return {...given, [WEIGHTS]: safetensors(header, new Uint8Array(data.buffer, data.byteOffset, data.byteLength))};
}

function rename(header: Record<string, unknown>, from: string, to: string): void {
  header[to] = header[from];
  delete header[from];
}

const without = (name: string) => Object.fromEntries(Object.entries(files('lora_r4')).filter(([key]) => key !== name));

const wrong: Array<[string, Parameters<typeof memorySource>[0], RegExp]> = [
  ['no configuration', without(CONFIG), /memory has no adapter_config\.json/],
  ['no weights', without(WEIGHTS), /memory has no adapter_model\.safetensors/],
  [
    'another method',
    withConfig({peft_type: 'IA3'}),
    /adapter_config\.json: peft_type "IA3" is not supported, only LORA/,
  ],
  ['a bias', withConfig({bias: 'all'}), /bias "all" is not supported/],
  ['whole modules', withConfig({modules_to_save: ['lm_head']}), /modules_to_save \["lm_head"\] is not supported/],
  [
    'a start that moves the base',
    withConfig({init_lora_weights: 'pissa_niter_4'}),
    /init_lora_weights "pissa_niter_4" is not/,
  ],
  ['no alpha', withConfig({lora_alpha: null}), /adapter_config\.json lacks lora_alpha/],
  ['an alpha of 0', withConfig({lora_alpha: 0}), /lora_alpha must be a positive number, but is 0/],
  ['a dropout of 1', withConfig({lora_dropout: 1}), /lora_dropout must be at least 0 and below 1/],
  ['a pattern that is more than a name', withConfig({alpha_pattern: {'(a+)+b': 1}}), /alpha_pattern has "\(a\+\)\+b"/],
  [
    'magnitudes that are not there',
    withConfig({use_dora: true}),
    /lacks base_model.*lora_magnitude_vector, but use_dora is true/,
  ],
  [
    'half a correction',
    withHeader('lora_r4', (header) => rename(header, `${inProj}.lora_A.weight`, `${inProj}.lora_magnitude_vector`)),
    /lacks the tensor base_model\.model\.backbone\.layers\.0\.mixer\.in_proj\.lora_A\.weight/,
  ],
  [
    'a tensor of no weight',
    withHeader('lora_r4', (header) => rename(header, `${inProj}.lora_A.weight`, 'base_model.model.x.lora_A.weight')),
    /has the tensor base_model\.model\.x\.lora_A\.weight, which this model has no place for/,
  ],
  [
    'another shape',
    withHeader('lora_r4', (header) => ((header[`${inProj}.lora_B.weight`] as {shape: number[]}).shape = [4, 128])),
    /in_proj\.lora_B\.weight must have the shape \[128,4\], but has \[4,128\]/,
  ],
  [
    'the head of another model',
    files('lora_head'),
    /lm_head\.base_layer\.weight, which .* no place for; .*'embeddings' corrects both/,
  ],
];

describe('loadAdapter', () => {
  let model: MambaLM;
  beforeAll(async () => {
    model = await loadBase();
  });
  afterAll(() => {
    model.dispose();
  });

  for (const [name, given, message] of wrong) {
    it(`refuses ${name}, and leaves the adapter that there is`, async () => {
      addAdapter(model, {targets: ['x_proj']});
      const {adapter} = model;
      const tensors = tf.memory().numTensors;
      await expectAsync(loadAdapter(model, memorySource(given))).toBeRejectedWithError(message);
      expect(model.adapter).toBe(adapter);
      expect(tf.memory().numTensors).toBe(tensors);
      adapter!.dispose();
    });
  }

  it('refuses what is no source, by what it is', async () => {
    for (const [source, given] of [
      [null, 'null'],
      [5, 'number 5'],
      [{}, 'Object'],
    ] as const) {
      await expectAsync(loadAdapter(model, source as never)).toBeRejectedWithError(
        `loadAdapter: source must be a URL, a Hub id, a path or an object {name, open(file)}, but is ${given}`,
      );
    }
  });

  it('takes the alpha of each weight', async () => {
    const logits = async (given: Parameters<typeof memorySource>[0]) => {
      await loadAdapter(model, memorySource(given));
      const ids = tf.tensor2d([[1, 2, 3]], undefined, 'int32');
      const values = await (model.predict(ids) as tf.Tensor).data();
      ids.dispose();
      return values;
    };
    const whole = await logits(withConfig({lora_alpha: 5}));
    expect(await logits(withConfig({lora_alpha: 8, alpha_pattern: {in_proj: 5, 'mixer.x_proj': 5}}))).toEqual(whole);
    expect(await logits(withConfig({lora_alpha: 8, alpha_pattern: {proj: 5}}))).not.toEqual(whole);
    model.adapter!.dispose();
  });

  it('refuses an adapter whose own copy of the weight beneath is another', async () => {
    const untied = await loadGolden({folder: 'lm/mamba_untied_bias_k3', files: ['config.json', 'model.safetensors']});
    const given = files('lora_head');
    const {header, data} = parseSafetensors(given[WEIGHTS] as Uint8Array);
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
    bytes[header['base_model.model.lm_head.base_layer.weight'].data_offsets[0]] ^= 1;
    const source = memorySource({...given, [WEIGHTS]: safetensors(header, bytes)});
    await expectAsync(loadAdapter(untied, source)).toBeRejectedWithError(
      /of another model: its lm_head\.base_layer\.weight/,
    );
    await expectAsync(loadAdapter(untied, memorySource(given))).toBeResolved();
    untied.dispose();
  });

  for (const name of [CONFIG, WEIGHTS]) {
    it(`reads mutated files of ${name} harmlessly`, async () => {
      const given = files('dora_r4') as Record<string, Uint8Array>;
      const json =
        name === CONFIG
          ? {value: jsonOf('dora_r4'), write: (text: string) => new TextEncoder().encode(text)}
          : undefined;
      const outcome = await readMutated(
        {
          bytes: given[name],
          json,
          named: /adapter_(config\.json|model\.safetensors)/,
          async read(bytes) {
            const before = tf.memory().numTensors;
            await loadAdapter(model, memorySource({...given, [name]: bytes}));
            model.adapter!.dispose();
            return tf.memory().numTensors === before ? undefined : 'tensors stay';
          },
        },
        500,
      );
      expectHarmless(outcome, 500);
    });
  }
});

describe('saveAdapter', () => {
  it('puts an adapter beside a model, and a model beside an adapter', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tfjs-mamba-adapter-'));
    const model = await loadBase();
    try {
      await savePretrained(model, folder);
      await writeFile(join(folder, 'mine.txt'), 'mine');
      addAdapter(model, {rank: 2, targets: ['layers.1.mixer.in_proj', 'x_proj'], seed: 1});
      await saveAdapter(model, folder);
      const names = [CONFIG, WEIGHTS, 'config.json', 'generation_config.json', 'mine.txt', 'model.safetensors'];
      expect((await readdir(folder)).sort()).toEqual(names.sort());
      const config = JSON.parse(await readFile(join(folder, CONFIG), 'utf8')) as Record<string, unknown>;
      expect(config['target_modules']).toEqual(['x_proj', 'backbone.layers.1.mixer.in_proj']);
      const {targets} = await loadAdapter(model, folder);
      expect(targets.length).toBe(3);
      model.adapter!.dispose();
      await expectAsync(saveAdapter(model, folder)).toBeRejectedWithError(/the model has no adapter/);
      await savePretrained(model, folder);
      expect((await readdir(folder)).sort()).toEqual(names.sort());
    } finally {
      model.dispose();
      await rm(folder, {recursive: true});
    }
  });
});
