/**
 * Runs programs on the buffers of TensorFlow.js's WebGPU backend.
 *
 * Dispatches go into the backend's own compute pass, between those of TensorFlow.js's ops: nothing is copied, nothing is submitted
 * early, and what a pass still needs is released when TensorFlow.js submits it. For that this file uses fields which its types call
 * private; they are the same in every build of 4.22, the last version.
 */
import type {DataType, TensorInfo} from '@tensorflow/tfjs';
import {env, getKernel, registerKernel} from '@tensorflow/tfjs';
import {healthOf, labelPrefix} from './webgpuHealth';
import type {WatchedBackend} from './webgpuHealth';
import type {Program, Shader, Variant} from './webgpuProgram';
import {moduleCode} from './webgpuProgram';

/** What is used of TensorFlow.js's WebGPUBackend. */
export interface WebGPUBackendInternals extends WatchedBackend {
  device: GPUDevice;
  tensorMap: {get(dataId: object): {resource?: GPUBuffer; values: unknown}};
  makeTensorInfo(shape: number[], dtype: DataType): TensorInfo;
  uploadToGPU(dataId: object): void;
  disposeData(dataId: object): boolean;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  makeUniforms(uniforms: {type: string; data: number[]}[]): GPUBufferBinding;
  commandEncoder: GPUCommandEncoder;
  computePassEncoder: GPUComputePassEncoder | null;
  commandQueueOwnedIds: WeakSet<object>;
  dispatchCountInPass: number;
  /** Set while `tf.time` measures. */
  activeTimers?: {name: string; query: Promise<number>}[];
  supportTimestampQuery: boolean;
  querySet: GPUQuerySet | null;
  querySetCount: number;
  getQueryTime(): Promise<number>;
}

/** One dispatch of a program. */
export interface Dispatch {
  /** A tensor for each buffer that the program's variant has. */
  buffers: Record<string, TensorInfo>;
  uniforms: Record<string, number>;
  /** How many workgroups; more than fit into one dimension are spread over two. */
  workgroups: number;
}

interface Compiled {
  shader: Shader;
  pipeline: GPUComputePipeline;
}

/** Pipelines by device, program and variant. */
const compiled = new WeakMap<GPUDevice, WeakMap<Program, Map<string, Compiled>>>();

/** Where one call of a kernel gets its memory, and runs its programs. */
export class Gpu {
  private readonly scratchInfos: TensorInfo[] = [];

  constructor(
    private readonly backend: WebGPUBackendInternals,
    private readonly kernelName: string,
  ) {
    healthOf(backend).check();
  }

  get device(): GPUDevice {
    return this.backend.device;
  }

  /** A tensor that a program will fill; it starts as whatever its memory held. */
  output(shape: readonly number[], dtype: DataType = 'float32'): TensorInfo {
    const info = this.backend.makeTensorInfo([...shape], dtype);
    if (shape.includes(0)) {
      this.backend.tensorMap.get(info.dataId).values = dtype === 'int32' ? new Int32Array(0) : new Float32Array(0);
    } else {
      this.backend.uploadToGPU(info.dataId);
    }
    return info;
  }

  /** Memory for `size` numbers until the kernel has run. */
  scratch(size: number): TensorInfo {
    const info = this.output([size]);
    this.scratchInfos.push(info);
    return info;
  }

  /** Gives the scratch memory back; TensorFlow.js keeps it until the pass that uses it is submitted. */
  release(): void {
    this.scratchInfos.forEach(({dataId}) => this.backend.disposeData(dataId));
  }

  run<V extends Variant>(program: Program<V>, variant: V, dispatch: Dispatch): void {
    const {backend} = this;
    const {shader, pipeline} = this.compile(program, variant);
    const tensors = Object.keys(shader.buffers).map((name) => this.bound(dispatch, name));
    const uniforms = Object.entries(shader.uniforms).map(([name, type]) => {
      if (!Number.isFinite(dispatch.uniforms[name])) {
        throw new Error(`${program.name}: uniform ${name} is ${dispatch.uniforms[name]}`);
      }
      return {type: uniformTypes[type], data: [dispatch.uniforms[name]]};
    });
    uniforms.push({type: 'uint32', data: [dispatch.workgroups]});
    const resources = [
      ...tensors.map(({dataId}) => ({buffer: backend.tensorMap.get(dataId).resource!})),
      backend.makeUniforms(uniforms),
    ];
    const bindGroup = backend.device.createBindGroup({
      label: labelPrefix + program.name,
      layout: pipeline.getBindGroupLayout(0),
      entries: resources.map((resource, binding) => ({binding, resource})),
    });
    tensors.forEach(({dataId}) => backend.commandQueueOwnedIds.add(dataId));
    record(backend, program.name, (pass) => {
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(...this.grid(dispatch.workgroups));
    });
  }

