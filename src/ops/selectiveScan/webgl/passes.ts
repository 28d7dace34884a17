/**
 * The shaders of the selective scan on WebGL.
 *
 * Time is cut into chunks of 16 steps, because 16 is what a fragment can write: four outputs of four values. Four neighbouring states of
 * a channel, a quad, are a texel. Tables of texels are [batch, chunk, channel, quad].
 *
 * PACKED says that the rows are packed documents, told apart by `ids`. What may have come before a document is replaced by zeros and not
 * multiplied by them, as it may be infinite.
 */
import type {Pass} from '../../../backends/webgl';

export const CHUNK = 16;

export const shapes = ['len', 'channels', 'dState', 'quads', 'chunks'] as const;
export const projections = ['groupsB', 'groupsC'] as const;

/** What a pass needs for `restart`, to be put beside its other optional inputs. */
export const packed = ['ids'] as const;

/** Whether another document begins at step t of row b. */
export const begins = `
#if PACKED
bool begins(int b, int t) { return t > 0 && get_ids(b * len + t) != get_ids(b * len + t - 1); }
#endif`;

/** Zeros in place of what step `t` has from the document before. */
export const restart = (values: string, t: string) => `
#if PACKED
    if (begins(b, ${t})) ${values} = vec4(0.);
#endif`;

/** A total exponent of this says that a document begins in a chunk, so that nothing goes through it. As a decay's it cannot occur. */
const CUT = '3e38';

/** What goes through chunks, and the exponent of two of them. */
const through = `
#if PACKED
const float CUT = ${CUT};
vec4 through(vec4 v, vec4 x) { return x.x == CUT ? vec4(0.) : scaled(v, x); }
vec4 joined(vec4 x, vec4 y) { return x.x == CUT || y.x == CUT ? vec4(CUT) : x + y; }
#else
vec4 through(vec4 v, vec4 x) { return scaled(v, x); }
vec4 joined(vec4 x, vec4 y) { return x + y; }
#endif`;

/** A chunk's total exponent, `total * exponent` if it is of one document. */
export const chunkExponent = `
  out_1 = total * exponent;
#if PACKED
  for (int t = first; t < first + steps; t++) if (begins(b, t)) out_1 = vec4(${CUT});
#endif`;

/** Where the fragment is, in a table of texels. */
export const place = `
  int q = index % quads;
  int d = (index / quads) % channels;
  int c = (index / quads / channels) % chunks;
  int b = index / quads / channels / chunks;
  int first = c * ${CHUNK};
  int steps = min(${CHUNK}, len - first);`;

/** A matrix of dState columns as texels [row, quad]; zeros where there is no state. In the loops one read is then a quad. */
export const quadPass: Pass = {
  name: 'SelectiveScan (quads)',
  inputs: ['matrix'],
  outputs: 1,
  texels: true,
  ints: ['dState', 'quads'],
  main: `
  int n = 4 * (index % quads);
  int at = (index / quads) * dState + n;
  out_0 = vec4(get_matrix(at), n + 1 < dState ? get_matrix(at + 1) : 0., n + 2 < dState ? get_matrix(at + 2) : 0.,
    n + 3 < dState ? get_matrix(at + 3) : 0.);`,
};

/** Quad q of what a projection has for step t and channel d. */
const projectionOf = (name: 'B' | 'C') => `
vec4 row_${name}(int b, int t, int d, int q) {
  int row = CONSTANT_${name} == 1 ? d : (b * len + t) * groups${name} + d / (channels / groups${name});
  return get_${name}4(row * quads + q);
}`;

export const rowB = projectionOf('B');
export const rowC = projectionOf('C');

/** What the loops need of each element of [B,L,D], in one texel: step size, u, the gradient of y before the gate, step size times u. */
export const stepPass: Pass = {
  name: 'SelectiveScan (steps)',
  inputs: ['delta', 'u'],
  optional: ['deltaBias', 'dy', 'z'],
  outputs: 1,
  texels: true,
  ints: ['channels'],
  main: `
  float x = get_delta(index);
#if HAS_deltaBias
  x += get_deltaBias(index % channels);
#endif
  float dt = SOFTPLUS == 1 ? softplus(x) : x;
  float u = get_u(index);
  float gy = 0.;
#if HAS_dy
  gy = get_dy(index);
#if HAS_z
  gy *= silu(get_z(index));
#endif
#endif
  out_0 = vec4(dt, u, gy, dt * u);`,
};

/** Each chunk by itself: its state at the end from a zero start, and the exponent of its whole decay. */
export const summaryPass: Pass = {
  name: 'SelectiveScan (chunks)',
  inputs: ['steps4', 'A4', 'B4'],
  optional: packed,
  outputs: 2,
  texels: true,
  ints: [...shapes, 'groupsB'],
  declarations: rowB + begins,
  main: `${place}
  vec4 exponent = get_A4(d * quads + q) * LOG2E;
  vec4 h = vec4(0.);
  float total = 0.;
  for (int t = first; t < first + steps; t++) {
    int at = (b * len + t) * channels + d;
    vec4 step = get_steps4(at);${restart('h', 't')}
    h = scaled(h, step.x * exponent) + step.w * row_B(b, t, d, q);
    total += step.x;
  }
  out_0 = h;${chunkExponent}`,
};

