/** The shaders of the selective scan's gradient on WebGL; passes.ts says how time and states are laid out. */
import type {Pass} from '../../../backends/webgl';
import {
  CHUNK,
  begins,
  chunkExponent,
  chunkPlace,
  packed,
  place,
  projections,
  restart,
  rowB,
  rowC,
  shapes,
  stepOf,
  stepPlace,
  stepTextures,
  writeResults,
} from './passes';

/** The same backwards: what a chunk hands to the one before it, if nothing comes from behind. */
export const adjointPass: Pass = {
  name: 'SelectiveScanGrad (chunks)',
  inputs: ['steps4', 'A4', 'C4'],
  optional: packed,
  outputs: 2,
  texels: true,
  ints: [...shapes, 'groupsC'],
  declarations: rowC + begins,
  main: `${place}
  vec4 exponent = get_A4(d * quads + q) * LOG2E;
  vec4 carried = vec4(0.);
  float total = 0.;
  for (int t = first + steps - 1; t >= first; t--) {
    int at = (b * len + t) * channels + d;
    vec4 step = get_steps4(at);
    carried = scaled(row_C(b, t, d, q) * step.z + carried, step.x * exponent);${restart('carried', 't')}
    total += step.x;
  }
  out_0 = carried;${chunkExponent}`,
};

/** What reaches the input (WHICH 0: Σ s·B) or the exponent of the decay (WHICH 1: Σ s·a·h·A) of each of a chunk's steps. */
export const stepGradPass: Pass = {
  name: 'SelectiveScanGrad (steps)',
  inputs: ['steps4', 'A4', 'B4', 'C4', 'start4', 'carried4'],
  optional: packed,
  outputs: 4,
  texels: true,
  ints: [...shapes, ...projections],
  declarations: rowB + rowC + begins,
  main: `${chunkPlace}
  for (int q = 0; q < QUADS; q++) {
    vec4 A = get_A4(d * quads + q);
    vec4 exponent = A * LOG2E;
    vec4 carried = get_carried4(((b * chunks + chunks - 1 - c) * channels + d) * quads + q);
#if WHICH == 1
    vec4 before[${CHUNK}];
    vec4 h = get_start4(((b * chunks + c) * channels + d) * quads + q);
    for (int t = 0; t < steps; t++) {
      int at = (b * len + first + t) * channels + d;
      vec4 step = get_steps4(at);${restart('h', 'first + t')}
      before[t] = h;
      h = scaled(h, step.x * exponent) + step.w * row_B(b, first + t, d, q);
    }
#endif
    for (int t = steps - 1; t >= 0; t--) {
      int at = (b * len + first + t) * channels + d;
      vec4 step = get_steps4(at);
      vec4 s = row_C(b, first + t, d, q) * step.z + carried;
      carried = scaled(s, step.x * exponent);
#if WHICH == 1
      results[t / 4][t % 4] += dot(carried * before[t], A);
#else
      results[t / 4][t % 4] += dot(s, row_B(b, first + t, d, q));
#endif${restart('carried', 'first + t')}
    }
  }
  ${writeResults}`,
};

/** dA of a chunk, and dB and dC where they are constant: sums over its steps. */
export const tablePass: Pass = {
  name: 'SelectiveScanGrad (tables)',
  inputs: ['steps4', 'A4', 'B4', 'C4', 'start4', 'carried4'],
  optional: packed,
  outputs: 3,
  texels: true,
  ints: [...shapes, ...projections],
  declarations: rowB + rowC + begins,
  main: `${place}
  vec4 exponent = get_A4(d * quads + q) * LOG2E;
  vec4 before[${CHUNK}];
  vec4 dC = vec4(0.);
  vec4 h = get_start4(((b * chunks + c) * channels + d) * quads + q);
  for (int t = 0; t < steps; t++) {
    int at = (b * len + first + t) * channels + d;
    vec4 step = get_steps4(at);${restart('h', 'first + t')}
    before[t] = h;
    h = scaled(h, step.x * exponent) + step.w * row_B(b, first + t, d, q);
    dC += step.z * h;
  }
  vec4 dA = vec4(0.);
  vec4 dB = vec4(0.);
  vec4 carried = get_carried4(((b * chunks + chunks - 1 - c) * channels + d) * quads + q);
  for (int t = steps - 1; t >= 0; t--) {
    int at = (b * len + first + t) * channels + d;
    vec4 step = get_steps4(at);
    vec4 s = row_C(b, first + t, d, q) * step.z + carried;
    carried = scaled(s, step.x * exponent);
    dA += carried * before[t] * step.x;
    dB += s * step.w;${restart('carried', 'first + t')}
  }
  out_0 = dA;
  out_1 = dB;
  out_2 = dC;`,
};

/** Channels that one fragment of the projections' gradients adds up. */
export const BLOCK = 32;

/**
 * dB (WHICH 0) or dC (WHICH 1) of four of a chunk's steps, from \`part\` on, summed over a block of a group's channels. dB needs only what
 * comes from behind, dC only what comes from before, so each walks its way to the four steps and no further.
 */
