/**
 * Runs programs on the buffers of TensorFlow.js's WebGPU backend.
 *
 * Dispatches go into the backend's own compute pass, between those of TensorFlow.js's ops: nothing is copied, nothing is submitted
 * early, and what a pass still needs is released when TensorFlow.js submits it. For that this file uses fields which its types call
 * private; they are the same in every build of 4.22, the last version.
 */
import type {DataType, TensorInfo} from '@tensorflow/tfjs';
import {env, getKernel, registerKernel} from '@tensorflow/tfjs';
import type {UniformPool} from './webgpuBindings';
import type {WatchedBackend} from './webgpuHealth';
import {healthOf} from './webgpuHealth';
import {pipelineOf, prepare} from './webgpuPipelines';
import type {Program, Variant} from './webgpuProgram';

/** What is used of TensorFlow.js's WebGPUBackend. */
export interface WebGPUBackendInternals extends WatchedBackend, UniformPool {
  device: GPUDevice;
  tensorMap: {get(dataId: object): {resource?: GPUBuffer; values: unknown}};
  makeTensorInfo(shape: number[], dtype: DataType): TensorInfo;
  uploadToGPU(dataId: object): void;
  disposeData(dataId: object): boolean;
  incRef(dataId: object): void;
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
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
  /** A tensor for each buffer that the program's variant has; others are left alone. */
  buffers: Record<string, TensorInfo | undefined>;
  uniforms: Record<string, number>;
  /** How many workgroups, if not of an element each; more than fit into one dimension are spread over two. */
  workgroups?: number;
}

/** Where one call of a kernel gets its memory, and runs its programs. */
export class Gpu {
  private readonly scratchInfos: TensorInfo[] = [];
  /** Asked for once a call: Dawn takes longer to answer than all else that it takes to bind a tensor. */
  private readonly limits: GPUSupportedLimits;

  constructor(
    private readonly backend: WebGPUBackendInternals,
    private readonly kernelName: string,
  ) {
    healthOf(backend).check();
    this.limits = backend.device.limits;
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

  /** An input as an output. */
  again({dataId, shape, dtype}: TensorInfo): TensorInfo {
    this.backend.incRef(dataId);
    return {dataId, shape, dtype};
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
    if (env().getBool('WEBGPU_ENGINE_COMPILE_ONLY')) {
      prepare(backend, program, variant);
      return;
    }
    const {buffers, uniforms, pipeline, bindings} = pipelineOf(backend, program, variant);
    const values = uniforms.map((name) => dispatch.uniforms[name]);
    if (!values.every(Number.isFinite)) {
      throw new Error(`${program.name}: its uniforms ${uniforms.join(', ')} are ${values.join(', ')}`);
    }
    const {workgroups = Math.ceil(dispatch.uniforms.size / 64)} = dispatch;
    const resources = buffers.map((name) => this.bound(dispatch, name));
    const group = bindings.group(backend, resources, [...values, workgroups]);
    record(backend, program.name, pipeline, group, this.grid(workgroups));
  }

  private bound({buffers}: Dispatch, name: string): GPUBuffer {
    const info = buffers[name];
    if (!info) {
      throw new Error(`${this.kernelName}: no tensor for buffer ${name}`);
    }
    const {backend} = this;
    backend.uploadToGPU(info.dataId);
    backend.commandQueueOwnedIds.add(info.dataId);
    const limit = this.limits.maxStorageBufferBindingSize;
    const bytes = 4 * sizeOf(info.shape);
    if (bytes > limit) {
      throw new Error(
        `${this.kernelName}: a tensor of ${bytes} bytes is more than this WebGPU device can bind, ${limit} bytes`,
      );
    }
    return backend.tensorMap.get(info.dataId).resource!;
  }

  private grid(workgroups: number): [number, number] {
    const limit = this.limits.maxComputeWorkgroupsPerDimension;
    const rows = Math.ceil(workgroups / limit);
    if (rows > limit) {
      throw new Error(`${this.kernelName}: ${workgroups} workgroups are more than this WebGPU device can run`);
    }
    return [Math.ceil(workgroups / rows), rows];
  }
}

/** Puts a dispatch into TensorFlow.js's current pass, and submits it when it is full, as TensorFlow.js does. */
function record(
  backend: WebGPUBackendInternals,
  name: string,
  pipeline: GPUComputePipeline,
  group: GPUBindGroup,
  grid: [number, number],
): void {
  const timers = backend.activeTimers;
  backend.ensureCommandEncoderReady();
  if (timers && backend.supportTimestampQuery) {
    backend.endComputePassEncoder();
    backend.querySet ??= backend.device.createQuerySet({type: 'timestamp', count: backend.querySetCount});
    const timestampWrites = {querySet: backend.querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1};
    backend.computePassEncoder = backend.commandEncoder.beginComputePass({timestampWrites});
  }
  const pass = (backend.computePassEncoder ??= backend.commandEncoder.beginComputePass());
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(...grid);
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
