/** The optimizer's kernels against their float64 reference, by each backend's own kernels and by the composed ones. */
import * as tf from '@tensorflow/tfjs';
import {adamWUpdate, clipScale, globalNorm, packFlat, unpackFlat} from '../../src/ops/adamW';
import type {AdamWUpdateArgs} from '../../src/ops/adamW';
import type {AdamWReferenceState} from '../../src/ops/adamW/reference';
import {adamWReference, globalNormReference} from '../../src/ops/adamW/reference';
import type {Array64, Arrays} from '../support/arrays';
import {normal, readAndDispose, seededRandom, toTensor, uniform} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {describeComposed} from '../support/composedKernels';
import {backendSettings, randomSeed} from '../support/settings';

const shapes = [[], [1], [7], [3, 5], [2, 3, 4], [130, 17]];
const weightDecay = [0, 0.1, 0, 0.1, 0.25, 0.1];
const constants = {learningRate: 0.01, beta1: 0.9, beta2: 0.95, epsilon: 1e-8};

const asArrays = (name: string, list: Float64Array[]): Arrays =>
  Object.fromEntries(list.map((values, i) => [`${name}[${i}]`, {shape: shapes[i], values}]));

/** Some steps of every variable, from zero moments, by the op and by the reference; what is wrong, in words. */
async function compareSteps(steps: number, scale: number | undefined): Promise<string[]> {
  const random = seededRandom(randomSeed);
  const draw = () => shapes.map((shape, i) => normal(random, shape, 10 ** (i - 3)));
  const start = draw();
  let states: AdamWReferenceState[] = start.map(({values}) => ({
    param: values,
    firstMoment: values.map(() => 0),
    secondMoment: values.map(() => 0),
  }));
  let params = start.map(toTensor);
  let firstMoments: tf.Tensor[] = params.map((param) => tf.zerosLike(param));
  let secondMoments: tf.Tensor[] = params.map((param) => tf.zerosLike(param));
  for (let step = 1; step <= steps; step++) {
    const gradients = draw();
    const before = [...params, ...firstMoments, ...secondMoments];
    const grads = gradients.map(toTensor);
    const gradScale = scale === undefined ? undefined : tf.scalar(scale);
    const args = {params, grads, firstMoments, secondMoments, gradScale, ...constants, step, weightDecay};
    ({params, firstMoments, secondMoments} = adamWUpdate(args));
    tf.dispose([...before, ...grads, ...(gradScale ? [gradScale] : [])]);
    states = states.map((state, i) =>
      adamWReference(state, gradients[i].values, {
        ...constants,
        step,
        weightDecay: weightDecay[i],
        gradScale: Math.fround(scale ?? 1),
      }),
    );
  }
  const named = (list: tf.Tensor[], name: string) => list.map((tensor, i) => [`${name}[${i}]`, tensor] as const);
  const actual = await readAndDispose(
    Object.fromEntries([...named(params, 'param'), ...named(firstMoments, 'm'), ...named(secondMoments, 'v')]),
  );
  const expected = {
    ...asArrays(
      'param',
      states.map(({param}) => param),
    ),
    ...asArrays(
      'm',
      states.map(({firstMoment}) => firstMoment),
    ),
    ...asArrays(
      'v',
      states.map(({secondMoment}) => secondMoment),
    ),
  };
  return mismatches(actual, expected, backendSettings().output);
}

/** How far the norm of arrays is from its reference, relatively. */
async function normError(arrays: Array64[]): Promise<number> {
  const tensors = arrays.map(toTensor);
  const {norm} = await readAndDispose({norm: globalNorm(tensors)});
  tf.dispose(tensors);
  const expected = globalNormReference(arrays.map(({values}) => values));
  expect(norm.shape).toEqual([]);
  return Math.abs(norm.values[0] - expected) / expected;
}

