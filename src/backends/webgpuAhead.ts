/**
 * Pipelines made ahead of time and side by side, for `warmup`, by TensorFlow.js's own flag WEBGPU_ENGINE_COMPILE_ONLY. A page that does not
 * warm up has none of this.
 */
import * as tf from '@tensorflow/tfjs';
import type {Making, WatchedBackend} from './webgpuHealth';
import {healthOf, invalid} from './webgpuHealth';
import type {ByVariant} from './webgpuPipelines';
import {compiled, compiledOf, describe, onCompileOnly} from './webgpuPipelines';
import type {Program, Variant} from './webgpuProgram';

/** Those under way. */
const coming = new WeakMap<GPUDevice, Map<Program, ByVariant<Promise<void>>>>();

/** What is used of TensorFlow.js's backend. */
interface CompilingBackend extends WatchedBackend {
  checkCompileCompletionAsync(): Promise<void>;
}

/** Compiles what `run` would run, on webgpu; elsewhere there is nothing to do. Results of `run` are never computed. */
export async function compileOnly(run: () => void): Promise<void> {
  const backend = tf.backend() as tf.KernelBackend & CompilingBackend;
  if (tf.getBackend() !== 'webgpu') return;
  tf.env().set('WEBGPU_ENGINE_COMPILE_ONLY', true);
  try {
    run();
  } finally {
    tf.env().set('WEBGPU_ENGINE_COMPILE_ONLY', false);
    await backend.checkCompileCompletionAsync();
    await pipelinesReady(backend);
  }
}

/** Starts to make the pipeline of a variant, unless there is one. */
function preparePipeline(backend: WatchedBackend, program: Program, variant: Variant): void {
  const {device} = backend;
  const found = compiledOf(device, program);
  const key = JSON.stringify(variant);
  const ofDevice = coming.get(device) ?? new Map<Program, ByVariant<Promise<void>>>();
  const ofProgram = ofDevice.get(program) ?? new Map<string, Promise<void>>();
  coming.set(device, ofDevice.set(program, ofProgram));
  if (found.has(key) || ofProgram.has(key)) return;
  const shader = program.build(variant);
  const made = awaitPipeline(backend, program.name, () => {
    const descriptor = describe(device, program, shader);
    return {module: descriptor.compute.module, pipeline: device.createComputePipelineAsync(descriptor)};
  }).then((pipeline) => void found.set(key, compiled(program, shader, pipeline)));
  ofProgram.set(key, made);
}

/** Waits for a pipeline; should that fail, it throws the error, and what comes next throws it too. */
async function awaitPipeline(
  backend: WatchedBackend,
  name: string,
  make: () => Making<Promise<GPUComputePipeline>>,
): Promise<GPUComputePipeline> {
  backend.device.pushErrorScope('validation'); // of the module; the pipeline is rejected with the same
  const {module, pipeline} = make();
  void backend.device.popErrorScope();
  try {
    return await pipeline;
  } catch (error) {
    const failure = await invalid(name, module, (error as Error).message);
    healthOf(backend).fail(failure);
    throw failure;
  }
}

/** Waits for the pipelines under way. @throws Error naming the program whose shader is not valid. */
export async function pipelinesReady({device}: WatchedBackend): Promise<void> {
  const underWay = [...(coming.get(device)?.values() ?? [])].flatMap((ofProgram) => [...ofProgram.values()]);
  coming.delete(device);
  await Promise.all(underWay);
}

onCompileOnly(preparePipeline);
