/**
 * Split anywhere: a sequence taken in parts, or step by step, and carried by the state is one pass through the layer, in outputs,
 * states and the gradients of everything.
 */
import * as tf from '@tensorflow/tfjs';
import type {Mamba, MambaLayerArgs} from '../../src/layers/mamba';
import type {LayerState} from '../../src/mixers/mamba1/run';
import {projectionsOf} from '../ops/opUnderTest';
import {integer, seededRandom} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings, randomSeed} from '../support/settings';
import type {Tensors} from './layerUnderTest';
import {evaluateLayer, nonEmpty, randomInputs, recurrentLayers, trainedLayer, withStates} from './layerUnderTest';

const dModel = 6;

/** Everything about the layer that a split could get wrong. */
const configurations: Array<MambaLayerArgs & {length: number}> = [
  {length: 1, dConv: 4, dState: 3},
  {length: 2, dConv: 4, dState: 3, useBias: true},
  {length: 3, dConv: 2, dState: 1, convBias: false},
  {length: 7, dConv: 3, dState: 4, dtRank: 3},
  {length: 31, dConv: 1, dState: 2, expand: 1},
  {length: 33, dConv: 4, dState: 4, dInner: 5},
];

/** Lengths of the parts: cuts at up to three random places. */
function randomParts(length: number): number[] {
  const random = seededRandom(randomSeed + length);
  const cuts = new Set(Array.from({length: Math.min(3, length - 1)}, () => integer(random, 1, length - 1)));
  const ends = [...cuts, length].sort((a, b) => a - b);
  return ends.map((end, i) => end - (ends[i - 1] ?? 0));
}

/** TensorFlow.js has no gradient of a split or an unstack into a single piece. */
const cut = (x: tf.Tensor, parts: number[]) => (parts.length === 1 ? [x] : tf.split(x, parts, 1));
const positions = (x: tf.Tensor) => (x.shape[1] === 1 ? [x.squeeze([1])] : tf.unstack(x, 1));

type Way = (layer: Mamba, inputs: Tensors) => Tensors;

const onePass: Way = (layer, {x, conv, ssm}) => withStates(layer.apply([x, conv, ssm]));

const inParts: Way = (layer, {x, conv, ssm}) => {
  let state = [conv, ssm];
  const ys = cut(x, randomParts(x.shape[1]!)).map((part) => {
    const outputs = withStates(layer.apply([part, ...state]));
    state = [outputs.conv, outputs.ssm];
    return outputs.y;
  });
  return {y: tf.concat(ys, 1), conv: state[0], ssm: state[1]};
};

const stepByStep: Way = (layer, {x, conv, ssm}) => {
  let state = {conv, ssm} as LayerState;
  const ys = positions(x).map((token) => {
    const result = layer.step(token as tf.Tensor2D, state);
    state = result.state;
    return result.y;
  });
  return {y: tf.stack(ys, 1), ...state};
};

const ways = {'in parts': inParts, 'step by step': stepByStep};

for (const [kind, make] of Object.entries(recurrentLayers)) {
  describe(`${kind} over a sequence`, () => {
    for (const {length, ...args} of configurations) {
      for (const [name, way] of Object.entries(ways)) {
        it(`of length ${length} with ${JSON.stringify(args)}, ${name}, is one pass`, async () => {
          const random = seededRandom(randomSeed + length);
          const layer = trainedLayer(make({...args, returnState: true}) as Mamba, dModel, random);
          const inputs = nonEmpty({...randomInputs(random, {batch: 2, length, dModel}, layer.mixerConfig)});
          const noPast = () => tf.zeros([2, 0, layer.mixerConfig.dInner]);
          const run = (taken: Way) => (given: Tensors) => nonEmpty(taken(layer, {conv: noPast(), ...given}));
          const shapes = {y: inputs.x, ...(inputs.conv && {conv: inputs.conv}), ssm: inputs.ssm};
          const projections = projectionsOf(shapes, randomSeed);
          const expected = await evaluateLayer(layer, run(onePass), inputs, projections);
          const actual = await evaluateLayer(layer, run(way), inputs, projections);
          const {output, gradient} = backendSettings();
          expect(mismatches(actual.outputs, expected.outputs, output)).toEqual([]);
          expect(mismatches(actual.gradients, expected.gradients, gradient)).toEqual([]);
          layer.dispose();
        });
      }
    }
  });
}
