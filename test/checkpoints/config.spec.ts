import {readConfig} from '../../src/checkpoints/config';
import {writtenConfig} from '../../src/checkpoints/configWriter';
import {blobFile} from '../../src/checkpoints/bytes';
import {parseJsonObject, readJsonObject} from '../../src/checkpoints/json';
import {resolveConfig, type MambaConfig} from '../../src/config/config';
import type {PresetName} from '../../src/config/presets';
import {tinyConfig} from './memoryFiles';

const read = (json: object) => readConfig('config.json', json as Record<string, unknown>).config;
const stateSpaces = {d_model: 768, n_layer: 24, vocab_size: 50277, ssm_cfg: {}, rms_norm: true};

describe('config.json', () => {
  it('of the original repository, as published', () => {
    expect(read({...stateSpaces, residual_in_fp32: true, fused_add_norm: true, pad_vocab_size_multiple: 8})).toEqual(
      resolveConfig('mamba-130m'),
    );
    expect(read({...stateSpaces, vocab_size: 61}).eosTokenIds).toEqual([]);
    const ssm = {
      ...{
        layer: 'Mamba1',
        d_state: 8,
        d_conv: 3,
        expand: 3,
        dt_rank: 7,
        dt_min: 0.01,
        dt_max: 0.2,
        dt_init: 'constant',
      },
      ...{dt_scale: 2, dt_init_floor: 1e-3, conv_bias: false, bias: true, use_fast_path: false},
    };
    expect(read({...stateSpaces, ssm_cfg: ssm, tie_embeddings: false})).toEqual(
      jasmine.objectContaining({
        ...{
          dState: 8,
          dConv: 3,
          expand: 3,
          dInner: 2304,
          dtRank: 7,
          dtMin: 0.01,
          dtMax: 0.2,
          dtInit: 'constant' as const,
        },
        ...{dtScale: 2, dtInitFloor: 1e-3, convBias: false, useBias: true, tieEmbeddings: false},
      }),
    );
    expect(read({...stateSpaces, ssm_cfg: {dt_rank: 'auto'}}).dtRank).toBe(48);
  });

  it('of Hugging Face, with its defaults', () => {
    const config = read({model_type: 'mamba', vocab_size: 50280, hidden_size: 768, num_hidden_layers: 24});
    expect(config).toEqual({...resolveConfig('mamba-130m'), realVocabSize: 50280, padVocabMultiple: 1});
    expect(read({...tinyConfig, time_step_rank: 'auto', intermediate_size: 6})).toEqual(
      jasmine.objectContaining({dtRank: 1, dInner: 6, expand: 1.5}),
    );
  });

  it('is written so that it reads the same', () => {
    const configs: (MambaConfig | PresetName)[] = [
      'mamba-130m',
      {vocabSize: 61, padVocabMultiple: 8, dModel: 24, nLayer: 2, eosTokenIds: [1, 2], bosTokenId: 3, padTokenId: 0},
      {vocabSize: 9, dModel: 7, nLayer: 1, dInner: 11, dtRank: 3, dtInit: 'constant', useBias: true, convBias: false},
    ];
    for (const given of configs) {
      const config = resolveConfig(given);
      const written = JSON.parse(JSON.stringify(writtenConfig(config, 'F16').json)) as Record<string, unknown>;
      expect(written).toEqual(
        jasmine.objectContaining({architectures: ['MambaForCausalLM'], model_type: 'mamba', torch_dtype: 'float16'}),
      );
      // The padded size is all that Hugging Face's layout has.
      expect(read(written)).toEqual({...config, padVocabMultiple: 1});
    }
  });

  it('is written so that it reads the same, of Mamba-2 in whichever layout can say it', () => {
    const base: MambaConfig = {vocabSize: 61, dModel: 8, nLayer: 1, mixer: 'mamba2', headDim: 4, nGroups: 2};
    const configs: Record<string, Partial<MambaConfig>> = {
      huggingface: {normGroups: 1, useBias: true, tieEmbeddings: false, epsilon: 1e-3},
      'huggingface, with a lower limit': {normGroups: 1, dtLimit: [0.1, 3.4028234663852886e38]},
      'huggingface, of a width whose factor rounds down': {
        dModel: 7,
        dInner: 61,
        headDim: 1,
        nGroups: 1,
        normGroups: 1,
      },
      'state-spaces': {normBeforeGate: true, padVocabMultiple: 16, tieEmbeddings: false},
      'state-spaces, with an ε of its own': {gatedNorm: false, epsilon: 1e-3},
      'state-spaces, with groups of the norm of its own': {dHasHeadDim: true, normGroups: 1},
      'state-spaces, with more groups of the norm': {normGroups: 4},
      'state-spaces, of a width whose factor rounds down': {dModel: 7, dInner: 122, headDim: 1},
      'state-spaces, with rows that are no tokens': {vocabSize: 64, realVocabSize: 50},
    };
    for (const [what, given] of Object.entries(configs)) {
      const config = resolveConfig({...base, ...given});
      const {json, layout} = writtenConfig(config, 'F32');
      const read = readConfig('config.json', JSON.parse(JSON.stringify(json)) as Record<string, unknown>);
      expect(layout)
        .withContext(what)
        .toBe(what.split(',')[0] as typeof layout);
      expect(read.format).withContext(what).toBe(layout);
      const {eosTokenIds} = read.config; // generation_config.json says them
      expect(read.config)
        .withContext(what)
        .toEqual({...config, eosTokenIds});
    }
  });

  it('says the largest float32 for no upper limit, where there is a lower one', () => {
    const config: MambaConfig = {vocabSize: 61, dModel: 8, nLayer: 1, mixer: 'mamba2', headDim: 4};
    const written = (dtLimit: [number, number]) => {
      return writtenConfig(resolveConfig({...config, dtLimit}), 'F32').json.time_step_limit;
    };
    expect(written([0.1, Infinity])).toEqual([0.1, Math.fround(3.4028234663852886e38)]);
    expect(written([0, Infinity])).toBeUndefined();
  });

  it('of Hugging Face takes what transformers takes where the file is silent', () => {
    const silent = {vocab_size: 61, hidden_size: 256, num_hidden_layers: 1};
    const mamba2 = read({...silent, model_type: 'mamba2'});
    expect(mamba2).toEqual(
      jasmine.objectContaining({nGroups: 8, normGroups: 1, tieEmbeddings: false, eosTokenIds: [2]}),
    );
    const falcon = read({...silent, model_type: 'falcon_mamba'});
    expect(falcon).toEqual(jasmine.objectContaining({mixerEpsilon: 1e-6, tieEmbeddings: true, eosTokenIds: [0]}));
  });

  it('of anything else is refused by name', () => {
    const refused: [object, RegExp][] = [
      [{...tinyConfig, model_type: 'jamba'}, /config\.json: model_type "jamba" is not supported, only "mamba", .* are/],
      [{...tinyConfig, model_type: 'llama'}, /model_type "llama"/],
      [{...tinyConfig, model_type: 5}, /model_type must be a string, but is 5/],
      [{...tinyConfig, hidden_act: 'gelu'}, /hidden_act "gelu" is not supported, only "silu"/],
      [{...tinyConfig, rms_norm: false}, /rms_norm false is not supported/],
      [{...tinyConfig, quantization_config: {}}, /quantized/],
      [{...tinyConfig, hidden_size: undefined}, /lacks hidden_size/],
      [{...tinyConfig, hidden_size: '4'}, /hidden_size must be a number, but is "4"/],
      [{...tinyConfig, hidden_size: -4}, /config\.json: MambaConfig: dModel must be a positive integer, but is -4/],
      [{...tinyConfig, time_step_rank: 'all'}, /time_step_rank must be a number, but is "all"/],
      [{...tinyConfig, time_step_init_scheme: 'zero'}, /dtInit must be/],
      [{...tinyConfig, use_bias: 1}, /use_bias must be a boolean, but is 1/],
      [{...tinyConfig, eos_token_id: 5}, /eosTokenIds must be a token id below vocabSize, 5/],
      [{vocab_size: 5}, /no Mamba configuration/],
      [{...stateSpaces, ssm_cfg: {layer: 'Mamba3'}}, /ssm_cfg: layer "Mamba3" is not supported, only "Mamba1"/],
      [{...stateSpaces, ssm_cfg: {headdim: 64}}, /ssm_cfg has "headdim", which is not supported/],
      [{...stateSpaces, ssm_cfg: []}, /ssm_cfg must be an object/],
      [{...stateSpaces, rms_norm: false}, /rms_norm false is not supported/],
      [{...stateSpaces, d_intermediate: 64}, /d_intermediate 64 is not supported/],
      [{...stateSpaces, attn_layer_idx: [3]}, /attn_layer_idx \[3\] is not supported/],
      [{...stateSpaces, vocab_size: undefined}, /lacks vocab_size/],
    ];
    for (const [json, message] of refused) expect(() => read(json)).toThrowError(message);
  });
});

