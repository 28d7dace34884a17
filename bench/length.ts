/**
 * `bench -- length`: time and memory of the scan and of reading a prompt for L = 2^10 … 2^20, and of a gradient as far as memory reaches,
 * with the power of L that they grow with. The Transformer of the same size is beside it as far as its scores, which grow with the square,
 * fit. Memory is what TensorFlow.js holds at most after a kernel, on top of weights and inputs.
 */
import * as tf from '@tensorflow/tfjs';
import type {MambaLM, MambaState} from '../src/node';
import {mambaLM, selectiveScan} from '../src/node';
import {nextToken, stepGradients} from '../src/training/gradients';
import {baselineConfig} from '../models/baselines';
import type {Figures} from './results';
import {exponent, saveResults} from './results';
import {printTable} from './timing';

const sizes = {vocabSize: 16, dModel: 64, nLayer: 2};
const channels = 128;
const dState = 16;
/** Tokens that are read at a time where memory is not to grow. */
const piece = 4096;

/** One thing to time: runs at a length, and gives what must be waited for and disposed. */
interface Subject {
  name: string;
  /** 2^longest is the last length: what follows would not fit, or take hours. */
  longest: number;
  prepare(length: number): {call: () => tf.Tensor[]; end: () => void};
}

export async function benchLength(longest: number): Promise<void> {
  const [mamba, transformer] = ['mamba', 'transformer'].map((name) =>
    mambaLM(name === 'mamba' ? sizes : baselineConfig(name, sizes), {seed: 1}),
  );
  const subjects: Subject[] = [
    {name: 'scan', longest: 20, prepare: scan},
    {name: 'prefill in pieces of 4096', longest: 20, prepare: prefillOf(mamba, piece)},
    {name: 'prefill in one pass', longest: 17, prepare: prefillOf(mamba, Infinity)},
    {name: 'gradient', longest: 15, prepare: gradientOf(mamba)},
    {name: 'Transformer, prefill in one pass', longest: 12, prepare: prefillOf(transformer, Infinity)},
    {name: 'Transformer, gradient', longest: 11, prepare: gradientOf(transformer)},
  ];
  const onGpu = ['webgpu', 'webgl'].includes(tf.getBackend());
  const figures: Figures = [];
  const findings: Record<string, number> = {};
  for (const {name, longest: last, prepare} of subjects) {
    const lengths: number[] = [];
    const times: number[] = [];
    for (let length = 2 ** 10; length <= 2 ** Math.min(last, longest); length *= 2) {
      const {call, end} = prepare(length);
      const before = tf.memory().numBytes;
      const {peakBytes} = await tf.profile(() => tf.dispose(call()));
      const heldMB = (peakBytes - before) / 1e6;
      const {ms, processorMs} = await fastest(call);
      end();
      lengths.push(length);
      times.push(onGpu ? ms : processorMs);
      figures.push({name, length, ms, processorMs, heldMB});
      console.log(
        `${name}, L ${length}: ${ms.toFixed(1)} ms, ${processorMs.toFixed(1)} of the processors, ${heldMB.toFixed(1)} MB`,
      );
    }
    // Below some thousand positions it shows what a call costs by itself, so the power is that of the upper half.
    const half = Math.min(Math.floor(lengths.length / 2), lengths.length - 2);
    findings[name] = exponent(lengths.slice(half), times.slice(half));
  }
  printTable([
    [`${onGpu ? 'time' : 'processor time'} grows with L to the power of`, 'upper half'],
    ...Object.entries(findings),
  ]);
  saveResults(`length-${tf.getBackend()}`, figures, findings);
}

/**
 * The least of the calls of two seconds, at least three, in ms: by the clock, and the time that all threads of the process had on a
 * processor. On a machine that does other work the clock of a long call counts that too, so the power of L is that of the processors' time
 * (on a GPU, where the processor only waits, that of the clock).
 */
async function fastest(call: () => tf.Tensor[]): Promise<{ms: number; processorMs: number}> {
  const times: number[] = [];
  const processor: number[] = [];
  const end = performance.now() + 2000;
  while (times.length < 3 || performance.now() < end) {
    const [start, used] = [performance.now(), process.cpuUsage()];
    const tensors = call();
    await tensors[0].data();
    const {user, system} = process.cpuUsage(used);
    times.push(performance.now() - start);
    processor.push((user + system) / 1e3);
    tf.dispose(tensors);
  }
  return {ms: Math.min(...times), processorMs: Math.min(...processor)};
}

function scan(length: number) {
  const random = (shape: number[]) => tf.randomNormal(shape, 0, 1, 'float32', 1);
  const inputs = {
    ...{u: random([1, length, channels]), delta: random([1, length, channels]).mul(0.1)},
    ...{B: random([1, length, dState]), C: random([1, length, dState]), A: random([channels, dState]).abs().neg()},
  };
  const call = () => {
    const {y, finalState} = selectiveScan({...inputs, deltaSoftplus: true} as never);
    return [finalState, y];
  };
  return {call, end: () => tf.dispose(inputs)};
}

/** @param size Tokens of a pass; the state is carried on. */
function prefillOf(model: MambaLM, size: number) {
  return (length: number) => {
    const ids = tf.randomUniformInt([1, length], 0, sizes.vocabSize, 1);
    const call = () => {
      let state: MambaState | undefined;
      let logits: tf.Tensor | undefined;
      for (let start = 0; start < length; start += size) {
        const part = ids.slice([0, start], [1, Math.min(size, length - start)]) as tf.Tensor2D;
        const next = model.prefill(part, {state});
        tf.dispose([part, state ?? [], logits ?? []]);
        ({logits, state} = next);
      }
      tf.dispose(state!);
      return [logits!];
    };
    return {call, end: () => ids.dispose()};
  };
}

/** Forward and backward; the update of the weights does not depend on the length. */
function gradientOf(model: MambaLM) {
  return (length: number) => {
    const ids = tf.randomUniformInt([1, length], 0, sizes.vocabSize, 1);
    const call = () =>
      tf.tidy(() => {
        const {loss, gradients} = stepGradients(model, [{xs: ids, ys: ids}], nextToken);
        return [loss, ...Object.values(gradients)];
      });
    return {call, end: () => ids.dispose()};
  };
}
