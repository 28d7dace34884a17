import {resolveConfig, type MambaConfig} from '../../src/config/config';
import {presets, type PresetName} from '../../src/config/presets';
import {countParameters} from '../../src/config/weightTable';

const small: MambaConfig = {vocabSize: 61, dModel: 24, nLayer: 2};

describe('MambaConfig', () => {
  it('fills in the defaults', () => {
    expect(resolveConfig(small)).toEqual({
      vocabSize: 61,
      realVocabSize: 61,
      dModel: 24,
      nLayer: 2,
      dState: 16,
      dConv: 4,
      expand: 2,
      dInner: 48,
      dtRank: 2,
      dtMin: 0.001,
      dtMax: 0.1,
      dtInit: 'random',
      dtScale: 1,
      dtInitFloor: 1e-4,
      convBias: true,
      useBias: false,
      epsilon: 1e-5,
      tieEmbeddings: true,
      padVocabMultiple: 1,
      eosTokenIds: [],
    });
  });

  it('pads the vocabulary and remembers the tokens', () => {
    const padded = resolveConfig({...small, padVocabMultiple: 8});
    expect([padded.vocabSize, padded.realVocabSize]).toEqual([64, 61]);
    expect(resolveConfig({...small, vocabSize: 64, padVocabMultiple: 8}).vocabSize).toBe(64);
  });

  it('resolves to a configuration that resolves to itself', () => {
    const configs: (MambaConfig | PresetName)[] = [
      'mamba-2.8b',
      {...small, padVocabMultiple: 8, eosTokenIds: [3], bosTokenId: 1, padTokenId: 2},
      {...small, dModel: 49, dInner: 67},
      {...small, dModel: 7, expand: 1.5},
      {...small, dModel: 7, dInner: 61},
      {...small, dModel: 9, expand: 2.1, dInner: 19},
      {...small, mixer: 'mamba2', headDim: 4},
    ];
    for (const config of configs) {
      const resolved = resolveConfig(config);
      expect(resolveConfig(resolved)).toEqual(resolved);
      expect(resolveConfig(JSON.parse(JSON.stringify(resolved)) as MambaConfig)).toEqual(resolved);
    }
  });

  it('gives the inner width by expand or by itself', () => {
    expect(resolveConfig({...small, dModel: 7, expand: 1.5}).dInner).toBe(10);
    expect(resolveConfig({...small, dInner: 30})).toEqual(jasmine.objectContaining({dInner: 30, expand: 1.25}));
    for (const given of [{dInner: 61}, {dInner: 19, expand: 2.8}]) {
      const {expand, dInner} = resolveConfig({...small, dModel: 7, ...given});
      expect(Math.floor(expand * 7)).toBe(dInner); // what a file says that states `expand` alone
    }
    expect(() => resolveConfig({...small, expand: 2, dInner: 30})).toThrowError(/dInner must be expand · dModel = 48/);
  });

  // What the published checkpoints hold (safetensors metadata of state-spaces/mamba-*-hf on the Hub).
  it('counts the parameters of the presets', () => {
    const names = Object.keys(presets).filter((name) => name.startsWith('mamba-'));
    const counts = names.map((name) => countParameters(resolveConfig(name as PresetName)));
    expect(counts).toEqual([129_135_360, 371_516_416, 793_204_224, 1_372_178_432, 2_768_345_600]);
  });

  it('counts a head of its own, and biases', () => {
    const {dModel, dInner, vocabSize, nLayer} = resolveConfig(small);
    const base = countParameters(resolveConfig(small));
    expect(countParameters(resolveConfig({...small, tieEmbeddings: false})) - base).toBe(dModel * vocabSize);
    expect(countParameters(resolveConfig({...small, useBias: true})) - base).toBe(nLayer * (2 * dInner + dModel));
    expect(base - countParameters(resolveConfig({...small, convBias: false}))).toBe(nLayer * dInner);
  });

  it('names the field that is wrong, what was expected and what was given', () => {
    const wrong: [object, RegExp][] = [
      [{vocabSize: 0}, /vocabSize must be a positive integer, but is 0/],
      [{dModel: 1.5}, /dModel must be a positive integer, but is 1.5/],
      [{nLayer: '2'}, /nLayer must be a positive integer, but is "2"/],
      [{dState: -1}, /dState must be a positive integer, but is -1/],
      [{dConv: null}, /dConv must be a positive integer, but is null/],
      [{expand: 0}, /expand must be a positive number, but is 0/],
      [{expand: 0.01}, /expand · dModel, 0.01 · 24, must be at least 1, but is 0/],
      [{dInner: NaN}, /dInner must be a positive integer/],
      [{dtRank: 'big'}, /dtRank must be a positive integer or 'auto', but is "big"/],
      [{dtMin: 0}, /dtMin must be a positive number, but is 0/],
      [{dtMin: 0.5}, /dtMin must be at most dtMax, 0.1, but is 0.5/],
      [{dtMax: Infinity}, /dtMax must be a positive number/],
      [{dtInit: 'zeros'}, /dtInit must be one of 'random', 'constant', but is "zeros"/],
      [{dtScale: -1}, /dtScale must be a positive number/],
      [{dtInitFloor: '1e-4'}, /dtInitFloor must be a positive number/],
      [{convBias: 1}, /convBias must be true or false, but is 1/],
      [{useBias: 'no'}, /useBias must be true or false/],
      [{epsilon: 0}, /epsilon must be a positive number/],
      [{tieEmbeddings: null}, /tieEmbeddings must be true or false, but is null/],
      [{padVocabMultiple: 0}, /padVocabMultiple must be a positive integer/],
      [{realVocabSize: 62}, /realVocabSize must be at most vocabSize, 61, but is 62/],
      [{eosTokenIds: 0}, /eosTokenIds must be an array/],
      [{eosTokenIds: [61]}, /eosTokenIds must be a token id below vocabSize, 61, but is 61/],
      [{padTokenId: -1}, /padTokenId must be a token id/],
      [{dmodel: 24}, /has no field dmodel/],
      [{dModel: 1e9, nLayer: 1e9}, /out of reach/],
    ];
    for (const [fields, message] of wrong) {
      expect(() => resolveConfig({...small, ...fields})).toThrowError(message);
    }
    const mamba2: [object, RegExp][] = [
      [{aInitRange: [1, Infinity]}, /aInitRange must be two positive numbers, \[smallest, largest\]/],
      [{dtLimit: [0.2, 0.1]}, /dtLimit must be two numbers from 0 on, .* but is \[0.2,0.1\]/],
      [{dtLimit: [null, 1]}, /dtLimit must be/],
      [{headDim: 5}, /headDim must be a divisor of dInner, 48, but is 5/],
    ];
    for (const [fields, message] of mamba2) {
      expect(() => resolveConfig({...small, mixer: 'mamba2', headDim: 4, ...fields})).toThrowError(message);
    }
    expect(() => resolveConfig('mamba-7b' as PresetName)).toThrowError(/one of mamba-130m.*but is "mamba-7b"/);
    expect(() => resolveConfig(undefined as never)).toThrowError(/must be an object/);
  });
});