describe('JSON of files', () => {
  it('may have the numbers that Python writes, where nobody reads them', () => {
    const text = '{"time_step_limit": [0.0, Infinity, -Infinity, NaN], "s": "NaN, \\"-Infinity", "n": -1}';
    expect(parseJsonObject('f', text)).toEqual({
      time_step_limit: [0, 'Infinity', '-Infinity', 'NaN'],
      s: 'NaN, "-Infinity',
      n: -1,
    });
    expect(() => read(parseJsonObject('f', JSON.stringify(tinyConfig).replace(':3', ':NaN')))).toThrowError(
      /conv_kernel must be a number, but is "NaN"/,
    );
  });

  it('may have strings that end in backslashes, and quotes after any number of them', () => {
    for (let count = 0; count < 5; count++) {
      for (const after of ['', '"', '", "x": NaN']) {
        const key = '\\'.repeat(count) + after;
        const value = {[key]: key, next: {[key]: 'NaN'}};
        expect(parseJsonObject('f', JSON.stringify(value))).toEqual(value);
      }
      const twice = `${'\\'.repeat(2 * count)}\\"`;
      expect(() => parseJsonObject('f', `{"${twice}":1,"${twice}":2}`)).toThrowError(/twice/);
      expect(() => parseJsonObject('f', `{"a":"${twice}`)).toThrowError(/ends inside a string/);
    }
  });

  it('is refused if broken, ambiguous or no object', async () => {
    const refused: [string, RegExp][] = [
      ['', /f is not JSON/],
      ['[]', /must hold a JSON object/],
      ['null', /must hold a JSON object/],
      ['{"a":1,}', /not JSON/],
      ['{"a":1 Nope}', /not JSON/],
      ['}', /not JSON/],
      ['{"a":{"b":1,"b":2}}', /f has the key "b" twice/],
      [`${'['.repeat(65)}${']'.repeat(65)}`, /nests deeper than 64/],
      ['{"a":"\\', /ends inside a string/],
    ];
    for (const [text, message] of refused) expect(() => parseJsonObject('f', text)).toThrowError(message);
    const notText = blobFile('f', new Blob([Uint8Array.of(0x7b, 0xff, 0x7d)]));
    await expectAsync(readJsonObject(notText)).toBeRejectedWithError(/f is not UTF-8/);
    expect(parseJsonObject('f', '{"a":"\\\\","b":[{"a":1},{"a":2}],"__proto__":1}')['a']).toBe('\\');
  });
});
