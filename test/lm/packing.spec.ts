/** A whole model on packed rows: every document gets the logits, and the weights the gradients, that it would give alone. */
import * as tf from '@tensorflow/tfjs';
import type {MambaLM} from '../../src/lm/model';
import type {Batch} from '../../src/training/data';
import {nextToken, stepGradients} from '../../src/training/gradients';
import {packDocuments} from '../../src/training/packing';
import type {Array64, Arrays} from '../support/arrays';
import {mapValues} from '../support/arrays';
import {mismatches} from '../support/closeness';
import {backendSettings} from '../support/settings';
import {int32} from './labelled';
import {smallModel} from './smallModel';

const models: Record<string, () => MambaLM> = {
  Mamba: () => smallModel({tieEmbeddings: false}),
  'Mamba-2': () => smallModel({tieEmbeddings: false, mixer: 'mamba2', headDim: 4, dState: 5}),
};

/** Token 10 is in the third alone. They fill two rows of 12 but for a position. */
const documents = [
  [1, 2, 3, 4, 5, 6, 7, 8],
  [3, 1, 4],
  [10, 0, 10, 10, 2, 10],
  [9, 8, 7, 9, 8, 7, 9],
  [2, 2],
  [5, 0, 5],
];
const poisonous = 2;

function packed(): Batch & Record<'xs' | 'ys' | 'sequenceIds', tf.Tensor2D> {
  const {ids, labels, sequenceIds} = packDocuments(documents, {length: 12});
  const rows = (values: Int32Array[]) => int32(values.map((row) => [...row]));
  return {xs: rows(ids), ys: rows(labels), sequenceIds: rows(sequenceIds)};
}

const alone = (tokens: number[]) => ({xs: int32([tokens.slice(0, -1)]), ys: int32([tokens.slice(1)])});

async function read(tensor: tf.Tensor): Promise<Array64> {
  return {shape: [...tensor.shape], values: Float64Array.from(await tensor.data())};
}

/** The logits [n,V] of each document by its number, wherever in the packed rows it is. */
async function logitsByDocument(model: MambaLM): Promise<Arrays> {
  const {xs, sequenceIds, ys} = packed();
  const logits = await read(model.apply(xs, {sequenceIds}) as tf.Tensor);
  const [tokens, ids] = (await Promise.all([xs.array(), sequenceIds.array()])) as number[][][];
  const width = logits.shape[2];
  tf.dispose([xs, ys, sequenceIds]);
  return Object.fromEntries(
    documents.map((document, number) => {
      const inputs = document.slice(0, -1).join();
      for (const [b, row] of ids.entries()) {
        for (const id of new Set(row)) {
          const [begin, end] = [row.indexOf(id), row.lastIndexOf(id) + 1];
          if (tokens[b].slice(begin, end).join() !== inputs) continue;
          const values = logits.values.slice((b * row.length + begin) * width, (b * row.length + end) * width);
          return [`document ${number}`, {shape: [end - begin, width], values}];
        }
      }
      throw new Error(`document ${number} is in no row`);
    }),
  );
}

async function gradients(model: MambaLM, batch: Batch): Promise<Arrays> {
  const byName = tf.tidy(() => stepGradients(model, [batch], nextToken).gradients);
  const names = Object.keys(byName);
  const arrays = await Promise.all(names.map((name) => read(byName[name])));
  tf.dispose([byName, batch as unknown as tf.TensorContainer]);
  return Object.fromEntries(names.map((name, i) => [name, arrays[i]]));
}

