/**
 * The programs of the forward scan on WebGPU.
 *
 * One invocation has one channel of one chunk (or of the whole sequence), its states in registers. In the chunked form
 *
 * 1. `gather` puts the coefficients together and writes the initial state into slot 0,
 * 2. `chunkEnds` runs every chunk from a zero state; its end goes to the next slot, and the sum of its steps is kept: the product of
 *    its decays is exp(A Σδ), so that no product has to be,
 * 3. `combine` walks over the chunks and turns each slot into the true state at its chunk's start,
 * 4. `outputs` runs every chunk once more from its true state and writes y.
 *
 * The single-pass form is 1 and 4 alone, with one chunk as long as the sequence. Of packed documents, `mark` notes where they begin;
 * there 2 and 4 set the state to zero.
 */
import type {Shader} from '../../../backends/webgpuProgram';
import {
  combinations,
  defineProgram,
  read,
  readInts,
  readQuads,
  write,
  writeQuads,
} from '../../../backends/webgpuProgram';
import {sigmoidWgsl, softplusWgsl} from '../../wgsl';
import {
  KEPT,
  LANES,
  LOG2_E,
  beginsWgsl,
  forQuads,
  rowUniforms,
  rowWgsl,
  someQuads,
  stepSumWgsl,
  throughWgsl,
} from './layout';

const either = [false, true];

/** `code` for each component of a quad of a row of dState numbers: the row may end in it. */
const forComponents = (code: string) => `
  let at = row * p.dState + 4u * quad;
  for (var j = 0u; j < min(4u, p.dState - 4u * quad); j++) { ${code} }`;

/** Reads a quad of a row of dState numbers; what lies beyond the row is zero. */
export const quadOf = (name: string) => `
fn ${name}Quad(row: u32, quad: u32) -> vec4f {
  var value = vec4f();${forComponents(`value[j] = ${name}[at + j];`)}
  return value;
}`;

/** Writes a quad of a row of dState numbers. */
export const storeQuad = (name: string) => `
fn store_${name}(row: u32, quad: u32, value: vec4f) {${forComponents(`${name}[at + j] = value[j];`)}
}`;

/** One invocation per quad: the coefficients, and then the states of slot 0. */
export const gather = defineProgram<{D: boolean; deltaBias: boolean; initialState: boolean; logA: boolean}>({
  name: 'SelectiveScan (gather)',
  variants: combinations({D: either, deltaBias: either, initialState: either, logA: either}),
  build: ({D, deltaBias, initialState, logA}): Shader => ({
    buffers: {
      A: read,
      B: read,
      C: read,
      ...(D && {D: read}),
      ...(deltaBias && {deltaBias: read}),
      ...(initialState && {initialState: read}),
      coefficients: writeQuads,
      states: writeQuads,
    },
    uniforms: {channels: 'u32', dState: 'u32', quads: 'u32', rowsB: 'u32', rowsC: 'u32', slots: 'u32', size: 'u32'},
    declarations: ['A', 'B', 'C', ...(initialState ? ['initialState'] : [])].map(quadOf).join(''),
    main: `
  let at = i;
  let sizeA = p.channels * (p.quads + 1u);
  if (i < sizeA) {
    let d = i / (p.quads + 1u);
    let quad = i % (p.quads + 1u);
    if (quad < p.quads) {
      coefficients[at] = ${LOG2_E} * ${logA ? '-exp(AQuad(d, quad))' : 'AQuad(d, quad)'};
    } else {
      coefficients[at] = vec4f(${D ? 'D[d]' : '0.0'}, ${deltaBias ? 'deltaBias[d]' : '0.0'}, 0.0, 0.0);
    }
    return;
  }
  i -= sizeA;
  ${['B', 'C']
    .map(
      (name) => `if (i < p.rows${name} * p.quads) {
    coefficients[at] = ${name}Quad(i / p.quads, i % p.quads);
    return;
  }
  i -= p.rows${name} * p.quads;`,
    )
    .join('\n  ')}
  let d = i % p.channels;
  let quad = i / p.channels % p.quads;
  let b = i / p.channels / p.quads;
  states[(b * p.slots * p.quads + quad) * p.channels + d] = ${initialState ? 'initialStateQuad(b * p.channels + d, quad)' : 'vec4f(0.0)'};`,
  }),
});

