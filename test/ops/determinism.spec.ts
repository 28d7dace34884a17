/** The same inputs give the same bits, with and without a gradient being recorded. */
import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import {linear} from '../../src/ops/linear';
import type {Arrays} from '../support/arrays';
import {mapValues, normal, readAndDispose, seededRandom, toTensor} from '../support/arrays';
import {draws, randomSeed} from '../support/settings';
import {opsUnderTest} from './cases';
import {embeddingCase} from './cases/linear';
import {scanCase} from './cases/selectiveScan';
import type {OpCase, OpUnderTest} from './opUnderTest';
import {anyOp, compareWithReference, evaluateOp, projected, projectionsOf} from './opUnderTest';

/** The outputs while a gradient is being recorded: kernels may do more then. */
async function recordedOutputs(op: OpUnderTest, {inputs, options}: OpCase, projections: Arrays): Promise<Arrays> {
  const outputs = tf.tidy(() => {
    const tensors = mapValues(inputs, toTensor);
    const dys = mapValues(projections, toTensor);
    let kept: Record<string, tf.Tensor> = {};
    const [first] = Object.keys(inputs);
    tf.grad((x) => {
      const results = op.run({...tensors, [first]: x}, options);
      kept = mapValues(results, (tensor) => tf.keep(tensor));
      return projected(results, dys);
    })(tensors[first]);
    return kept;
  });
  return readAndDispose(outputs);
}

async function expectSameBits(op: OpUnderTest, testCase: OpCase): Promise<void> {
  const projections = projectionsOf(op.reference(testCase), randomSeed);
  const once = await evaluateOp(op, testCase, projections);
  const again = await evaluateOp(op, testCase, projections);
  expect(again).toEqual(once);
  expect(await recordedOutputs(op, testCase, projections)).toEqual(once.outputs);
}

describe('the same inputs give the same bits', () => {
  for (const op of opsUnderTest) {
    it(`in ${op.op}`, async () => {
      for (const params of fc.sample(op.arbitrary, {numRuns: draws(20), seed: randomSeed})) {
        await expectSameBits(op, op.build(params));
      }
    });
  }

  it('in selectiveScan where many channels and positions are summed', async () => {
    const all = scanCase.combinations[scanCase.combinations.length - 1];
    for (const form of ['sequence', 'constant'] as const) {
      const params = {...all, formB: form, formC: form, batch: 2, length: 500, channels: 48, dState: 16};
      await expectSameBits(anyOp(scanCase), scanCase.build(params));
    }
  });

  it('in embedding of many positions, whose ids come up often, once and never', async () => {
    const random = seededRandom(randomSeed);
    const [rows, positions] = [700, 1500];
    const ids = Array.from({length: positions}, () => Math.floor(rows * random() ** 4));
    const testCase = {inputs: {weight: normal(random, [rows, 3])}, options: {ids, idShape: [positions]}};
    await expectSameBits(anyOp(embeddingCase), testCase);
    expect(await compareWithReference(anyOp(embeddingCase), testCase, randomSeed)).toEqual([]);
  });

  it('in linear that reads 8 MB of weights again and again, which a backend may move meanwhile', async () => {
    const random = seededRandom(randomSeed);
    const [x, kernel] = [toTensor(normal(random, [1, 1024])), toTensor(normal(random, [1024, 2048]))];
    const once = await readAndDispose({y: linear({x, kernel})});
    for (let i = 0; i < 20; i++) expect(await readAndDispose({y: linear({x, kernel})})).toEqual(once);
    tf.dispose([x, kernel]);
  });
});
