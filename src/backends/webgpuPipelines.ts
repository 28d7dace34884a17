/**
 * The pipelines of a device. They are found by device, program object and variant: nothing that two programs could share by accident.
 * TensorFlow.js's own flag WEBGPU_ENGINE_COMPILE_ONLY makes them ahead of time and side by side, for `warmup`.
 */
import * as tf from '@tensorflow/tfjs';
import {Bindings} from './webgpuBindings';
import type {WatchedBackend} from './webgpuHealth';
import {healthOf, labelPrefix} from './webgpuHealth';
import type {Program, Shader, Variant} from './webgpuProgram';
import {moduleCode} from './webgpuProgram';

/** A pipeline and what a dispatch of it needs. */
export interface Compiled {
  /** The names of its buffers and of its uniforms, in order. */
  buffers: readonly string[];
  uniforms: readonly string[];
  pipeline: GPUComputePipeline;
  bindings: Bindings;
}

type ByVariant<T> = Map<string, T>;

const pipelines = new WeakMap<GPUDevice, WeakMap<Program, ByVariant<Compiled>>>();
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

/** The pipeline of a variant, made now if there is none yet. */
export function pipelineOf(backend: WatchedBackend, program: Program, variant: Variant): Compiled {
  const found = compiledOf(backend.device, program);
  const key = JSON.stringify(variant);
  let entry = found.get(key);
  if (!entry) {
    const {device} = backend;
    const shader = program.build(variant);
    const pipeline = healthOf(backend).watchPipeline(program.name, () => {
      const descriptor = describe(device, program, shader);
      return {module: descriptor.compute.module, pipeline: device.createComputePipeline(descriptor)};
    });
    entry = compiled(program, shader, pipeline);
    found.set(key, entry);
  }
  return entry;
}

/** Starts to make the pipeline of a variant, unless there is one. */
export function preparePipeline(backend: WatchedBackend, program: Program, variant: Variant): void {
  const {device} = backend;
  const found = compiledOf(device, program);
  const key = JSON.stringify(variant);
  const ofDevice = coming.get(device) ?? new Map<Program, ByVariant<Promise<void>>>();
  const ofProgram = ofDevice.get(program) ?? new Map<string, Promise<void>>();
  coming.set(device, ofDevice.set(program, ofProgram));
  if (found.has(key) || ofProgram.has(key)) return;
  const shader = program.build(variant);
  const made = healthOf(backend)
    .awaitPipeline(program.name, () => {
      const descriptor = describe(device, program, shader);
      return {module: descriptor.compute.module, pipeline: device.createComputePipelineAsync(descriptor)};
    })
    .then((pipeline) => void found.set(key, compiled(program, shader, pipeline)));
  ofProgram.set(key, made);
}

/** Waits for the pipelines under way. @throws Error naming the program whose shader is not valid. */
export async function pipelinesReady({device}: WatchedBackend): Promise<void> {
  const underWay = [...(coming.get(device)?.values() ?? [])].flatMap((ofProgram) => [...ofProgram.values()]);
  coming.delete(device);
  await Promise.all(underWay);
}

function compiledOf(device: GPUDevice, program: Program): ByVariant<Compiled> {
  const ofDevice = pipelines.get(device) ?? new WeakMap<Program, ByVariant<Compiled>>();
  const ofProgram = ofDevice.get(program) ?? new Map<string, Compiled>();
  pipelines.set(device, ofDevice.set(program, ofProgram));
  return ofProgram;
}

function describe(device: GPUDevice, {name}: Program, shader: Shader) {
  const label = labelPrefix + name;
  const module = device.createShaderModule({label, code: moduleCode(shader)});
  return {label, layout: 'auto' as const, compute: {module, entryPoint: 'main'}};
}

function compiled({name}: Program, shader: Shader, pipeline: GPUComputePipeline): Compiled {
  return {
    buffers: Object.keys(shader.buffers),
    uniforms: Object.keys(shader.uniforms),
    pipeline,
    bindings: new Bindings(labelPrefix + name, shader, pipeline),
  };
}
