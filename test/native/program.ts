/**
 * Run by native.spec.ts in processes of its own, since threads and instruction set are chosen when the library is loaded. Prints, as
 * JSON, what is wrong against the float64 references, a digest of every output and gradient bit, and what the library says of itself.
 */
import {createHash} from 'node:crypto';
import {isMainThread, parentPort, Worker} from 'node:worker_threads';
import * as tf from '@tensorflow/tfjs';
import * as fc from 'fast-check';
import {drawNormal, drawUniform, normalTensor, uniformTensor} from '../../src/draw';
import {backendInfo} from '../../src/node';
import {halfLinear} from '../../src/ops/halves';
import {linearReference} from '../../src/ops/linear/reference';
import {packedLinear} from '../../src/ops/packedLinear';
import {opsUnderTest} from '../ops/cases';
import {scanCase} from '../ops/cases/selectiveScan';
import type {OpCase, OpUnderTest} from '../ops/opUnderTest';
import {anyOp, evaluateOp, isWellConditioned, projectionsOf} from '../ops/opUnderTest';
import {mismatches} from '../support/closeness';
import {randomSeed} from '../support/settings';
import type {Array64, Arrays} from '../support/arrays';
import {normal, readAndDispose, seededRandom, toTensor} from '../support/arrays';

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

/** Products by rows of 8 and of 16 bits, in float64 what they are by. */
function packedProducts(x: Array64) {
  const integers = Int8Array.from({length: 900 * 160}, (_, i) => ((i * 7919) % 255) - 127);
  const scales = Float32Array.from({length: 900 * 5}, (_, i) => 0.5 + (i % 7) / 8);
  const bits = Uint16Array.from({length: 900 * 160}, (_, i) => 0x3f80 + ((i * 31) % 97) + (i % 3 === 0 ? 0x8000 : 0));
  const floats = new Float32Array(Uint32Array.from(bits, (half) => half * 65536).buffer);
  const rows = (values: ArrayLike<number>): Array64 => ({shape: [900, 160], values: Float64Array.from(values)});
  const words = (values: Int8Array | Uint16Array, columns: number) =>
    tf.tensor2d(new Int32Array(values.buffer), [900, columns], 'int32');
  return {
    kernel: {
      bits8: rows(Float64Array.from(integers, (integer, i) => integer * scales[i >> 5])),
      bits16: rows(floats),
    } as Arrays,
    product: () =>
      readAndDispose({
        bits8: packedLinear({x: toTensor(x), words: words(integers, 40), scales: tf.tensor2d(scales, [900, 5])}),
        bits16: halfLinear({x: toTensor(x), words: words(bits, 80)}),
      }),
  };
}

/** Which random tensors are not the bits that JavaScript draws from the seed: of whole pieces, of parts of one, and of nothing. */
function wrongDraws(): string[] {
  const sizes = [0, 1, 3, 130, 2 ** 15 - 1, 2 ** 15, 2 ** 17, 2 ** 17 + 2 ** 15 + 5, 500_002];
  const draws = sizes.flatMap((size): [tf.Tensor, Float32Array][] => [
    [uniformTensor([size], -0.3, 0.2, 2 ** 40 + 3), drawUniform(size, -0.3, 0.2, 2 ** 40 + 3)],
    [normalTensor([1, size], 0.7, size), drawNormal(size, 0.7, size)],
  ]);
  const differ = draws.filter(([drawn, expected]) => {
    const words = new Int32Array(expected.buffer);
    return new Int32Array(drawn.dataSync().slice().buffer).some((word, i) => word !== words[i]);
  });
  return differ.map(([{shape}]) => `draw: [${shape.join()}]`);
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
  for (const rows of [1, 3]) {
    const x = normal(seededRandom(rows), [rows, 160]);
    const {kernel, product} = packedProducts(x);
    for (const [name, y] of Object.entries(await product())) {
      const expected = linearReference({x, kernel: kernel[name]}, true);
      wrong.push(...mismatches({[name]: y}, {[name]: expected}, 1e-5));
      add({y});
    }
  }
  wrong.push(...tf.tidy(wrongDraws));
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
