/** The programs of the passes: GLSL of each variant, compiled once for each context. */
import {functions} from './webglFunctions';

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

/** A variant of a pass, ready to be drawn with. */
interface Compiled {
  program: WebGLProgram;
  location(name: string): WebGLUniformLocation | null;
}

/** What the passes keep on a context. */
interface Context {
  vertexShader: WebGLShader;
  compiled: Map<string, Compiled>;
  framebuffer: WebGLFramebuffer;
  vertices: WebGLVertexArrayObject;
}

const contexts = new WeakMap<WebGL2RenderingContext, Context>();

export function contextOf(gl: WebGL2RenderingContext): Context {
  let context = contexts.get(gl);
  if (context === undefined) {
    context = {
      vertexShader: shaderOf(gl, gl.VERTEX_SHADER, vertexShader),
      compiled: new Map(),
      framebuffer: gl.createFramebuffer(),
      vertices: gl.createVertexArray(),
    };
    contexts.set(gl, context);
  }
  return context;
}

/** The program of a variant: which of the inputs are present, and the compile-time switches. */
export function compile(
  gl: WebGL2RenderingContext,
  pass: Pass,
  present: readonly string[],
  flags: Record<string, boolean | number>,
): Compiled {
  // The name and everything the source depends on.
  const key = JSON.stringify([pass.name, present, flags]);
  const context = contextOf(gl);
  let compiled = context.compiled.get(key);
  if (compiled === undefined) {
    const program = link(gl, pass.name, context.vertexShader, fragmentShader(pass, present, flags));
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

/** Whether compiling went well is asked of the linked program only, because every question waits for the driver. */
function link(gl: WebGL2RenderingContext, name: string, vertex: WebGLShader, source: string): WebGLProgram {
  const program = gl.createProgram();
  const fragment = shaderOf(gl, gl.FRAGMENT_SHADER, source);
  gl.attachShader(program, vertex);
  gl.attachShader(program, fragment);
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS) && !gl.isContextLost()) {
    const problem = gl.getShaderInfoLog(fragment) || gl.getProgramInfoLog(program);
    throw new Error(`${name}: the shader does not compile: ${problem}`);
  }
  gl.deleteShader(fragment);
  return program;
}

function shaderOf(gl: WebGL2RenderingContext, type: number, source: string): WebGLShader {
  const shader = gl.createShader(type)!;
  gl.shaderSource(shader, source);
  gl.compileShader(shader);
  return shader;
}

/** The width of textures of texels, a power of two; those of fewer texels have one row. */
export const TEXEL_COLUMNS = 2048;

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
}
// Of a texture of texels, whose width is known unless TensorFlow.js has folded it.
ivec2 texelPlace(int i, int width) {
#if FOLDED
  return place(i, width);
#else
  return ivec2(i & ${TEXEL_COLUMNS - 1}, i >> ${Math.log2(TEXEL_COLUMNS)});
#endif
}`;

/** The source of one variant. */
export function fragmentShader(
  pass: Pass,
  present: readonly string[],
  flags: Record<string, boolean | number>,
): string {
  const reader = (name: string) => {
    const [type, channels, at] = name.endsWith('4') ? ['vec4', '', 'texelPlace'] : ['float', '.r', 'place'];
    return `uniform sampler2D ${name}; uniform ivec2 at_${name};
${type} get_${name}(int i) { return texelFetch(${name}, ${at}(i + at_${name}.y, at_${name}.x), 0)${channels}; }`;
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
