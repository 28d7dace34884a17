/**
 * What a WebGL2 kernel is made of: passes, each a fragment shader that computes one element, or four, of each of its outputs.
 *
 * TensorFlow.js's own program objects have one output. Here a pass has up to four (what every WebGL2 device can attach), which is what
 * lets a fragment walk a stretch of time once and hand over everything it found. Passes read and write TensorFlow.js's textures where
 * they are; shapes are uniforms, so nothing is compiled again for another shape.
 *
 * Tensors are read flat, by the number of the element. Intermediate results hold four values to the texel (RGBA), and are TensorFlow.js
 * textures too: its texture manager recycles them.
 */
import type {DataType, TensorInfo} from '@tensorflow/tfjs';
import type {WatchedBackend} from './webglHealth';
import {checkContext, checkDevice} from './webglHealth';
import type {Pass} from './webglPrograms';
import {compile, contextOf, TEXEL_COLUMNS} from './webglPrograms';

export type {Pass};

interface TextureData {
  texture: {texture: WebGLTexture} | null;
  /** Rows and columns of the values; a packed texture has half of each. */
  texShape: [number, number] | null;
  isPacked?: boolean;
  values: Float32Array | null;
  slice?: {flatOffset: number} | null;
}

/** What is used of TensorFlow.js's webgl backend. */
export interface WebGLBackend extends WatchedBackend {
  texData: {get(dataId: object): TextureData};
  makeTensorInfo(shape: number[], dtype: DataType): TensorInfo;
  uploadToGPU(dataId: object): void;
  unpackTensor(input: TensorInfo): TensorInfo;
  disposeIntermediateTensorInfo(info: TensorInfo): void;
}

/** The arguments of one draw. */
export interface Draw {
  inputs: Record<string, TensorInfo | undefined>;
  ints?: Record<string, number>;
  floats?: Record<string, number>;
  /** Compile-time switches, `#if NAME`. */
  flags?: Record<string, boolean | number>;
  /** How many elements or texels there are to compute. */
  count: number;
  /** As many as the pass has outputs, all made alike. */
  outputs: TensorInfo[];
}

/** The most outputs of a pass: what WebGL2 guarantees. */
const MAX_OUTPUTS = 4;

/** Runs the passes of one kernel call, and frees what it made on the way. */
export class Kernel {
  private readonly scratch: TensorInfo[] = [];
  private readonly results: TensorInfo[] = [];
  private readonly gl: WebGL2RenderingContext;

  constructor(
    private readonly name: string,
    private readonly backend: WebGLBackend,
  ) {
    this.gl = backend.gpgpu.gl;
    checkDevice(name, backend);
  }

  /** Makes a result. */
  output(shape: number[]): TensorInfo {
    return this.make(shape, this.results);
  }

  /** Makes a tensor of floats that is freed at the end. */
  temporary(shape: number[]): TensorInfo {
    return this.make(shape, this.scratch);
  }

  /** Makes room for that many texels of four values; it is freed at the end. */
  texels(count: number): TensorInfo {
    return this.makeTexels(count, this.scratch);
  }

  /** Makes room for that many texels of four values as a result. Outside it is a matrix with 2×2 values to the texel. */
  keptTexels(count: number): TensorInfo {
    return this.makeTexels(count, this.results);
  }