function agreesWithReference(): void {
  it('takes a single step as the reference does', async () => {
    expect(await compareSteps(1, undefined)).toEqual([]);
  });

  it('takes twenty steps with scaled gradients as the reference does', async () => {
    expect(await compareSteps(20, 0.3)).toEqual([]);
  });

  it('finds the norm of many tensors together', async () => {
    const random = seededRandom(randomSeed);
    const arrays = shapes.map((shape, i) => normal(random, shape, 10 ** (i - 3)));
    expect(await normError(arrays)).toBeLessThan(1e-6);
    expect(await normError([normal(random, [1], 3)])).toBeLessThan(1e-6);
  });

  it('leaves no tensor behind and its inputs alone', async () => {
    const before = tf.memory().numTensors;
    const args = validArgs();
    const inputs = [...args.params, ...args.grads, ...args.firstMoments, ...args.secondMoments];
    const values = await Promise.all(inputs.map((tensor) => tensor.data()));
    const copies = values.map((array) => array.slice());
    tf.dispose([...Object.values(adamWUpdate(args)).flat(), globalNorm(args.grads)]);
    expect(await Promise.all(inputs.map((tensor) => tensor.data()))).toEqual(copies);
    tf.dispose(inputs);
    expect(tf.memory().numTensors).toBe(before);
  });
}

/** Two variables. */
function validArgs(): AdamWUpdateArgs {
  const random = seededRandom(randomSeed);
  const variableShapes = [[3, 2], [4]];
  const list = () => variableShapes.map((shape) => toTensor(normal(random, shape)));
  const secondMoments = variableShapes.map((shape) => toTensor(uniform(random, shape, 0, 1)));
  return {
    params: list(),
    grads: list(),
    firstMoments: list(),
    secondMoments,
    ...constants,
    step: 3,
    weightDecay: [0.1, 0],
  };
}

describe('the AdamW kernels', () => {
  agreesWithReference();

  it('give the same bits for the same inputs', async () => {
    const args = validArgs();
    const run = async () => {
      const {params, firstMoments, secondMoments} = adamWUpdate(args);
      const [p, m, v] = [params, firstMoments, secondMoments].map((list) => list[0]);
      tf.dispose([params[1], firstMoments[1], secondMoments[1]]);
      return readAndDispose({p, m, v, norm: globalNorm(args.grads)});
    };
    expect(await run()).toEqual(await run());
  });

  it('find the norm of a million small numbers beside a large one', async () => {
    const values = new Float64Array(1_000_001).fill(Math.fround(1e-4));
    values[0] = 1;
    // One after the other in float32, the small squares would all be lost: the norm would be 1.
    const expected = Math.sqrt(1 + 1e6 * Math.fround(1e-4) ** 2);
    const tensor = toTensor({shape: [values.length], values});
    const {norm} = await readAndDispose({norm: globalNorm([tensor])});
    tensor.dispose();
    expect(Math.abs(norm.values[0] / expected - 1)).toBeLessThan(1e-6);
  });

  it('find the norm of more tensors than a device binds at once, each of them counted', async () => {
    const sizes = [300, 0, 1, 9000, 2, 127, 128, 129, 0, 5, 1, 1, 640, 3, 1, 2, 20];
    // Squares that are different powers of two: none can be missed, or counted twice.
    const tensors = sizes.map((size, i) => {
      const first = (at: number) => (at === size - 1 ? 2 ** (i / 2 - 3) : 0);
      return toTensor({shape: [size], values: Float64Array.from({length: size}, (_, at) => first(at))});
    });
    const expected = Math.sqrt(sizes.reduce((sum, size, i) => sum + (size > 0 ? 2 ** (i - 6) : 0), 0));
    const {norm} = await readAndDispose({norm: globalNorm(tensors)});
    tf.dispose(tensors);
    expect(Math.abs(norm.values[0] / expected - 1)).toBeLessThan(1e-6);
  });

  it('put more tensors than a device binds at once into a flat one, in their order, and take them out again', async () => {
    const several = [...shapes, [2, 1], [65], [1, 1, 3]];
    const tensors = several.map((shape, i) => toTensor(normal(seededRandom(i), shape)));
    const flat = packFlat(tensors);
    const values = await Promise.all(tensors.map((tensor) => tensor.data()));
    expect([...(await flat.data())]).toEqual(values.flatMap((array) => [...array]));
    const again = unpackFlat(flat, several);
    expect(again.map(({shape}) => shape)).toEqual(several);
    expect(await Promise.all(again.map((tensor) => tensor.data()))).toEqual(values);
    tf.dispose([tensors, flat, again]);
  });

  it('clip as torch does: min(1, maxNorm / (norm + 1e-6))', async () => {
    const scales = tf.tidy(() => ({
      smaller: clipScale(tf.scalar(0.5), 1),
      larger: clipScale(tf.scalar(4), 1),
      zero: clipScale(tf.scalar(0), 2),
    }));
    const {smaller, larger, zero} = await readAndDispose(scales);
    expect(smaller.values[0]).toBe(1);
    expect(larger.values[0]).toBeCloseTo(0.25, 6);
    expect(zero.values[0]).toBe(1);
  });
});

