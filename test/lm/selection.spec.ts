/** What a model selects, and what its state keeps, against the formulas in float64. */
import * as tf from '@tensorflow/tfjs';
import {mambaLM, registerMixer, selection, type MambaLM} from '../../src';
import {mixerNamed} from '../../src/mixers';
import {linearReference} from '../../src/ops/linear/reference';
import {rmsNormReference} from '../../src/ops/rmsNorm/reference';
import {softplus} from '../../src/ops/scalar';
import {s4d} from '../mixers/s4d';
import {reshaped, type Array64, type Arrays} from '../support/arrays';
import {relativeError} from '../support/closeness';
import {mixerReference, stepSizeReference} from '../support/mixerReference';
import {smallConfig, smallModel} from './smallModel';

const ids = [3, 1, 4, 1, 5, 9, 2];
const length = ids.length;

/** The weights whose names begin so, by the rest of them. */
function weightsOf(model: MambaLM, prefix: string): Arrays {
  const own = [...model.weightsByName()].filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(
    own.map(([name, variable]) => {
      const tensor = variable.read();
      return [name.slice(prefix.length), {shape: tensor.shape, values: Float64Array.from(tensor.dataSync())}];
    }),
  );
}

function embedded(model: MambaLM): Array64 {
  const {values} = weightsOf(model, 'embeddings/')['weight'];
  const {dModel} = model.config;
  const rows = ids.flatMap((id) => [...values.subarray(id * dModel, (id + 1) * dModel)]);
  return {shape: [1, length, dModel], values: Float64Array.from(rows)};
}

const normalized = (model: MambaLM, layer: number, x: Array64) =>
  rmsNormReference({x, weight: weightsOf(model, `layers.${layer}/norm/`)['weight']}, model.config.epsilon).y;

/** Means over the channels of steps [L,E], and over channels and states of what is left at a position, A = −exp(ALog) [E] or [E,N]. */
function expected(steps: Float64Array, ALog: Array64, at: number) {
  const channels = ALog.shape[0];
  const states = ALog.values.length / channels;
  const [delta, kept] = [new Float64Array(length), new Float64Array(length)];
  for (let t = 0; t < length; t++) {
    for (let e = 0; e < channels; e++) {
      delta[t] += steps[t * channels + e] / channels;
      for (let n = 0; n < states && t <= at; n++) {
        let share = 1;
        for (let i = t + 1; i <= at; i++)
          share *= Math.exp(-Math.exp(ALog.values[e * states + n]) * steps[i * channels + e]);
        kept[t] += share / (channels * states);
      }
    }
  }
  return {delta, kept};
}

describe('selection', () => {
  it("gives Mamba's step sizes and what is left of each token, layer by layer", async () => {
    const model = smallModel();
    const before = tf.memory().numTensors;
    for (const at of [undefined, 0, 4]) {
      const given = await selection(model, ids, {at});
      let x = embedded(model);
      for (let layer = 0; layer < smallConfig.nLayer; layer++) {
        const weights = weightsOf(model, `layers.${layer}/mixer/`);
        const inputs = {...weights, x: normalized(model, layer, x)};
        const wanted = expected(stepSizeReference(inputs).values, weights['ALog'], at ?? length - 1);
        for (const name of ['delta', 'kept'] as const) {
          const row = Float64Array.from(given[name].subarray(layer * length, (layer + 1) * length));
          expect(relativeError(row, wanted[name]))
            .withContext(`${name} of layer ${layer}, at ${at}`)
            .toBeLessThan(1e-5);
        }
        const {values} = mixerReference(inputs).y;
        x = {shape: x.shape, values: x.values.map((value, i) => value + values[i])};
      }
    }
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  it("gives those of Mamba-2's heads, within their limits", async () => {
    const dtLimit: [number, number] = [0.02, 0.05];
    const heads = {mixer: 'mamba2', dInner: 12, headDim: 3, nGroups: 2, dtLimit, nLayer: 1} as const;
    const model = smallModel(heads);
    const weights = weightsOf(model, 'layers.0/mixer/');
    const x = reshaped(normalized(model, 0, embedded(model)), [length, smallConfig.dModel]);
    const projected = linearReference({x, kernel: weights['inProj/kernel']}, false);
    const [width, count] = [projected.shape[1], weights['dtBias'].values.length];
    const steps = Float64Array.from({length: length * count}, (_, i) => {
      const delta = projected.values[Math.floor(i / count) * width + width - count + (i % count)];
      return Math.min(dtLimit[1], Math.max(dtLimit[0], softplus(delta + weights['dtBias'].values[i % count])));
    });
    // The limits are to matter, and not everywhere.
    expect(new Set(steps).size).toBeGreaterThan(3);
    expect(steps.some((step) => dtLimit.includes(step))).toBeTrue();
    const {delta, kept} = await selection(model, ids);
    const wanted = expected(steps, weights['ALog'], length - 1);
    expect(relativeError(Float64Array.from(delta), wanted.delta)).toBeLessThan(1e-5);
    expect(relativeError(Float64Array.from(kept), wanted.kept)).toBeLessThan(1e-5);
    model.dispose();
  });

  it('says what is wrong', async () => {
    const model = smallModel();
    const wrong: Array<[number[], object, RegExp]> = [
      [[], {}, /^selection: ids must hold at least one token, but is empty$/],
      [[1, 99], {}, /^selection: ids must be from 0 to \d+, but one is 99$/],
      [[1.5], {}, /^selection: ids must be from 0 to \d+, but one is 1.5$/],
      [ids, {at: 7}, /^selection: at must be from 0 to 6, but is 7$/],
      [ids, {att: 1}, /^selection: .*att/],
    ];
    for (const [given, options, message] of wrong) {
      await expectAsync(selection(model, given, options)).toBeRejectedWithError(message);
    }
    model.dispose();
    try {
      mixerNamed(s4d.name);
    } catch {
      registerMixer(s4d);
    }
    const other = mambaLM({vocabSize: 11, dModel: 6, nLayer: 1, mixer: 's4d'});
    await expectAsync(selection(other, ids)).toBeRejectedWithError(
      /^selection: the mixer must be mamba1 or mamba2, but is s4d$/,
    );
    other.dispose();
  });
});