  /** Runs a pass. */
  draw(pass: Pass, {inputs, ints = {}, floats = {}, flags = {}, count, outputs}: Draw): void {
    if (count === 0) return;
    const {gl} = this;
    const {framebuffer, vertices} = contextOf(gl);
    const present = pass.inputs.concat(pass.optional ?? []).filter((name) => inputs[name] !== undefined);
    const textures = present.map((name) => this.textureOf(inputs[name]!, name.endsWith('4')));
    const FOLDED = textures.some(
      ({width, height}, i) => present[i].endsWith('4') && height > 1 && width !== TEXEL_COLUMNS,
    );
    const {program, location} = compile(gl, pass, present, {...flags, FOLDED});
    const targets = outputs.map((info) => this.textureOf(info, pass.texels === true));
    gl.bindFramebuffer(gl.FRAMEBUFFER, framebuffer);
    for (let i = 0; i < MAX_OUTPUTS; i++) {
      const texture = targets[i]?.texture ?? null;
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + i, gl.TEXTURE_2D, texture, 0);
    }
    gl.drawBuffers(targets.map((_, i) => gl.COLOR_ATTACHMENT0 + i));
    const {width, height} = targets[0];
    gl.viewport(0, 0, width, height);
    gl.scissor(0, 0, width, height);
    gl.useProgram(program);
    gl.bindVertexArray(vertices);
    textures.forEach(({texture, width, offset}, unit) => {
      gl.activeTexture(gl.TEXTURE0 + unit);
      gl.bindTexture(gl.TEXTURE_2D, texture);
      gl.uniform1i(location(present[unit]), unit);
      gl.uniform2i(location(`at_${present[unit]}`), width, offset);
    });
    gl.uniform2i(location('target'), width, count);
    for (const name of pass.ints ?? []) gl.uniform1i(location(name), ints[name]);
    for (const name of pass.floats ?? []) gl.uniform1f(location(name), floats[name]);
    gl.drawArrays(gl.TRIANGLES, 0, 3);
    checkContext(this.name, this.backend);
  }

  /** Frees the intermediate results, and after a failure the results too. */
  finish(hasFailed: boolean): void {
    const made = hasFailed ? [...this.scratch, ...this.results] : this.scratch;
    made.forEach((info) => this.backend.disposeIntermediateTensorInfo(info));
  }

  private make(shape: number[], list: TensorInfo[]): TensorInfo {
    const info = this.backend.makeTensorInfo(shape, 'float32');
    list.push(info);
    if (shape.includes(0)) {
      this.backend.texData.get(info.dataId).values = new Float32Array(0);
    } else {
      this.upload(info);
    }
    return info;
  }

  private makeTexels(count: number, list: TensorInfo[]): TensorInfo {
    const columns = Math.min(count, TEXEL_COLUMNS);
    const info = this.backend.makeTensorInfo([2 * Math.ceil(count / columns), 2 * columns], 'float32');
    list.push(info);
    this.backend.texData.get(info.dataId).isPacked = true;
    this.upload(info);
    return info;
  }

  /** Gives a tensor its texture. One with an edge beyond the device's limit gets another form, nearly square, from TensorFlow.js. */
  private upload({dataId}: TensorInfo): void {
    try {
      this.backend.uploadToGPU(dataId);
    } catch (error) {
      const {message} = error as Error;
      throw new Error(
        `${this.name}: no texture of this device is large enough: ${message} Use a smaller batch, shorter sequences, or wasm`,
        {cause: error},
      );
    }
  }

  private textureOf(info: TensorInfo, asTexels: boolean) {
    this.upload(info);
    let data = this.backend.texData.get(info.dataId);
    if (data.isPacked && !asTexels) {
      const unpacked = this.backend.unpackTensor(info);
      this.scratch.push(unpacked);
      data = this.backend.texData.get(unpacked.dataId);
    }
    const [rows, columns] = data.texShape!;
    return {
      texture: data.texture!.texture,
      width: asTexels ? Math.ceil(columns / 2) : columns,
      height: asTexels ? Math.ceil(rows / 2) : rows,
      offset: data.slice?.flatOffset ?? 0,
    };
  }
}

/** Runs a kernel's passes with its intermediate results freed afterwards, whatever happens. */
export function runPasses<T>(name: string, backend: unknown, run: (kernel: Kernel) => T): T {
  const kernel = new Kernel(name, backend as WebGLBackend);
  let hasFailed = true;
  try {
    const result = run(kernel);
    hasFailed = false;
    return result;
  } finally {
    kernel.finish(hasFailed);
  }
}
