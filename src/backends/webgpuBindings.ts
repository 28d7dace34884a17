/**
 * Uniform buffers and bind groups that are used again. A token of a deep model is a hundred dispatches whose numbers are those of the
 * token before and whose buffers come from the same pool; to make a bind group costs more than all else that a dispatch takes on the
 * CPU. Numbers that change from call to call, as a learning rate does, are not worth keeping: they go through TensorFlow.js's pool.
 */
import type {Shader} from './webgpuProgram';

/** What makes buffers for numbers that are used once. */
export interface UniformPool {
  device: GPUDevice;
  makeUniforms(uniforms: {type: string; data: number[]}[]): GPUBufferBinding;
}

/** Entries kept for a pipeline; more than the layers of a model, or the buffers that take turns, would need. */
const KEPT = 256;

const tfTypes = {u32: 'uint32', i32: 'int32', f32: 'float32'} as const;

/** Makes bind groups for one pipeline. */
export class Bindings {
  private readonly types: (keyof typeof tfTypes)[];
  private readonly layout: GPUBindGroupLayout;
  /** By contents; undefined after the first use, a buffer from the second on. */
  private readonly uniforms = new Map<string, GPUBuffer | undefined>();
  private readonly groups = new Map<string, GPUBindGroup>();

  constructor(
    private readonly label: string,
    {uniforms}: Shader,
    pipeline: GPUComputePipeline,
  ) {
    this.types = [...Object.values(uniforms), 'u32'];
    this.layout = pipeline.getBindGroupLayout(0);
  }

  /** Binds the buffers in the order of the shader, and after them the uniforms, of which the number of workgroups is the last. */
  group(pool: UniformPool, buffers: GPUBuffer[], values: number[]): GPUBindGroup {
    const contents = values.join();
    if (!this.uniforms.has(contents)) {
      remember(this.uniforms, contents, undefined);
      return this.make(pool.device, buffers, pool.makeUniforms(this.types.map((type, i) => uniform(type, values[i]))));
    }
    const kept = this.uniforms.get(contents) ?? this.upload(pool.device, values);
    this.uniforms.set(contents, kept);
    const key = `${buffers.map(numberOf).join()},${numberOf(kept)}`;
    let group = this.groups.get(key);
    if (!group) {
      group = this.make(pool.device, buffers, {buffer: kept});
      remember(this.groups, key, group);
    }
    return group;
  }

  private make(device: GPUDevice, buffers: GPUBuffer[], uniforms: GPUBufferBinding): GPUBindGroup {
    const resources = [...buffers.map((buffer) => ({buffer})), uniforms];
    const entries = resources.map((resource, binding) => ({binding, resource}));
    return device.createBindGroup({label: this.label, layout: this.layout, entries});
  }

  private upload(device: GPUDevice, values: number[]): GPUBuffer {
    const buffer = device.createBuffer({
      label: this.label,
      size: 4 * values.length,
      usage: GPUBufferUsage.UNIFORM,
      mappedAtCreation: true,
    });
    const view = new DataView(buffer.getMappedRange());
    values.forEach((value, i) => {
      const type = this.types[i];
      if (type === 'f32') view.setFloat32(4 * i, value, true);
      else if (type === 'i32') view.setInt32(4 * i, value, true);
      else view.setUint32(4 * i, value, true);
    });
    buffer.unmap();
    return buffer;
  }
}

const uniform = (type: keyof typeof tfTypes, value: number) => ({type: tfTypes[type], data: [value]});

/** Puts an entry in, and the oldest out; who was using that goes on holding it. */
function remember<T>(map: Map<string, T>, key: string, value: T): void {
  if (map.size >= KEPT) map.delete(map.keys().next().value!);
  map.set(key, value);
}

const numbers = new WeakMap<GPUBuffer, number>();
let last = 0;

/** @internal One number for each buffer. */
export function numberOf(buffer: GPUBuffer): number {
  let number = numbers.get(buffer);
  if (number === undefined) numbers.set(buffer, (number = ++last));
  return number;
}
