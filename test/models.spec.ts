/**
 * The small trained models of `models/` on every backend: each gets on a small set that training never saw what its card says of a large
 * one, and the longer sequence by pieces.
 */
import * as tf from '@tensorflow/tfjs';
import {fromPretrained} from '../src';
import {blobFile} from '../src/checkpoints/bytes';
import {inductionHeads} from '../models/induction-heads/data';
import {evaluateAt} from '../models/induction-heads/evaluate';
import {selectiveCopying} from '../models/selective-copying/data';
import {accuracy} from '../models/support/episodes';
import type {StoredModel} from '../models/support/layersModel';
import {layersModel} from '../models/support/layersModel';
import {accuracy as seriesAccuracy} from '../models/vowels/batches';
import type {Scale} from '../models/vowels/series';
import {parseSeries, scaled} from '../models/vowels/series';
import {modelBytes} from './support/fixtures';

/** A model of that folder, through what `fromPretrained` takes in a page as in Node. */
async function load(folder: string): ReturnType<typeof fromPretrained> {
  const files = ['config.json', 'model.safetensors'];
  const open = async (name: string) =>
    files.includes(name) ? blobFile(name, new Blob([await modelBytes(`${folder}/${name}`)])) : undefined;
  return fromPretrained({name: folder, open});
}

const text = async (path: string) => new TextDecoder().decode(await modelBytes(path));

/** A model of `tf.layers` in that folder. */
async function loadLayers(folder: string): Promise<tf.LayersModel> {
  const stored = JSON.parse(await text(`${folder}/model.json`)) as StoredModel;
  return layersModel(stored, await modelBytes(`${folder}/weights.bin`));
}

describe('the trained model', () => {
  it('induction-heads answers at the length of training and beyond it', async () => {
    const model = await load('induction-heads');
    expect(await accuracy(model, inductionHeads(256), {rows: 4, batchSize: 4, seed: 41})).toBe(1);
    const before = tf.memory().numTensors;
    const far = await evaluateAt(model, 1024, {rows: 2, piece: 512, seed: 42});
    expect(far.accuracy).toBe(1);
    expect(tf.memory().numTensors).toBe(before);
    model.dispose();
  });

  it('selective-copying copies', async () => {
    const model = await load('selective-copying');
    const right = await accuracy(model, selectiveCopying({length: 64, tokens: 8}), {rows: 16, batchSize: 16, seed: 43});
    // Of 128 tokens; at the 99.98 % of the card seven wrong ones are no chance.
    expect(right).toBeGreaterThan(0.95);
    model.dispose();
  });

  it('vowels tells nine speakers apart', async () => {
    const model = await loadLayers('vowels');
    const series = parseSeries(await text('vowels/samples/JapaneseVowels_TEST.txt'), 'sample');
    const scales = JSON.parse(await text('vowels/scales.json')) as Scale[];
    // Of 27, three of each; at the 98.4 % of the card three wrong ones are no chance.
    expect(await seriesAccuracy(model, scaled(series, scales))).toBeGreaterThan(24.5 / 27);
    model.dispose();
  });
});
