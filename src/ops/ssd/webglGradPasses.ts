/**
 * The shaders of the gradient of Mamba-2's scan on WebGL; webglPasses.ts says how tables lie. `gated` is the gradient of y before the
 * gate, later4 that of the state at each piece's end, and S4 has for each pair of positions of a piece the decay between them times the
 * product of `gated` at the one and δu at the other.
 */
import type {Pass} from '../../backends/webgl';
import {CHUNK, ofElement, ofPiece, pairOf, sizes, within} from './webglPasses';

/** The gradient of z. */
export const gateGradPass: Pass = {
  name: 'SSDGrad (gate)',
  inputs: ['z', 'dy', 'y'],
  outputs: 1,
  main: `out_0 = get_dy(index) * get_y(index) * siluSlope(get_z(index));`,
};

/**
 * The gradient of u; and what each element gives to sums over the channels of a head: x = δu times what comes from behind the piece, u
 * times the whole gradient of x, and the gradient of D.
 */
export const inputPass: Pass = {
  name: 'SSDGrad (input)',
  inputs: ['u', 'gated', 'steps4', 'edges4', 'CB4', 'B4', 'later4'],
  optional: ['D'],
  outputs: 4,
  ints: [...sizes, 'channelsOfD'],
  declarations: within + pairOf('CB'),
  main: `${ofElement}
  float dx = 0.;
  for (int q = 0; q < quads; q++) {
    dx += dot(get_B4(((first + t) * groups + g) * quads + q), get_later4(((piece * heads + head) * headDim + p) * quads + q));
  }
  dx *= get_edges4(values + t).z;
  vec4 own = get_steps4(values + t);
  float u = get_u(index);
  out_1 = own.x * u * dx;
  for (int k = t; k < count; k++) {
    vec4 step = get_steps4(values + k);
    dx += pair_CB(piece * groups + g, k, t) * within(step, own) * get_gated(((first + k) * heads + head) * headDim + p);
  }
  float du = own.x * dx;
  float gy = get_gated(index);
#if HAS_D
  du += get_D(head * channelsOfD + p % channelsOfD) * gy;
#endif
  out_0 = du;
  out_2 = u * dx;
  out_3 = gy * u;`,
};

/** Sums over the channels of a head, [piece, head, 64]: (through the state at the start, at the end, through the input, -). */
export const throughPass: Pass = {
  name: 'SSDGrad (sums over channels)',
  inputs: ['gated', 'fromStart', 'fromBehind', 'throughInput'],
  outputs: 1,
  texels: true,
  ints: sizes,
  main: `
  int t = index % ${CHUNK};
  int head = (index / ${CHUNK}) % heads;
  int piece = index / ${CHUNK} / heads;
  ${ofPiece}
  vec4 sum = vec4(0.);
  if (t < count) {
    for (int p = 0; p < headDim; p++) {
      int at = ((first + t) * heads + head) * headDim + p;
      sum += vec4(get_gated(at) * get_fromStart(at), get_fromBehind(at), get_throughInput(at), 0.);
    }
  }
  out_0 = sum;`,
};

/** S; zero where the position of `gated` is before the other, and past the end. */
export const headPairsPass: Pass = {
  name: 'SSDGrad (pairs)',
  inputs: ['u', 'gated', 'steps4'],
  outputs: 1,
  texels: true,
  ints: sizes,
  declarations: within,
  main: `
  int j = index % ${CHUNK / 4} * 4;
  int i = (index / ${CHUNK / 4}) % ${CHUNK};
  int ofHead = index / ${CHUNK / 4} / ${CHUNK};
  int head = ofHead % heads;
  int piece = ofHead / heads;
  ${ofPiece}
  vec4 sum = vec4(0.);
  if (i < count) {
    for (int k = 0; k < min(4, i + 1 - j); k++) {
      int from = ((first + i) * heads + head) * headDim;
      int to = ((first + j + k) * heads + head) * headDim;
      for (int p = 0; p < headDim; p++) sum[k] += get_gated(from + p) * get_u(to + p);
      vec4 step = get_steps4(ofHead * ${CHUNK} + j + k);
      sum[k] *= within(get_steps4(ofHead * ${CHUNK} + i), step) * step.x;
    }
  }
  out_0 = sum;`,
};

/** Σ of S over the heads of a group: the gradient of CBᵀ. */
export const groupPairsPass: Pass = {
  name: 'SSDGrad (CBᵀ)',
  inputs: ['S4'],
  outputs: 1,
  texels: true,
  ints: sizes,
  main: `
  int perGroup = heads / groups;
  int pairs = ${(CHUNK * CHUNK) / 4};
  int from = index / pairs * perGroup * pairs + index % pairs;
  vec4 sum = vec4(0.);
  for (int k = 0; k < perGroup; k++) sum += get_S4(from + k * pairs);
  out_0 = sum;`,
};