describe('documents packed for a model', () => {
  for (const [name, make] of Object.entries(models)) {
    it(`are to a ${name} model what each is alone`, async () => {
      const model = make();
      const {output, gradient} = backendSettings();
      const logits = await logitsByDocument(model);
      const expected: Arrays = {};
      let sums: Arrays | undefined;
      const labels = documents.reduce((sum, tokens) => sum + tokens.length - 1, 0);
      for (const [number, tokens] of documents.entries()) {
        const {xs, ys} = alone(tokens);
        const own = model.apply(xs) as tf.Tensor3D;
        expected[`document ${number}`] = await read(own.squeeze([0]));
        const parts = mapValues(await gradients(model, {xs, ys}), ({shape, values}) => {
          return {shape, values: values.map((value) => (value * (tokens.length - 1)) / labels)};
        });
        const before = sums;
        sums = before
          ? mapValues(parts, ({shape, values}, name) => ({
              shape,
              values: values.map((x, i) => x + before[name].values[i]),
            }))
          : parts;
      }
      expect(mismatches(logits, expected, output)).toEqual([]);
      expect(mismatches(await gradients(model, packed()), sums!, gradient)).toEqual([]);
    });

    it(`are to the prefill of a ${name} model what each is alone: the first goes on from a state, the last is what is left`, async () => {
      const model = make();
      const [before, first, last] = [
        [7, 1, 2],
        [3, 1, 4, 1],
        [5, 9, 2],
      ];
      const own = (tokens: number[], options = {}) => model.prefill([tokens], options);
      const {state} = own(before);
      const row = own([...first, ...last], {state, sequenceIds: [[...first.map(() => 4), ...last.map(() => 7)]]});
      const end = own(last);
      // All but the last document is the one that went on.
      const one = own(first, {state, sequenceIds: [first.map(() => 4)]});
      const [goneOn, whole] = [own(first, {state}), own([...before, ...first])];
      const {output} = backendSettings();
      for (const [got, expected] of [
        [row, end],
        [one, goneOn],
        [one, whole],
      ]) {
        const arrays = async ({logits, state: after}: typeof row) =>
          Object.fromEntries(
            await Promise.all(
              [logits, ...after.flatMap((part) => Object.values(part))].map(async (tensor, i) => [
                i,
                await read(tensor),
              ]),
            ),
          ) as Arrays;
        expect(mismatches(await arrays(got), await arrays(expected), output)).toEqual([]);
      }
      expect(() => model.prefill([first], {sequenceIds: [[1, 2]]})).toThrowError(
        /^prefill: sequenceIds must have an id per position/,
      );
      tf.dispose([row, end, one, goneOn, whole, state] as never);
    });

    it(`do not see NaN in another document of a ${name} model`, async () => {
      const model = make();
      const clean = await logitsByDocument(model);
      delete clean[`document ${poisonous}`];
      const table = model.getLayer('embeddings').weights[0];
      tf.tidy(() => {
        const isPoison = tf
          .oneHot(tf.tensor1d([10], 'int32'), table.shape[0]!)
          .reshape([-1, 1])
          .cast('bool');
        table.write(tf.where(isPoison, tf.fill([table.shape[0]!, 1], NaN), table.read()));
      });
      const {[`document ${poisonous}`]: spoilt, ...others} = await logitsByDocument(model);
      expect(spoilt.values.every(Number.isNaN)).toBeTrue();
      expect(others).toEqual(clean);
    });
  }

  it('are refused by a layer, with the reason', () => {
    const model = models.Mamba();
    const {xs} = packed();
    expect(() => model.apply(xs, {sequenceIds: int32([[1, 2]])})).toThrowError(
      'MixerBlock: sequenceIds must have an id per position, [batch, length], [2,12], but has [1,2]',
    );
    expect(() => model.apply(xs, {sequenceIds: tf.zeros([2, 12])})).toThrowError(
      'MixerBlock: sequenceIds must have dtype int32, but has float32',
    );
    const block = model.layers[2];
    const x = tf.zeros([1, 3, 6]);
    const ids = int32([[0, 0, 1]]);
    expect(() => block.apply(x, {sequenceIds: ids, mask: tf.ones([1, 3])})).toThrowError(
      /sequenceIds and a mask do not go together/,
    );
  });
});
