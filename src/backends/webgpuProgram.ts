/**
 * What a WebGPU kernel is made of: programs, each a compute shader with named buffers and named uniforms.
 *
 * TensorFlow.js's own program objects have one output and share pipelines between whatever has the same `shaderKey`. Here a program
 * has as many outputs as it declares, and its pipelines are found by the program *object* and its variant, which cannot collide.
 * A variant is what the code depends on: flags, and the number of state quads; never a length, a batch or a number of channels, so
 * that nothing is compiled again for another shape.
 */

/** How a shader uses a buffer, and what its elements are. */
interface BufferUse {
  access: 'read' | 'read_write';
  element: 'f32' | 'i32' | 'vec4f' | 'atomic<i32>';
}

/** The source of one variant of a program. */
export interface Shader {
  /** The buffers by name, in the order of their bindings. All of them must be used: an unused one would be missing from the layout. */
  buffers: Record<string, BufferUse>;
  /** The numbers by name, `p.name` in the code; 'u32' unless said otherwise. */
  uniforms: Record<string, 'u32' | 'f32' | 'i32'>;
  /** If absent, there are 64 and an invocation for each of `size` elements, a uniform. */
  workgroupSize?: number;
  /** Functions, constants and workgroup variables. */
  declarations?: string;
  /**
   * The body of the entry point. It finds `group`, the number of its workgroup, and `lane`, its invocation's number in it. Workgroups
   * beyond the number asked for have left already. Of an element each, it finds `i`, the number of its own, and the rest have left too.
   */
  main: string;
}

/** What may decide between variants. */
export type Variant = Record<string, boolean | number | string>;

/** A program; its pipelines hang on this object. */
export interface Program<V extends Variant = Variant> {
  /** Kernel and pass, as errors name it: `SelectiveScan (output)`. */
  name: string;
  build(variant: V): Shader;
  /** Every variant a test should compile. */
  variants: readonly V[];
}

const programs: Program[] = [];

/** Every program of the package, for the test that compiles them all. */
export function allPrograms(): readonly Program[] {
  return programs;
}

/** Declares a program. */
export function defineProgram<V extends Variant>(program: Program<V>): Program<V> {
  programs.push(program);
  return program;
}

/** Every combination of one value for each key: the variants of a program. */
export function combinations<V extends Variant>(choices: {[K in keyof V]: readonly V[K][]}): V[] {
  return Object.entries(choices).reduce<Variant[]>(
    (sofar, [key, values]) =>
      sofar.flatMap((variant) => (values as Variant[string][]).map((value) => ({...variant, [key]: value}))),
    [{}],
  ) as V[];
}

export const read: BufferUse = {access: 'read', element: 'f32'};
export const write: BufferUse = {access: 'read_write', element: 'f32'};
export const readInts: BufferUse = {access: 'read', element: 'i32'};
export const writeInts: BufferUse = {access: 'read_write', element: 'i32'};
export const atomicInts: BufferUse = {access: 'read_write', element: 'atomic<i32>'};
export const readQuads: BufferUse = {access: 'read', element: 'vec4f'};
export const writeQuads: BufferUse = {access: 'read_write', element: 'vec4f'};

/** The WGSL module of a shader. */
export function moduleCode({buffers, uniforms, workgroupSize, declarations = '', main}: Shader): string {
  const bindings = Object.entries(buffers).map(
    ([name, {access, element}], i) => `@group(0) @binding(${i}) var<storage, ${access}> ${name}: array<${element}>;`,
  );
  const fields = Object.entries(uniforms).map(([name, type]) => `  ${name}: ${type},`);
  return `
struct Uniforms {
${fields.join('\n')}
  workgroups: u32,
}
${bindings.join('\n')}
@group(0) @binding(${bindings.length}) var<uniform> p: Uniforms;
${declarations}
@compute @workgroup_size(${workgroupSize ?? 64})
fn main(
  @builtin(workgroup_id) workgroupId: vec3u,
  @builtin(num_workgroups) workgroupCount: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let group = workgroupId.y * workgroupCount.x + workgroupId.x;
  if (group >= p.workgroups) { return; }
  ${workgroupSize ? '' : 'var i = group * 64u + lane; if (i >= p.size) { return; }'}
${main}
}
`;
}
