/** How many recordings a model hears right. */
import * as tf from '@tensorflow/tfjs';
import {batchOf} from './frames';
import {heard} from './models';
import type {Recording} from './recording';

const ROWS = 50;

/** The digit that is heard in each recording. */
export async function hear(
  model: tf.LayersModel,
  recordings: ReadonlyArray<Pick<Recording, 'samples'>>,
): Promise<number[]> {
  const byLength = recordings.map(({samples}, i) => ({samples, i, digit: 0}));
  byLength.sort((a, b) => a.samples.length - b.samples.length);
  const digits = new Array<number>(recordings.length);
  for (let first = 0; first < byLength.length; first += ROWS) {
    const some = byLength.slice(first, first + ROWS);
    const {xs, ys} = batchOf(some);
    const answers = tf.tidy(() => {
      const share = ys.slice([0, 1], [-1, 1]).squeeze<tf.Tensor1D>([1]);
      return heard(model.predict(xs) as tf.Tensor3D, share).argMax(-1);
    });
    const given = await answers.data();
    some.forEach(({i}, row) => (digits[i] = given[row]));
    tf.dispose([xs, ys, answers]);
  }
  return digits;
}

/** The share of the recordings that are heard right. */
export async function accuracy(model: tf.LayersModel, recordings: readonly Recording[]): Promise<number> {
  const digits = await hear(model, recordings);
  return recordings.filter(({digit}, i) => digit === digits[i]).length / recordings.length;
}
