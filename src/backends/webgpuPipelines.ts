/** The pipelines of a device. They are found by device, program object and variant: nothing that two programs could share by accident. */
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

export type ByVariant<T> = Map<string, T>;

const pipelines = new WeakMap<GPUDevice, WeakMap<Program, ByVariant<Compiled>>>();

type Prepare = (backend: WatchedBackend, program: Program, variant: Variant) => void;

/** What is done where programs are compiled only. */
export let prepare: Prepare = pipelineOf;

/** Has it done otherwise than by compiling at once: ./webgpuAhead.ts. */
export function onCompileOnly(other: Prepare): void {
  prepare = other;
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

/** @internal The pipelines of a program on a device. */
export function compiledOf(device: GPUDevice, program: Program): ByVariant<Compiled> {
  const ofDevice = pipelines.get(device) ?? new WeakMap<Program, ByVariant<Compiled>>();
  const ofProgram = ofDevice.get(program) ?? new Map<string, Compiled>();
  pipelines.set(device, ofDevice.set(program, ofProgram));
  return ofProgram;
}

/** @internal */
export function describe(device: GPUDevice, {name}: Program, shader: Shader) {
  const label = labelPrefix + name;
  const module = device.createShaderModule({label, code: moduleCode(shader)});
  return {label, layout: 'auto' as const, compute: {module, entryPoint: 'main'}};
}

/** @internal */
export function compiled({name}: Program, shader: Shader, pipeline: GPUComputePipeline): Compiled {
  return {
    buffers: Object.keys(shader.buffers),
    uniforms: Object.keys(shader.uniforms),
    pipeline,
    bindings: new Bindings(labelPrefix + name, shader, pipeline),
  };
}