/** Notes in the coefficients where in a row another document begins. */
export const mark = defineProgram({
  name: 'SelectiveScan (documents)',
  variants: [{}],
  build: (): Shader => ({
    buffers: {ids: readInts, coefficients: writeQuads},
    uniforms: {length: 'u32', starts: 'u32', size: 'u32'},
    main: `
  var begins = 0.0;
  if (i % p.length > 0u && ids[i] != ids[i - 1u]) { begins = 1.0; }
  coefficients[p.starts + i] = vec4f(begins, 0.0, 0.0, 0.0);`,
  }),
});

/** Finds batch row, chunk and channel of an invocation, and the positions it has. */
const placeWgsl = `
  let tile = group % p.tiles;
  let chunk = group / p.tiles % p.chunks;
  let b = group / p.tiles / p.chunks;
  let d = tile * ${LANES}u + lane;
  if (d >= p.channels) { return; }
  let start = chunk * p.chunkLength;
  let steps = min(p.chunkLength, p.length - start);`;

const placeUniforms = {...rowUniforms, tiles: 'u32', chunks: 'u32', chunkLength: 'u32'} as const;

/** Sets the state to zero. */
const zeros = (quads: number) => forQuads(quads, (i) => `h${i} = vec4f(0.0);`);

const slotUniforms = {slots: 'u32', slotsPerChunk: 'u32'} as const;

export const chunkEnds = defineProgram<{quads: number; softplus: boolean; packed: boolean}>({
  name: 'SelectiveScan (chunk ends)',
  variants: combinations({quads: someQuads, softplus: either, packed: either}),
  build: ({quads, softplus, packed}) => ({
    buffers: {u: read, delta: read, coefficients: readQuads, states: writeQuads, stepSums: write},
    uniforms: {...placeUniforms, ...slotUniforms},
    workgroupSize: LANES,
    declarations: rowWgsl(`${quads}u`) + (softplus ? softplusWgsl : '') + (packed ? beginsWgsl : ''),
    main: `${placeWgsl}
    let row = rowA(d);
    let bias = coefficients[row + ${quads}u].y;
    ${forQuads(quads, (i) => `let a${i} = coefficients[row + ${i}u]; var h${i} = vec4f(0.0);`)}
    var stepSum = 0.0;
    ${packed ? 'var isCut = false;' : ''}
    for (var t = start; t < start + steps; t++) {
      let position = b * p.length + t;
      let at = position * p.channels + d;
      let x = delta[at] + bias;
      let dt = ${softplus ? 'softplus(x)' : 'x'};
      let scaled = dt * u[at];
      ${packed ? `if (begins(position)) { isCut = true; ${zeros(quads)} }` : ''}
      let atB = rowB(position, d);
      ${forQuads(quads, (i) => `h${i} = exp2(dt * a${i}) * h${i} + scaled * coefficients[atB + ${i}u];`)}
      stepSum += dt;
    }
    let slot = (b * p.slots + min((chunk + 1u) * p.slotsPerChunk, p.slots - 1u)) * ${quads}u;
    ${forQuads(quads, (i) => `states[(slot + ${i}u) * p.channels + d] = h${i};`)}
    stepSums[(b * p.chunks + chunk) * p.channels + d] = ${stepSumWgsl(packed)};`,
  }),
});

/** Chunks that the combining programs read before they write the first: behind a write, each would wait for memory by itself. */
export const AHEAD = 8;
export const forAhead = (code: (k: number) => string) => forQuads(AHEAD, code);

