/**
 * The shaders of Mamba-2's scan on WebGL that its forward runs; the backward runs most of them again.
 *
 * The form is the chunked one of the paper's section 6, as in composed.ts; a fragment has one element, or four, of one of its products.
 * Tables are [piece, head, 64, …], where a piece is a chunk of 64 positions of one sequence; positions past the end have steps of size
 * zero. Pairs of positions are [piece, group or head, 64, 16], a texel of four second positions. States are texels [piece, head, channel,
 * quad], a quad being four neighbours.
 */
import type {Pass} from '../../backends/webgl';

export const CHUNK = 64;

export const sizes = ['len', 'chunks', 'heads', 'headDim', 'groups', 'dState', 'quads'] as const;

/** Where a fragment of a piece finds the piece's positions, of which there are `count`. */
export const ofPiece = `
  int first = piece / chunks * len + piece % chunks * ${CHUNK};
  int count = min(${CHUNK}, len - piece % chunks * ${CHUNK});`;

/** Where the fragment of an element of [B,L,H,P] is, and its place `t` in its piece. */
export const ofElement = `
  int p = index % headDim;
  int head = (index / headDim) % heads;
  int position = index / headDim / heads;
  int piece = position / len * chunks + position % len / ${CHUNK};
  int t = position % len % ${CHUNK};
  int g = head / (heads / groups);
  int values = (piece * heads + head) * ${CHUNK};
  ${ofPiece}`;

/** The decay from after position j to i of what steps4 has of both: exact where sums of the logarithms are large, see chunks.ts. */
export const within = `
float within(vec4 i, vec4 j) { return exact_exp((i.y - j.y) + (i.z - j.z)); }`;

/** The pair (row, column) of a table of pairs. */
export const pairOf = (name: string) => `
float pair_${name}(int table, int row, int column) {
  return get_${name}4((table * ${CHUNK} + row) * ${CHUNK / 4} + column / 4)[column % 4];
}`;

/** (δ, the two parts of δA, the slope of δ) of each piece, head and position. */
export const stepPass: Pass = {
  name: 'SSD (step sizes)',
  inputs: ['delta', 'A'],
  optional: ['deltaBias'],
  outputs: 1,
  texels: true,
  ints: sizes,
  floats: ['deltaMin', 'deltaMax'],
  main: `
  int t = index % ${CHUNK};
  int head = (index / ${CHUNK}) % heads;
  int piece = index / ${CHUNK} / heads;
  ${ofPiece}
  if (t >= count) {
    out_0 = vec4(0.);
    return;
  }
  float raw = get_delta((first + t) * heads + head);
#if HAS_deltaBias
  raw += get_deltaBias(head);
#endif
  float free = SOFTPLUS == 1 ? softplus(raw) : raw;
  float dt = clamp(free, deltaMin, deltaMax);
  float slope = SOFTPLUS == 1 ? sigmoid(raw) : 1.;
  // A multiple of 2⁻¹⁰, whose sums are exact, and a rest, whose sums are small: chunks.ts says why.
  float a = clamp(dt * get_A(head), -128., 128.);
  float coarse = floor(a * 1024.) * ${2 ** -10};
  out_0 = vec4(dt, coarse, a - coarse, free >= deltaMin && free <= deltaMax ? slope : 0.);`,
};

/** The same with sums of the parts up to each position; and (decay from the start, δ · decay to the end, decay to the end, -). */
export const decayPass: Pass = {
  name: 'SSD (decays)',
  inputs: ['step4'],
  outputs: 2,
  texels: true,
  main: `
  int t = index % ${CHUNK};
  int from = index - t;
  vec2 before = vec2(0.);
  for (int i = 0; i <= t; i++) before += get_step4(from + i).yz;
  vec2 after = vec2(0.);
  for (int i = t + 1; i < ${CHUNK}; i++) after += get_step4(from + i).yz;
  vec4 step = get_step4(index);
  float toEnd = exact_exp(after.x + after.y);
  out_0 = vec4(step.x, before, step.w);
  out_1 = vec4(exact_exp(before.x + before.y), step.x * toEnd, toEnd, 0.);`,
};

/** A matrix of dState columns as texels [row, quad]; zeros where there is no state. */
export const quadPass: Pass = {
  name: 'SSD (quads)',
  inputs: ['matrix'],
  outputs: 1,
  texels: true,
  ints: sizes,
  main: `
  int n = 4 * (index % quads);
  int at = (index / quads) * dState + n;
  out_0 = vec4(get_matrix(at), n + 1 < dState ? get_matrix(at + 1) : 0., n + 2 < dState ? get_matrix(at + 2) : 0.,
    n + 3 < dState ? get_matrix(at + 3) : 0.);`,
};