describeComposed('the AdamW kernels composed of TensorFlow.js ops', () => {
  agreesWithReference();
});

describe('a wrong argument of adamWUpdate', () => {
  const wrong: [string, (args: AdamWUpdateArgs) => object, string][] = [
    ['a missing list', ({params}) => ({params}), 'adamWUpdate: grads must be a list of tensors'],
    ['no variables', () => ({params: []}), 'adamWUpdate: params must not be empty'],
    [
      'lists of different lengths',
      ({grads}) => ({grads: grads.slice(1)}),
      'adamWUpdate: grads must have an entry for each of the 2 params, but has 1',
    ],
    [
      'a gradient of another shape',
      ({grads}) => ({grads: [grads[0], grads[0]]}),
      'adamWUpdate: grads[1] must have the shape of params[1], [4], but has [3,2]',
    ],
    [
      'an integer moment',
      ({firstMoments}) => ({firstMoments: [firstMoments[0].toInt(), firstMoments[1]]}),
      'adamWUpdate: firstMoments[0] must have dtype float32, but has int32',
    ],
    [
      'a gradScale that is no scalar',
      ({grads}) => ({gradScale: grads[1]}),
      'adamWUpdate: gradScale must have the shape of a scalar, [], but has [4]',
    ],
    [
      'too few decays',
      () => ({weightDecay: [0.1]}),
      'adamWUpdate: weightDecay must have an entry for each of the 2 params, but has 1',
    ],
    [
      'a negative decay',
      () => ({weightDecay: [0, -1]}),
      'adamWUpdate: weightDecay[1] must be a number of 0 or more, but is -1',
    ],
    [
      'a negative rate',
      () => ({learningRate: -0.1}),
      'adamWUpdate: learningRate must be a number of 0 or more, but is -0.1',
    ],
    ['a beta of 1', () => ({beta1: 1}), 'adamWUpdate: beta1 must be a number from 0 to below 1, but is 1'],
    [
      'a beta that is no number',
      () => ({beta2: NaN}),
      'adamWUpdate: beta2 must be a number from 0 to below 1, but is NaN',
    ],
    ['a negative epsilon', () => ({epsilon: -1}), 'adamWUpdate: epsilon must be a number of 0 or more, but is -1'],
    ['a step of 0', () => ({step: 0}), 'adamWUpdate: step must be a positive whole number, but is 0'],
    ['an unknown argument', () => ({amsgrad: true}), 'adamWUpdate: unknown argument amsgrad'],
  ];
  for (const [title, change, message] of wrong) {
    it(`is named: ${title}`, () => {
      tf.tidy(() => {
        const args = validArgs();
        const changed = title === 'a missing list' ? change(args) : {...args, ...change(args)};
        expect(() => adamWUpdate(changed as AdamWUpdateArgs)).toThrowError(new RegExp(`^${escape(message)}`));
      });
    });
  }

  it('is named by globalNorm', () => {
    expect(() => globalNorm([])).toThrowError('globalNorm: tensors must be a list of at least one tensor');
    expect(() => globalNorm([null as unknown as tf.Tensor])).toThrowError('globalNorm: tensors[0] is missing');
  });

  function escape(text: string): string {
    return text.replace(/[[\](){}.*+?^$|\\]/g, '\\$&');
  }
});