/** Several chunks taken as one, in the order of the scan. */
export const groupPass: Pass = {
  name: 'SelectiveScan (groups of chunks)',
  inputs: ['h4', 'x4'],
  outputs: 2,
  texels: true,
  ints: ['quads', 'channels', 'chunks', 'groups', 'perGroup'],
  declarations: through,
  main: `
  int column = index % (quads * channels);
  int g = (index / quads / channels) % groups;
  int b = index / quads / channels / groups;
  vec4 h = vec4(0.);
  vec4 x = vec4(0.);
  for (int k = g * perGroup; k < min((g + 1) * perGroup, chunks); k++) {
    int c = REVERSED == 1 ? chunks - 1 - k : k;
    int at = (b * chunks + c) * quads * channels + column;
    h = through(h, get_x4(at)) + get_h4(at);
    x = joined(x, get_x4(at));
  }
  out_0 = h;
  out_1 = x;`,
};

/** The state before each chunk: [batch, chunk, channel, quad], in the order of the scan. */
export const startPass: Pass = {
  name: 'SelectiveScan (starts)',
  inputs: ['h4', 'x4'],
  optional: ['state', 'groupStart4'],
  outputs: 1,
  texels: true,
  ints: ['quads', 'channels', 'dState', 'chunks', 'groups', 'perGroup'],
  declarations: through,
  main: `
  int column = index % (quads * channels);
  int k = (index / quads / channels) % chunks;
  int b = index / quads / channels / chunks;
  int g = k / perGroup;
  vec4 h = vec4(0.);
#if HAS_groupStart4
  h = get_groupStart4((b * groups + g) * quads * channels + column);
#elif HAS_state
  int n = 4 * (column % quads);
  int from = (b * channels + column / quads) * dState + n;
  h = vec4(get_state(from), n + 1 < dState ? get_state(from + 1) : 0., n + 2 < dState ? get_state(from + 2) : 0.,
    n + 3 < dState ? get_state(from + 3) : 0.);
#endif
  for (int j = g * perGroup; j < k; j++) {
    int c = REVERSED == 1 ? chunks - 1 - j : j;
    int at = (b * chunks + c) * quads * channels + column;
    h = through(h, get_x4(at)) + get_h4(at);
  }
  out_0 = h;`,
};

/** The state behind the last chunk, in the order of the scan, as a tensor [B,D,N]: the final state, or the gradient of the initial one. */
export const statePass: Pass = {
  name: 'SelectiveScan (state)',
  inputs: ['start4', 'h4', 'x4'],
  outputs: 1,
  ints: ['quads', 'channels', 'dState', 'chunks'],
  declarations: through,
  main: `
  int n = index % dState;
  int d = (index / dState) % channels;
  int b = index / dState / channels;
  int last = ((b * chunks + chunks - 1) * channels + d) * quads + n / 4;
  int at = REVERSED == 1 ? (b * chunks * channels + d) * quads + n / 4 : last;
  out_0 = (through(get_start4(last), get_x4(at)) + get_h4(at))[n % 4];`,
};

/** The fragment of a chunk and a channel, which writes one value for each step. */
export const chunkPlace = `
  int d = index % channels;
  int c = (index / channels) % chunks;
  int b = index / channels / chunks;
  int first = c * ${CHUNK};
  int steps = min(${CHUNK}, len - first);
  vec4 results[4] = vec4[4](vec4(0.), vec4(0.), vec4(0.), vec4(0.));`;

export const writeResults = `
  out_0 = results[0];
  out_1 = results[1];
  out_2 = results[2];
  out_3 = results[3];`;

/** y of a chunk's steps, before the gate. */
export const outputPass: Pass = {
  name: 'SelectiveScan (output)',
  inputs: ['steps4', 'A4', 'B4', 'C4', 'start4'],
  optional: ['D', ...packed],
  outputs: 4,
  texels: true,
  ints: [...shapes, ...projections],
  declarations: rowB + rowC + begins,
  main: `${chunkPlace}
  vec4 exponent[QUADS];
  vec4 h[QUADS];
  for (int q = 0; q < QUADS; q++) {
    exponent[q] = get_A4(d * quads + q) * LOG2E;
    h[q] = get_start4(((b * chunks + c) * channels + d) * quads + q);
  }
  for (int t = 0; t < steps; t++) {
    int at = (b * len + first + t) * channels + d;
    vec4 step = get_steps4(at);
    float y = 0.;
#if HAS_D
    y = get_D(d) * step.y;
#endif
    for (int q = 0; q < QUADS; q++) {${restart('h[q]', 'first + t')}
      h[q] = scaled(h[q], step.x * exponent[q]) + step.w * row_B(b, first + t, d, q);
      y += dot(row_C(b, first + t, d, q), h[q]);
    }
    results[t / 4][t % 4] = y;
  }
  ${writeResults}`,
};

export const stepOf = (name: string) => `
// The value of a step, out of the four textures that the chunks' fragments wrote.
float step_${name}(int b, int t, int d) {
  int at = (b * chunks + t / ${CHUNK}) * channels + d;
  int k = (t % ${CHUNK}) / 4;
  vec4 v = k == 0 ? get_${name}0_4(at) : k == 1 ? get_${name}1_4(at) : k == 2 ? get_${name}2_4(at) : get_${name}3_4(at);
  return v[t % 4];
}`;

export const stepTextures = (name: string) => [0, 1, 2, 3].map((k) => `${name}${k}_4`);

export const stepPlace = `
  int d = index % channels;
  int t = (index / channels) % len;
  int b = index / channels / len;`;

/** y [B,L,D] of the chunks' values, through the gate if there is one. */
export const gatePass: Pass = {
  name: 'SelectiveScan (gate)',
  inputs: stepTextures('y'),
  optional: ['z'],
  outputs: 1,
  ints: ['len', 'channels', 'chunks'],
  declarations: stepOf('y'),
  main: `${stepPlace}
  float y = step_y(b, t, d);
#if HAS_z
  y *= silu(get_z(index));
#endif
  out_0 = y;`,
};
