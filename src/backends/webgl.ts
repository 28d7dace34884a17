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
import {env} from '@tensorflow/tfjs';
import {functions} from './webglFunctions';

interface TextureData {
  texture: {texture: WebGLTexture} | null;
  /** Rows and columns of the values; a packed texture has half of each. */
  texShape: [number, number] | null;
  isPacked?: boolean;
  values: Float32Array | null;
  slice?: {flatOffset: number} | null;
}

/** What is used of TensorFlow.js's webgl backend. */
export interface WebGLBackend {
  gpgpu: {gl: WebGL2RenderingContext; program: WebGLProgram | null};
  texData: {get(dataId: object): TextureData};
  makeTensorInfo(shape: number[], dtype: DataType): TensorInfo;
  uploadToGPU(dataId: object): void;
  unpackTensor(input: TensorInfo): TensorInfo;
  disposeIntermediateTensorInfo(info: TensorInfo): void;
}

/** One shader and its variants. */
export interface Pass {
  /** The kernel and the pass, as errors name it: `SelectiveScan (output)`. */
  name: string;
  /** Textures: `float get_x(int i)` reads element i; of those whose name ends in 4, `vec4 get_x4(int i)` reads texel i. */
  inputs: readonly string[];
  /** Inputs that may be absent: the code asks `#if HAS_z`. */
  optional?: readonly string[];
  /** What is written, `out_0` and so on: a float, or with `texels` a vec4. */
  outputs: number;
  texels?: boolean;
  /** Whole numbers by name. */
  ints?: readonly string[];
  /** Numbers by name. */
  floats?: readonly string[];
  /** Functions. */
  declarations?: string;
  /** The body; finds `int index`, the number of the element or texel. */
  main: string;
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

interface Compiled {
  program: WebGLProgram;
  location(name: string): WebGLUniformLocation | null;
}

interface Context {
  compiled: Map<string, Compiled>;
  framebuffer: WebGLFramebuffer;
  vertices: WebGLVertexArrayObject;
}

const contexts = new WeakMap<WebGL2RenderingContext, Context>();

/** The most outputs of a pass: what WebGL2 guarantees. */
const MAX_OUTPUTS = 4;

/** Runs the passes of one kernel call, and frees what it made on the way. */
export class Kernel {
  private readonly scratch: TensorInfo[] = [];
  private readonly gl: WebGL2RenderingContext;

  constructor(
    private readonly name: string,
    private readonly backend: WebGLBackend,
  ) {
    this.gl = backend.gpgpu.gl;
    checkDevice(name, this.gl);
  }

  /** Makes a result. */
  output(shape: number[]): TensorInfo {
    const info = this.backend.makeTensorInfo(shape, 'float32');
    if (shape.includes(0)) {
      this.backend.texData.get(info.dataId).values = new Float32Array(0);
    } else {
      this.backend.uploadToGPU(info.dataId);
    }
    return info;
  }

  /** Makes a tensor of floats that is freed at the end. */
  temporary(shape: number[]): TensorInfo {
    return this.toBeFreed(this.output(shape));
  }

  /** Makes room for that many texels of four values; it is freed at the end. */
  texels(count: number): TensorInfo {
    return this.toBeFreed(this.keptTexels(count));
  }

  /** Makes room for that many texels of four values; the caller keeps it. Outside it is a matrix with 2×2 values to the texel. */
  keptTexels(count: number): TensorInfo {
    const columns = Math.min(count, TEXEL_COLUMNS);
    const info = this.backend.makeTensorInfo([2 * Math.ceil(count / columns), 2 * columns], 'float32');
    this.backend.texData.get(info.dataId).isPacked = true;
    this.backend.uploadToGPU(info.dataId);
    return info;
  }

  /** Runs a pass. */
  draw(pass: Pass, {inputs, ints = {}, floats = {}, flags = {}, count, outputs}: Draw): void {
    if (count === 0) return;
    const {gl} = this;
    const context = contextOf(gl);
    const present = pass.inputs.concat(pass.optional ?? []).filter((name) => inputs[name] !== undefined);
    const {program, location} = compile(gl, context, pass, present, flags);
    const textures = present.map((name) => this.textureOf(inputs[name]!, name.endsWith('4')));
    const targets = outputs.map((info) => this.textureOf(info, pass.texels === true));
    gl.bindFramebuffer(gl.FRAMEBUFFER, context.framebuffer);
    for (let i = 0; i < MAX_OUTPUTS; i++) {
      const texture = targets[i]?.texture ?? null;
      gl.framebufferTexture2D(gl.FRAMEBUFFER, gl.COLOR_ATTACHMENT0 + i, gl.TEXTURE_2D, texture, 0);
    }
    gl.drawBuffers(targets.map((_, i) => gl.COLOR_ATTACHMENT0 + i));
    const {width, height} = targets[0];
    gl.viewport(0, 0, width, height);
    gl.scissor(0, 0, width, height);
    gl.useProgram(program);
    gl.bindVertexArray(context.vertices);
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
    if (gl.isContextLost()) {
      throw new Error(`${this.name}: the WebGL context was lost: the browser has taken the GPU away. ${AFTER_LOSS}`);
    }
  }

  /** Frees the intermediate results. */
  finish(): void {
    this.scratch.forEach((info) => this.backend.disposeIntermediateTensorInfo(info));
  }

  private toBeFreed(info: TensorInfo): TensorInfo {
    this.scratch.push(info);
    return info;
  }