/** Texels as a tensor of dState columns. */
export const unpackPass: Pass = {
  name: 'SSD (columns)',
  inputs: ['matrix4'],
  outputs: 1,
  ints: sizes,
  main: `
  int n = index % dState;
  out_0 = get_matrix4((index / dState) * quads + n / 4)[n % 4];`,
};

/** CBᵀ of each piece and group; zero where a position is before the other, and past the end. */
export const projectionPairsPass: Pass = {
  name: 'SSD (CBᵀ)',
  inputs: ['B4', 'C4'],
  outputs: 1,
  texels: true,
  ints: sizes,
  main: `
  int j = index % ${CHUNK / 4} * 4;
  int i = (index / ${CHUNK / 4}) % ${CHUNK};
  int g = (index / ${CHUNK / 4} / ${CHUNK}) % groups;
  int piece = index / ${CHUNK / 4} / ${CHUNK} / groups;
  ${ofPiece}
  vec4 sum = vec4(0.);
  if (i < count) {
    for (int k = 0; k < min(4, i + 1 - j); k++) {
      for (int q = 0; q < quads; q++) {
        sum[k] += dot(get_C4(((first + i) * groups + g) * quads + q), get_B4(((first + j + k) * groups + g) * quads + q));
      }
    }
  }
  out_0 = sum;`,
};

/**
 * What a piece adds to the state, Σ weight·x⊗projection: of x = u, δ · decay to the end and B; or with BACKWARDS of the gradient of y, the
 * decay from the start and C.
 */
export const statesPass: Pass = {
  name: 'SSD (states)',
  inputs: ['x', 'edges4', 'projection4'],
  outputs: 1,
  texels: true,
  ints: sizes,
  main: `
  int q = index % quads;
  int p = (index / quads) % headDim;
  int head = (index / quads / headDim) % heads;
  int piece = index / quads / headDim / heads;
  int g = head / (heads / groups);
  ${ofPiece}
  vec4 sum = vec4(0.);
  for (int t = 0; t < count; t++) {
    vec4 edge = get_edges4((piece * heads + head) * ${CHUNK} + t);
    float weight = BACKWARDS == 1 ? edge.x : edge.y;
    sum += weight * get_x(((first + t) * heads + head) * headDim + p) * get_projection4(((first + t) * groups + g) * quads + q);
  }
  out_0 = sum;`,
};

/** What is carried into each piece, from either end; and with END what comes out of the last one, texels [batch, head, channel, quad]. */
export const carryPass: Pass = {
  name: 'SSD (carry)',
  inputs: ['added4', 'edges4'],
  optional: ['start4'],
  outputs: 1,
  texels: true,
  ints: sizes,
  main: `
  int perPiece = heads * headDim * quads;
  int column = index % perPiece;
  int head = column / quads / headDim;
#if END
  int b = index / perPiece;
  int steps = chunks;
#else
  int b = index / perPiece / chunks;
  int chunk = index / perPiece % chunks;
  int steps = BACKWARDS == 1 ? chunks - 1 - chunk : chunk;
#endif
  vec4 carried = vec4(0.);
#if HAS_start4
  carried = get_start4(b * perPiece + column);
#endif
  for (int k = 0; k < steps; k++) {
    int piece = b * chunks + (BACKWARDS == 1 ? chunks - 1 - k : k);
    float whole = get_edges4((piece * heads + head) * ${CHUNK} + ${CHUNK - 1}).x;
    carried = get_added4(piece * perPiece + column) + whole * carried;
  }
  out_0 = carried;`,
};

/** y before the gate, and the part of it that comes from the state at the piece's start. */
export const outputPass: Pass = {
  name: 'SSD (output)',
  inputs: ['u', 'steps4', 'edges4', 'CB4', 'C4', 'states4'],
  optional: ['D'],
  outputs: 2,
  ints: [...sizes, 'channelsOfD'],
  declarations: within + pairOf('CB'),
  main: `${ofElement}
  float y = 0.;
  for (int q = 0; q < quads; q++) {
    y += dot(get_C4(((first + t) * groups + g) * quads + q), get_states4(((piece * heads + head) * headDim + p) * quads + q));
  }
  y *= get_edges4(values + t).x;
  out_1 = y;
  vec4 own = get_steps4(values + t);
  for (int k = 0; k <= t; k++) {
    vec4 step = get_steps4(values + k);
    y += pair_CB(piece * groups + g, t, k) * within(own, step) * step.x * get_u(((first + k) * heads + head) * headDim + p);
  }
#if HAS_D
  y += get_D(head * channelsOfD + p % channelsOfD) * get_u(index);
#endif
  out_0 = y;`,
};

/** x times silu(z). */
export const gatePass: Pass = {
  name: 'SSD (gate)',
  inputs: ['x', 'z'],
  outputs: 1,
  main: `out_0 = get_x(index) * silu(get_z(index));`,
};