  private bound({buffers}: Dispatch, name: string): TensorInfo {
    const info = buffers[name];
    if (!info) {
      throw new Error(`${this.kernelName}: no tensor for buffer ${name}`);
    }
    this.backend.uploadToGPU(info.dataId);
    const {size} = this.backend.tensorMap.get(info.dataId).resource!;
    const limit = this.device.limits.maxStorageBufferBindingSize;
    if (size > limit) {
      throw new Error(
        `${this.kernelName}: a tensor of ${size} bytes is more than this WebGPU device can bind, ${limit} bytes`,
      );
    }
    return info;
  }

  private grid(workgroups: number): [number, number] {
    const limit = this.device.limits.maxComputeWorkgroupsPerDimension;
    const rows = Math.ceil(workgroups / limit);
    if (rows > limit) {
      throw new Error(`${this.kernelName}: ${workgroups} workgroups are more than this WebGPU device can run`);
    }
    return [Math.ceil(workgroups / rows), rows];
  }

  private compile(program: Program, variant: Variant): Compiled {
    const {device} = this;
    const ofDevice = compiled.get(device) ?? new WeakMap<Program, Map<string, Compiled>>();
    compiled.set(device, ofDevice);
    const ofProgram = ofDevice.get(program) ?? new Map<string, Compiled>();
    ofDevice.set(program, ofProgram);
    const key = JSON.stringify(variant);
    let entry = ofProgram.get(key);
    if (!entry) {
      const shader = program.build(variant);
      const label = labelPrefix + program.name;
      const pipeline = healthOf(this.backend).watchPipeline(program.name, device, () => {
        const module = device.createShaderModule({label, code: moduleCode(shader)});
        const compute = {module, entryPoint: 'main'};
        return {module, pipeline: device.createComputePipeline({label, layout: 'auto', compute})};
      });
      entry = {shader, pipeline};
      ofProgram.set(key, entry);
    }
    return entry;
  }
}

const uniformTypes = {u32: 'uint32', i32: 'int32', f32: 'float32'};

/** Puts commands into TensorFlow.js's current pass, and submits it when it is full, as TensorFlow.js does. */
function record(backend: WebGPUBackendInternals, name: string, commands: (pass: GPUComputePassEncoder) => void): void {
  const timers = backend.activeTimers;
  backend.ensureCommandEncoderReady();
  if (timers && backend.supportTimestampQuery) {
    backend.endComputePassEncoder();
    backend.querySet ??= backend.device.createQuerySet({type: 'timestamp', count: backend.querySetCount});
    const timestampWrites = {querySet: backend.querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1};
    backend.computePassEncoder = backend.commandEncoder.beginComputePass({timestampWrites});
  }
  backend.computePassEncoder ??= backend.commandEncoder.beginComputePass();
  commands(backend.computePassEncoder);
  backend.dispatchCountInPass++;
  if (timers) {
    backend.endComputePassEncoder();
    timers.push({name, query: backend.getQueryTime()});
  } else if (backend.dispatchCountInPass >= env().getNumber('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE')) {
    backend.endComputePassEncoder();
    backend.submitQueue();
  }
}

/** A kernel: takes the tensors of the inputs and returns those of the outputs, whose work is then on its way. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- attributes differ from op to op
export type WebGPUKernel = (gpu: Gpu, inputs: TensorInfo[], attrs: any) => TensorInfo[];

/** Registers a kernel for `webgpu`, unless there is one of that name already. */
export function registerWebGPUKernel(kernelName: string, kernel: WebGPUKernel): void {
  if (getKernel(kernelName, 'webgpu') !== undefined) {
    return;
  }
  const kernelFunc = ({inputs, backend, attrs}: {inputs: unknown; backend: unknown; attrs?: unknown}) => {
    const gpu = new Gpu(backend as WebGPUBackendInternals, kernelName);
    try {
      return kernel(gpu, Object.values(inputs as object) as TensorInfo[], attrs);
    } finally {
      gpu.release();
    }
  };
  registerKernel({kernelName, backendName: 'webgpu', kernelFunc});
}

/** The number of elements of a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
