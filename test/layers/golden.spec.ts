/**
 * The recorded mixers (test/fixtures/golden/mamba_block): outputs, gradients of the input and of every weight, states, and what
 * follows token by token. Recorded in torch's layouts: a linear weight is [out,in], the convolution's [channels,1,width], its state
 * [batch,channels,width] with a column more than is ever read.
 */
import * as tf from '@tensorflow/tfjs';
import * as layers from '../../src/layers';
import type {Mamba} from '../../src/layers/mamba';
import type {Array64, Arrays} from '../support/arrays';
import {fill, readAndDispose, reshaped, toTensor, transposed} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {fixtureJson} from '../support/fixtures';
import {goldenArrays} from '../support/golden';
import {backendSettings} from '../support/settings';
import {built, evaluateLayer, setWeights, withStates} from './layerUnderTest';

interface GoldenMixer {
  file: string;
  name: string;
  d_model: number;
  d_state: number;
  d_conv: number;
  expand: number;
  dt_rank: number;
  conv_bias: boolean;
  bias: boolean;
}

const {cases} = await fixtureJson<{cases: GoldenMixer[]}>('golden/mamba_block/index.json');

const turned = (array: Array64) => transposed(array, [1, 0]);
const asRecorded = (array: Array64) => array;

/** Our name of a weight, and its layout from torch's. */
const recordedWeights: Record<string, [string, (array: Array64) => Array64]> = {
  'in_proj.weight': ['inProj/kernel', turned],
  'in_proj.bias': ['inProj/bias', asRecorded],
  'conv1d.weight': ['conv/weight', (array) => reshaped(array, [array.shape[0], array.shape[2]])],
  'conv1d.bias': ['conv/bias', asRecorded],
  'x_proj.weight': ['xProj/kernel', turned],
  'dt_proj.weight': ['dtProj/kernel', turned],
  'dt_proj.bias': ['dtProj/bias', asRecorded],
  A_log: ['ALog', asRecorded],
  D: ['D', asRecorded],
  'out_proj.weight': ['outProj/kernel', turned],
  'out_proj.bias': ['outProj/bias', asRecorded],
};

/** The recorded tensors whose name starts with `prefix`, by our names; an unknown one is an error. */
function byOurNames(recorded: Arrays, prefix: string): Arrays {
  const theirs = Object.keys(recorded).filter((name) => name.startsWith(prefix));
  return Object.fromEntries(
    theirs.map((name) => {
      const [ours, layout] = recordedWeights[name.slice(prefix.length)];
      return [ours, layout(recorded[name])];
    }),
  );
}

/** [batch,channels,width] → [batch,width-1,channels], the newest columns. */
function convState(recorded: Array64): Array64 {
  const [batch, channels, width] = recorded.shape;
  const {values} = transposed(recorded, [0, 2, 1]);
  return fill([batch, width - 1, channels], (i) => {
    const row = Math.floor(i / ((width - 1) * channels));
    return values[i + (row + 1) * channels];
  });
}

function recordedLayer(testCase: GoldenMixer, recorded: Arrays): Mamba {
  const layer = layers.mamba({
    dState: testCase.d_state,
    dConv: testCase.d_conv,
    expand: testCase.expand,
    dtRank: testCase.dt_rank,
    convBias: testCase.conv_bias,
    useBias: testCase.bias,
    returnState: true,
  });
  setWeights(built(layer, testCase.d_model), byOurNames(recorded, 'param.'));
  return layer;
}

/** Feeds x [B,L,dModel] token by token from the states after the recorded sequence. */
function stepThrough(layer: Mamba, recorded: Arrays): Promise<Arrays> {
  const outputs = tf.tidy(() => {
    let state = {
      conv: toTensor(convState(recorded.conv_state)) as tf.Tensor3D,
      ssm: toTensor(recorded.ssm_state) as tf.Tensor3D,
    };
    const tokens = tf.unstack(toTensor(recorded.x_next), 1) as tf.Tensor2D[];
    const ys = tokens.map((token) => {
      const result = layer.step(token, state);
      state = result.state;
      return result.y;
    });
    return {y: tf.stack(ys, 1), ...state};
  });
  return readAndDispose(outputs);
}

describe('a recorded mixer', () => {
  it('is one of six', () => {
    expect(cases.length).toBe(6);
  });

  for (const testCase of cases) {
    const path = `golden/mamba_block/${testCase.file}`;

    it(`${testCase.name}: outputs, states and gradients`, async () => {
      const {output, gradient} = backendSettings();
      const recorded = await goldenArrays(path);
      const layer = recordedLayer(testCase, recorded);
      const run = ({x}: Record<string, tf.Tensor>) => withStates(layer.apply(x));
      const {outputs, gradients} = await evaluateLayer(layer, run, {x: recorded.x}, {y: recorded.gout});
      const expected = {y: recorded.out, conv: convState(recorded.conv_state), ssm: recorded.ssm_state};
      expect(mismatches(outputs, expected, output)).toEqual([]);
      expect(mismatches(gradients, {x: recorded.dx, ...byOurNames(recorded, 'grad.')}, gradient)).toEqual([]);
      layer.dispose();
    });

    it(`${testCase.name}: the next tokens, one at a time`, async () => {
      const recorded = await goldenArrays(path);
      const layer = recordedLayer(testCase, recorded);
      const expected = {
        y: recorded.out_next,
        conv: convState(recorded.conv_state_next),
        ssm: recorded.ssm_state_next,
      };
      expect(mismatches(await stepThrough(layer, recorded), expected, backendSettings().output)).toEqual([]);
      layer.dispose();
    });
  }
});