/** One invocation per quad of a state, over all chunks. */
export const combine = defineProgram<{packed: boolean}>({
  name: 'SelectiveScan (combine)',
  variants: combinations({packed: either}),
  build: ({packed}) => ({
    buffers: {coefficients: readQuads, stepSums: read, states: writeQuads, finalState: write},
    uniforms: {channels: 'u32', dState: 'u32', quads: 'u32', chunks: 'u32', ...slotUniforms, size: 'u32'},
    declarations: storeQuad('finalState') + (packed ? throughWgsl : ''),
    main: `
  let d = i % p.channels;
  let quad = i / p.channels % p.quads;
  let b = i / p.channels / p.quads;
  let a = coefficients[d * (p.quads + 1u) + quad];
  let first = (b * p.slots * p.quads + quad) * p.channels + d;
  let slotSize = p.quads * p.channels;
  var h = states[first];
  for (var chunk = 0u; chunk < p.chunks; chunk += ${AHEAD}u) {
    let left = p.chunks - chunk;
    ${forAhead(
      (k) => `let at${k} = first + min((chunk + min(${k + 1}u, left)) * p.slotsPerChunk, p.slots - 1u) * slotSize;
    let own${k} = states[at${k}];
    let stepSum${k} = stepSums[(b * p.chunks + chunk + min(${k}u, left - 1u)) * p.channels + d];`,
    )}
    ${forAhead(
      (k) => `if (${k}u < left) {
      h = ${packed ? `through(stepSum${k}, a, h)` : `exp2(stepSum${k} * a) * h`} + own${k};
      states[at${k}] = h;
    }`,
    )}
  }
  store_finalState(b * p.channels + d, quad, h);`,
  }),
});

/**
 * y, from the states at the starts of the chunks. In the single-pass form (`whole`) the one chunk is the sequence and its end is the
 * final state; `keep` writes on the way the states that the backward is given, but for those at the starts of chunks, which are there.
 */
type Outputs = {quads: number; softplus: boolean; z: boolean; whole: boolean; keep: boolean; packed: boolean};
export const outputs = defineProgram<Outputs>({
  name: 'SelectiveScan (outputs)',
  variants: combinations({quads: someQuads, softplus: either, z: either, whole: either, keep: either, packed: either}),
  build: ({quads, softplus, z, whole, keep, packed}) => ({
    buffers: {
      u: read,
      delta: read,
      coefficients: readQuads,
      states: keep ? writeQuads : readQuads,
      y: write,
      ...(z && {z: read}),
      ...(whole && {finalState: write}),
    },
    uniforms: {...placeUniforms, ...slotUniforms, dState: 'u32'},
    workgroupSize: LANES,
    declarations:
      rowWgsl(`${quads}u`) +
      (softplus ? softplusWgsl : '') +
      (z ? sigmoidWgsl : '') +
      (whole ? storeQuad('finalState') : '') +
      (packed ? beginsWgsl : ''),
    main: `${placeWgsl}
    let row = rowA(d);
    let extra = coefficients[row + ${quads}u];
    var slot = (b * p.slots + chunk * p.slotsPerChunk) * ${quads}u;
    ${forQuads(quads, (i) => `let a${i} = coefficients[row + ${i}u]; var h${i} = states[(slot + ${i}u) * p.channels + d];`)}
    for (var t = start; t < start + steps; t++) {
      let position = b * p.length + t;
      let at = position * p.channels + d;
      let x = delta[at] + extra.y;
      let dt = ${softplus ? 'softplus(x)' : 'x'};
      let ut = u[at];
      let scaled = dt * ut;
      let atB = rowB(position, d);
      let atC = rowC(position, d);
      var sum = extra.x * ut;
      ${packed ? `if (begins(position)) { ${zeros(quads)} }` : ''}
      ${forQuads(
        quads,
        (i) =>
          `h${i} = exp2(dt * a${i}) * h${i} + scaled * coefficients[atB + ${i}u]; sum += dot(coefficients[atC + ${i}u], h${i});`,
      )}
      ${z ? 'let gate = z[at];\n      y[at] = sum * (gate * sigmoid(gate));' : 'y[at] = sum;'}
      ${
        keep
          ? `if ((t + 1u) % ${KEPT}u == 0u && (t + 1u) % p.chunkLength != 0u) {
        slot += ${quads}u;
        ${forQuads(quads, (i) => `states[(slot + ${i}u) * p.channels + d] = h${i};`)}
      }`
          : ''
      }
    }
    ${whole ? forQuads(quads, (i) => `store_finalState(b * p.channels + d, ${i}u, h${i});`) : ''}`,
  }),
});