  private textureOf(info: TensorInfo, asTexels: boolean) {
    this.backend.uploadToGPU(info.dataId);
    let data = this.backend.texData.get(info.dataId);
    if (data.isPacked && !asTexels) {
      data = this.backend.texData.get(this.toBeFreed(this.backend.unpackTensor(info)).dataId);
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

const TEXEL_COLUMNS = 2048;

const AFTER_LOSS =
  "What was on it is gone. Load the model again, or choose another backend with tf.setBackend('wasm').";

/** Runs a kernel's passes with its intermediate results freed afterwards, whatever happens. */
export function runPasses<T>(name: string, backend: unknown, run: (kernel: Kernel) => T): T {
  const kernel = new Kernel(name, backend as WebGLBackend);
  try {
    return run(kernel);
  } finally {
    kernel.finish();
  }
}

/** The passes add up long sums: they need WebGL2 and float32 textures to write to. */
function checkDevice(name: string, gl: WebGL2RenderingContext): void {
  if (gl.isContextLost()) {
    throw new Error(`${name}: the WebGL context is lost: the browser has taken the GPU away. ${AFTER_LOSS}`);
  }
  const flags = env();
  if (flags.getNumber('WEBGL_VERSION') !== 2) {
    throw new Error(`${name}: the webgl backend runs on WebGL 1 here, but the kernels need WebGL 2; use wasm`);
  }
  if (!flags.getBool('WEBGL_RENDER_FLOAT32_ENABLED')) {
    throw new Error(
      `${name}: this device has only half-float textures to write to, but the kernels need float32; use wasm`,
    );
  }
}

function contextOf(gl: WebGL2RenderingContext): Context {
  let context = contexts.get(gl);
  if (context === undefined) {
    context = {compiled: new Map(), framebuffer: gl.createFramebuffer(), vertices: gl.createVertexArray()};
    contexts.set(gl, context);
  }
  return context;
}

function compile(
  gl: WebGL2RenderingContext,
  context: Context,
  pass: Pass,
  present: readonly string[],
  flags: Record<string, boolean | number>,
): Compiled {
  // The name and everything the source depends on.
  const key = JSON.stringify([pass.name, present, flags]);
  let compiled = context.compiled.get(key);
  if (compiled === undefined) {
    const program = link(gl, pass.name, fragmentShader(pass, present, flags));
    const locations = new Map<string, WebGLUniformLocation | null>();
    const location = (name: string) => {
      if (!locations.has(name)) locations.set(name, gl.getUniformLocation(program, name));
      return locations.get(name)!;
    };
    compiled = {program, location};
    context.compiled.set(key, compiled);
  }
  return compiled;
}

/** One triangle that covers the target. */
const vertexShader = `#version 300 es
void main() {
  gl_Position = vec4(gl_VertexID == 1 ? 3. : -1., gl_VertexID == 2 ? 3. : -1., 0., 1.);
}`;

function link(gl: WebGL2RenderingContext, name: string, fragment: string): WebGLProgram {
  const program = gl.createProgram();
  for (const [type, source] of [
    [gl.VERTEX_SHADER, vertexShader],
    [gl.FRAGMENT_SHADER, fragment],
  ] as const) {
    const shader = gl.createShader(type)!;
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS) && !gl.isContextLost()) {
      throw new Error(`${name}: the shader does not compile: ${gl.getShaderInfoLog(shader)}`);
    }
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    throw new Error(`${name}: the shader does not link: ${gl.getProgramInfoLog(program)}`);
  }
  return program;
}

/**
 * The column and row of element i in a texture of that width. A division of whole numbers is slow on many GPUs; one of floats may be
 * wrong by one, which is put right.
 */
const place = `
ivec2 place(int i, int width) {
  int row = int(float(i) / float(width));
  int column = i - row * width;
  if (column < 0) return ivec2(column + width, row - 1);
  return column < width ? ivec2(column, row) : ivec2(column - width, row + 1);
}`;

/** The source of one variant. */
export function fragmentShader(
  pass: Pass,
  present: readonly string[],
  flags: Record<string, boolean | number>,
): string {
  const reader = (name: string) => {
    const [type, channels] = name.endsWith('4') ? ['vec4', ''] : ['float', '.r'];
    return `uniform sampler2D ${name}; uniform ivec2 at_${name};
${type} get_${name}(int i) { return texelFetch(${name}, place(i + at_${name}.y, at_${name}.x), 0)${channels}; }`;
  };
  const type = pass.texels ? 'vec4' : 'float';
  return [
    '#version 300 es',
    'precision highp float; precision highp int; precision highp sampler2D;',
    ...(pass.optional ?? []).map((name) => `#define HAS_${name} ${present.includes(name) ? 1 : 0}`),
    ...Object.entries(flags).map(([name, value]) => `#define ${name} ${Number(value)}`),
    'uniform ivec2 target;',
    ...(pass.ints ?? []).map((name) => `uniform int ${name};`),
    ...(pass.floats ?? []).map((name) => `uniform float ${name};`),
    place,
    ...present.map(reader),
    ...Array.from({length: pass.outputs}, (_, i) => `layout(location = ${i}) out ${type} out_${i};`),
    functions,
    pass.declarations ?? '',
    'void main() {',
    '  int index = int(gl_FragCoord.y) * target.x + int(gl_FragCoord.x);',
    '  if (index >= target.y) return;',
    pass.main,
    '}',
  ].join('\n');
}