export const projectionPass: Pass = {
  name: 'SelectiveScanGrad (projections)',
  inputs: ['steps4', 'A4', 'B4', 'C4', 'start4', 'carried4'],
  optional: packed,
  outputs: 4,
  texels: true,
  ints: [...shapes, ...projections, 'groups', 'blocks', 'part'],
  declarations: rowB + rowC + begins,
  main: `
  int block = index % blocks;
  int q = (index / blocks) % quads;
  int g = (index / blocks / quads) % groups;
  int c = (index / blocks / quads / groups) % chunks;
  int b = index / blocks / quads / groups / chunks;
  int first = c * ${CHUNK};
  int steps = min(${CHUNK}, len - first);
  int inGroup = channels / groups;
  vec4 results[4] = vec4[4](vec4(0.), vec4(0.), vec4(0.), vec4(0.));
  for (int k = block * ${BLOCK}; k < min((block + 1) * ${BLOCK}, inGroup); k++) {
    int d = g * inGroup + k;
    vec4 exponent = get_A4(d * quads + q) * LOG2E;
#if WHICH == 0
    vec4 carried = get_carried4(((b * chunks + chunks - 1 - c) * channels + d) * quads + q);
    for (int t = steps - 1; t >= part; t--) {
      int at = (b * len + first + t) * channels + d;
      vec4 step = get_steps4(at);
      vec4 s = row_C(b, first + t, d, q) * step.z + carried;
      carried = scaled(s, step.x * exponent);${restart('carried', 'first + t')}
      if (t < part + 4) results[t - part] += s * step.w;
    }
#else
    vec4 h = get_start4(((b * chunks + c) * channels + d) * quads + q);
    for (int t = 0; t < min(steps, part + 4); t++) {
      int at = (b * len + first + t) * channels + d;
      vec4 step = get_steps4(at);${restart('h', 'first + t')}
      h = scaled(h, step.x * exponent) + step.w * row_B(b, first + t, d, q);
      if (t >= part) results[t - part] += step.z * h;
    }
#endif
  }
  ${writeResults}`,
};

/** Σ over the blocks of channels, as [B,L,G,N]; a texture for each step of a chunk. */
export const projectionSumPass: Pass = {
  name: 'SelectiveScanGrad (sum of projections)',
  inputs: Array.from({length: CHUNK}, (_, t) => `step${t}_4`),
  outputs: 1,
  ints: ['len', 'dState', 'quads', 'chunks', 'groups', 'blocks'],
  main: `
  int n = index % dState;
  int g = (index / dState) % groups;
  int t = (index / dState / groups) % len;
  int b = index / dState / groups / len;
  int at = (((b * chunks + t / ${CHUNK}) * groups + g) * quads + n / 4) * blocks;
  float sum = 0.;
  for (int k = at; k < at + blocks; k++) {
    vec4 v;
    switch (t % ${CHUNK}) {
${Array.from({length: CHUNK}, (_, t) => `      case ${t}: v = get_step${t}_4(k); break;`).join('\n')}
    }
    sum += v[n % 4];
  }
  out_0 = sum;`,
};

/** The gradient of z. */
export const gateGradPass: Pass = {
  name: 'SelectiveScanGrad (gate)',
  inputs: ['z', 'dy', ...stepTextures('y')],
  outputs: 1,
  ints: ['len', 'channels', 'chunks'],
  declarations: stepOf('y'),
  main: `${stepPlace}
  out_0 = get_dy(index) * step_y(b, t, d) * siluSlope(get_z(index));`,
};

/** du and dDelta [B,L,D], and what each position gives to the gradient of D. */
export const inputGradPass: Pass = {
  name: 'SelectiveScanGrad (inputs)',
  inputs: ['steps4', 'delta', ...stepTextures('input'), ...stepTextures('decay')],
  optional: ['D', 'deltaBias'],
  outputs: 3,
  ints: ['len', 'channels', 'chunks'],
  declarations: stepOf('input') + stepOf('decay'),
  main: `${stepPlace}
  vec4 step = get_steps4(index);
  float dInput = step_input(b, t, d);
  float du = step.x * dInput;
#if HAS_D
  du += get_D(d) * step.z;
#endif
  float x = get_delta(index);
#if HAS_deltaBias
  x += get_deltaBias(d);
#endif
  float slope = SOFTPLUS == 1 ? sigmoid(x) : 1.;
  out_0 = du;
  out_1 = (step_decay(b, t, d) + dInput * step.y) * slope;
  out_2 = step.z * step.y;`,
};

/** A table [D,N] of texels [channel, quad]. */
export const unpackTablePass: Pass = {
  name: 'SelectiveScanGrad (table)',
  inputs: ['table4'],
  outputs: 1,
  ints: ['dState', 'quads'],
  main: `
  int n = index % dState;
  out_0 = get_table4((index / dState) * quads + n / 4)[n % 4];`,
};
