/** A step whose gradients are applied and freed on the way back: the same weights bit for bit, from less memory. */
import * as tf from '@tensorflow/tfjs';
import {freeingTape, freeOnTheWay} from '../../src/backends/tape';
import {adamW} from '../../src/training/adamW';
import {nextToken, stepGradients} from '../../src/training/gradients';
import {stepOnTheWay} from '../../src/training/onTheWay';
import {labelled} from '../lm/labelled';
import {smallModel} from '../lm/smallModel';
import {numbers} from './models';

const options = {learningRate: 0.01};

describe('gradients that are applied on the way back', () => {
  for (const gradCheckpoint of [false, true]) {
    it(`give the weights of those applied in the end, however many go together (gradCheckpoint ${gradCheckpoint})`, async () => {
      const batch = labelled(3, [2, 20], -100);
      const run = {gradCheckpoint};
      const whole = smallModel();
      const optimizer = adamW(options);
      const expected: number[] = [];
      for (let step = 0; step < 3; step++) {
        tf.tidy(() => {
          const {gradients} = stepGradients(whole, [batch], nextToken, run);
          expected.push(
            tf
              .addN(Object.values(gradients).map((x) => x.square().sum()))
              .sqrt()
              .dataSync()[0],
          );
          optimizer.applyGradients(gradients);
        });
      }
      for (const together of [1, 2000, undefined]) {
        const model = smallModel();
        const own = adamW(options);
        const counts: number[] = [];
        for (const norm of expected) {
          const result = tf.tidy(() => stepOnTheWay(model, batch, nextToken, run, own, together));
          expect(result.norm.dataSync()[0] / norm).toBeCloseTo(1, 5);
          tf.dispose(result);
          counts.push(tf.memory().numTensors);
        }
        expect(own.iterations).toBe(3);
        expect(counts[2]).toBe(counts[1]);
        expect(await numbers(model.getWeights())).toEqual(await numbers(whole.getWeights()));
        own.dispose();
        model.dispose();
      }
    });
  }

  it('leave nothing behind when something throws', () => {
    const model = smallModel();
    const own = adamW(options);
    const loss = () => {
      throw new Error('no loss');
    };
    const before = tf.memory().numTensors;
    const step = () => stepOnTheWay(model, labelled(3, [2, 20]), {...nextToken, loss}, {}, own);
    expect(() => tf.tidy(step)).toThrowError('no loss');
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('the way back', () => {
  const WIDTH = 1000;
  it('frees what it is done with', () => {
    const variable = tf.variable(tf.ones([WIDTH]));
    const before = tf.memory().numTensors;
    let atItsEnd = Infinity;
    const first = tf.customGrad(() => {
      const gradFunc = (dy: tf.Tensor) => {
        atItsEnd = tf.memory().numTensors - before;
        return dy.mul(2);
      };
      return {value: variable.mul(2), gradFunc};
    });
    const loss = () => {
      let x: tf.Tensor = first(variable);
      for (let i = 0; i < 20; i++) x = x.tanh();
      const result = x.sum<tf.Scalar>();
      freeOnTheWay();
      return result;
    };
    const {value, grads} = freeingTape(() => tf.variableGrads(loss, [variable]));
    tf.dispose([value, grads]);
    // Of twenty results that were kept and their twenty gradients, those of the last step.
    expect(atItsEnd).toBeLessThan(8);
    expect(tf.memory().numTensors).toBe(before);
  });

  it('frees what was added to a gradient', () => {
    const variable = tf.variable(tf.ones([WIDTH]));
    const counts: number[] = [];
    const use = tf.customGrad(() => {
      const gradFunc = (dy: tf.Tensor) => {
        counts.push(tf.memory().numTensors);
        return dy.mul(2);
      };
      return {value: variable.mul(2), gradFunc};
    });
    const loss = () => {
      const result = tf.addN(Array.from({length: 10}, () => use(variable))).sum<tf.Scalar>();
      freeOnTheWay();
      return result;
    };
    const {value, grads} = freeingTape(() => tf.variableGrads(loss, [variable]));
    expect([...grads[variable.name].dataSync()]).toEqual(Array(WIDTH).fill(20));
    tf.dispose([value, grads, variable]);
    // Each use has a gradient of its own, which goes, and gives an addend, which must not stay in its place.
    expect(counts.length).toBe(10);
    expect(counts[9]).toBe(counts[2] - 7);
  });

  it('frees nothing that somebody else has, and nothing twice', () => {
    const model = tf.sequential({layers: [tf.layers.dense({units: WIDTH, inputShape: [3]})]});
    const held = tf.ones([1, WIDTH]);
    /** a + b, with gradients of which one tensor is both. */
    const sum = (a: tf.Tensor, b: tf.Tensor, gradient: (dy: tf.Tensor) => tf.Tensor) =>
      tf.customGrad(() => ({value: a.add(b), gradFunc: (dy: tf.Tensor) => Array<tf.Tensor>(2).fill(gradient(dy))}))(
        a,
        b,
      );
    const loss = (_: unknown, y: tf.Tensor | tf.Tensor[]) => {
      const x = y as tf.Tensor;
      const both = sum(x.mul(3), x.mul(5), (dy) => dy.mul(2));
      return sum(both, x, () => held).sum<tf.Scalar>();
    };
    const {gradients} = stepGradients(model, [{xs: tf.ones([1, 3]), ys: tf.zeros([1, WIDTH])}], {
      loss,
      count: () => tf.scalar(1),
    });
    // By what is held, 2 · (3 + 5) + 1 for each of the inputs, all ones.
    expect([...gradients[model.trainableWeights[0].name].dataSync()]).toEqual(Array(3 * WIDTH).fill(17));
    expect(held.isDisposed).toBe(false);
  });
});

describe('the moments of AdamW on TensorFlow', () => {
  it('are written where they are, unless somebody has them too', async () => {
    const variable = tf.variable(tf.tensor1d([1, 2, 3]));
    const optimizer = adamW(options);
    const step = () => tf.tidy(() => optimizer.applyGradients({[variable.name]: tf.tensor1d([1, -1, 2])}));
    const moments = async () => (await optimizer.getWeights()).slice(2).map(({tensor}) => tensor);
    step();
    const first = await moments();
    const places = first.map(({dataId}) => dataId);
    step();
    const second = await moments();
    expect(second.map(({dataId}, i) => dataId === places[i])).toEqual([true, true]);
    const copies = second.map((tensor) => tensor.clone());
    const before = await numbers(copies);
    step();
    expect(await numbers(copies)).toEqual(before);
    expect((await numbers(await moments()))[0]).not.toEqual(before[0]);
    const other = adamW(options);
    await other.setWeights(await optimizer.getWeights());
    const kept = await numbers(await moments());
    tf.tidy(() => other.applyGradients({[variable.name]: tf.tensor1d([5, 5, 5])}));
    expect(await numbers(await moments())).toEqual(kept);
  });
});
