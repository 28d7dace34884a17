/**
 * Run by native.spec.ts in processes of its own, since threads and instruction set are chosen when the library is loaded. Prints, as
 * JSON, what is wrong against the float64 references, a digest of every output and gradient bit, and what the library says of itself.
 */
import {createHash} from 'node:crypto';
import {isMainThread, parentPort, Worker} from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import {backendInfo} from '../../src/node';
import {opsUnderTest} from '../ops/cases';
import {scanCase} from '../ops/cases/selectiveScan';
import type {OpCase, OpUnderTest} from '../ops/opUnderTest';
import {anyOp, evaluateOp, isWellConditioned, projectionsOf} from '../ops/opUnderTest';
import {mismatches} from '../support/closeness';
import {randomSeed} from '../support/settings';
import type {Arrays} from '../support/arrays';

export interface ProgramResult {
  digest: string;
  wrong: string[];
  threads: number;
  simd: string;
}

/** Random small cases of every op, and a scan with enough tasks for any number of threads to share. */
function* cases(): Generator<[OpUnderTest, OpCase]> {
  for (const op of opsUnderTest) {
    for (const params of fc.sample(op.arbitrary, {numRuns: 25, seed: randomSeed})) yield [op, op.build(params)];
  }
  const all = scanCase.combinations[scanCase.combinations.length - 1];
  for (const channels of [200, 129]) {
    yield [anyOp(scanCase), scanCase.build({...all, batch: 2, length: 130, channels, dState: 16})];
  }
}

async function compute(): Promise<ProgramResult> {
  await tf.setBackend('tensorflow');
  if (tf.getBackend() !== 'tensorflow') throw new Error(backendInfo().hint);
  const hash = createHash('sha256');
  const wrong: string[] = [];
  const add = (arrays: Arrays) => Object.values(arrays).forEach(({values}) => hash.update(Float64Array.from(values)));
  for (const [op, testCase] of cases()) {
    const expected = op.reference(testCase);
    const projections = projectionsOf(expected, randomSeed);
    const {outputs, gradients} = await evaluateOp(op, testCase, projections);
    add(outputs);
    add(gradients);
    const found = [
      ...mismatches(outputs, expected, 1e-5),
      ...mismatches(gradients, op.referenceGradient(testCase, projections), 2e-5),
    ];
    if (found.length > 0 && isWellConditioned(op, testCase, randomSeed)) {
      wrong.push(...found.map((text) => `${op.op}: ${text}`));
    }
  }
  const {threads, simd} = backendInfo();
  return {digest: hash.digest('hex'), wrong, threads: threads!, simd: simd!};
}

if (!isMainThread) {
  parentPort!.postMessage(await compute());
} else if (process.argv.includes('--workers')) {
  // Two worker threads beside the main one, all at once: three engines, one library, one pool.
  // tsx does not reach into workers by itself.
  const start = `import('tsx/esm/api').then(({register}) => { register(); return import(${JSON.stringify(import.meta.url)}); })`;
  const workers = [0, 1].map(
    () =>
      new Promise<ProgramResult>((resolve, reject) =>
        new Worker(start, {eval: true}).on('message', resolve).on('error', reject),
      ),
  );
  console.log(JSON.stringify(await Promise.all([compute(), ...workers])));
} else {
  console.log(JSON.stringify([await compute()]));
}