/** Σ over j < k of S_ij CB_ij, for each i and k: what goes to i across the decay of position k. */
export const crossingPass: Pass = {
  name: 'SSDGrad (crossings)',
  inputs: ['S4', 'CB4'],
  outputs: 1,
  texels: true,
  ints: sizes,
  main: `
  int quad = index % ${CHUNK / 4};
  int row = index / ${CHUNK / 4};
  int ofHead = row / ${CHUNK};
  int g = ofHead % heads / (heads / groups);
  int rowCB = (ofHead / heads * groups + g) * ${CHUNK} + row % ${CHUNK};
  float before = 0.;
  for (int j = 0; j < quad; j++) before += dot(get_S4(row * ${CHUNK / 4} + j), get_CB4(rowCB * ${CHUNK / 4} + j));
  vec4 own = get_S4(index) * get_CB4(rowCB * ${CHUNK / 4} + quad);
  out_0 = before + vec4(0., own.x, own.x + own.y, own.x + own.y + own.z);`,
};

/** Σ of state times later4 over the states of each channel, [piece, head, channel]. */
export const wholePass: Pass = {
  name: 'SSDGrad (whole pieces)',
  inputs: ['states4', 'later4'],
  outputs: 1,
  ints: sizes,
  main: `
  float sum = 0.;
  for (int k = index * quads; k < (index + 1) * quads; k++) sum += dot(get_states4(k), get_later4(k));
  out_0 = sum;`,
};

/** The gradient of delta [B,L,H], and what each position gives to that of A. A decay lies between all i ≥ k > j. */
export const stepGradPass: Pass = {
  name: 'SSDGrad (step sizes)',
  inputs: ['A', 'steps4', 'edges4', 'through4', 'crossing4', 'whole'],
  outputs: 2,
  ints: sizes,
  declarations: pairOf('crossing'),
  main: `
  int head = index % heads;
  int position = index / heads;
  int piece = position / len * chunks + position % len / ${CHUNK};
  int t = position % len % ${CHUNK};
  int ofHead = piece * heads + head;
  int values = ofHead * ${CHUNK};
  float dLogDecay = 0.;
  for (int p = 0; p < headDim; p++) dLogDecay += get_whole(ofHead * headDim + p);
  dLogDecay *= get_edges4(values + ${CHUNK - 1}).x;
  for (int i = t; i < ${CHUNK}; i++) dLogDecay += get_through4(values + i).x + pair_crossing(ofHead, i, t);
  for (int j = 0; j < t; j++) dLogDecay += get_through4(values + j).y;
  vec4 step = get_steps4(values + t);
  out_0 = (dLogDecay * get_A(head) + get_through4(values + t).z) * step.w;
  out_1 = dLogDecay * step.x;`,
};

/**
 * The gradient of C (WHICH 1) or B (WHICH 0) as texels [position, group, quad]: through the states, a sum over all channels of the group,
 * and through CBᵀ.
 */
export const projectionPass: Pass = {
  name: 'SSDGrad (projection)',
  inputs: ['x', 'edges4', 'states4', 'dCB4', 'other4'],
  outputs: 1,
  texels: true,
  ints: sizes,
  declarations: pairOf('dCB'),
  main: `
  int q = index % quads;
  int g = (index / quads) % groups;
  int position = index / quads / groups;
  int piece = position / len * chunks + position % len / ${CHUNK};
  int t = position % len % ${CHUNK};
  ${ofPiece}
  int perGroup = heads / groups;
  vec4 total = vec4(0.);
  for (int head = g * perGroup; head < (g + 1) * perGroup; head++) {
    vec4 edge = get_edges4((piece * heads + head) * ${CHUNK} + t);
    int at = ((first + t) * heads + head) * headDim;
    int state = (piece * heads + head) * headDim * quads + q;
    vec4 sum = vec4(0.);
    for (int p = 0; p < headDim; p++) sum += get_x(at + p) * get_states4(state + p * quads);
    total += (WHICH == 1 ? edge.x : edge.y) * sum;
  }
  for (int k = WHICH == 1 ? 0 : t; k < (WHICH == 1 ? t + 1 : count); k++) {
    float pair = WHICH == 1 ? pair_dCB(piece * groups + g, t, k) : pair_dCB(piece * groups + g, k, t);
    total += pair * get_other4(((first + k) * groups + g) * quads + q);
  }
  out_0 = total;`,
};

/** Σ over the channels of a head. */
export const perHeadPass: Pass = {
  name: 'SSDGrad (heads)',
  inputs: ['channels'],
  outputs: 1,
  ints: sizes,
  main: `
  float sum = 0.;
  for (int p = 0; p < headDim; p++) sum += get_channels(index * headDim + p);
  out_0 = sum;`,
};
