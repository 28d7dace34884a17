/**
 * The programs of Mamba-2's scan on WebGPU that its forward runs, in their order; the backward runs most of them again.
 *
 * The form is the chunked one of the paper's section 6, as in composed.ts: inside a chunk a product with the matrix L ∘ CBᵀ, whose L
 * holds the decays between positions, and what came before a chunk enters by its state. `steps` has for each chunk, head and position
 * (δ, the sum of δA in two parts, the slope of δ); positions past the end have steps of size zero. States are [chunk, H, P, N].
 */
import {combinations, defineProgram, read, readQuads, write, writeQuads} from '../../backends/webgpuProgram';
import {sigmoidWgsl, softplusWgsl} from '../wgsl';
import type {Operand} from './webgpuTiles';
import {
  CHUNK,
  LANES,
  TILE,
  addProduct,
  chunkWgsl,
  forResults,
  forRows,
  productWgsl,
  sizes,
  tileSizes,
  tileWgsl,
  withinWgsl,
} from './webgpuTiles';

const either = [false, true];

/**
 * Step sizes and decays, a workgroup per chunk and head. `fromStart` is the decay from the chunk's start to after each position, `toEnd`
 * that from there to the chunk's end times the step size.
 */
export const stepSizes = defineProgram<{softplus: boolean; deltaBias: boolean}>({
  name: 'SSD (step sizes)',
  variants: combinations({softplus: either, deltaBias: either}),
  build: ({softplus, deltaBias}) => ({
    buffers: {
      delta: read,
      A: read,
      ...(deltaBias && {deltaBias: read}),
      steps: writeQuads,
      fromStart: write,
      toEnd: write,
    },
    uniforms: {...sizes, deltaMin: 'f32', deltaMax: 'f32'},
    workgroupSize: CHUNK,
    declarations: `${softplus ? softplusWgsl + sigmoidWgsl : ''}
var<workgroup> parts: array<vec2f, ${CHUNK}>;`,
    main: `${chunkWgsl('head', 'group')}
  var step = 0.0;
  var slope = 0.0;
  if (lane < count) {
    let raw = delta[(first + lane) * p.heads + head]${deltaBias ? ' + deltaBias[head]' : ''};
    let free = ${softplus ? 'softplus(raw)' : 'raw'};
    step = clamp(free, p.deltaMin, p.deltaMax);
    slope = select(0.0, ${softplus ? 'sigmoid(raw)' : '1.0'}, free >= p.deltaMin && free <= p.deltaMax);
  }
  // A multiple of 2⁻¹⁰, whose sums are exact, and a rest, whose sums are small: chunks.ts says why.
  let a = clamp(step * A[head], -128.0, 128.0);
  let coarse = floor(a * 1024.0) * ${2 ** -10};
  parts[lane] = vec2f(coarse, a - coarse);
  workgroupBarrier();
  var before = vec2f();
  for (var i = 0u; i <= lane; i++) { before += parts[i]; }
  var after = vec2f();
  for (var i = lane + 1u; i < ${CHUNK}u; i++) { after += parts[i]; }
  let at = values + lane;
  steps[at] = vec4f(step, before, slope);
  fromStart[at] = exp(before.x + before.y);
  toEnd[at] = step * exp(after.x + after.y);`,
  }),
});

/** CBᵀ of each chunk and group, where a position is not before the other. */
export const projectionPairs = defineProgram({
  name: 'SSD (CBᵀ)',
  variants: [{}],
  build: () => {
    const row = (name: string): Operand => ({
      along: 'k',
      where: 'at < count',
      value: `${name}[((first + at) * p.groups + ofGroup) * p.dState + k]`,
    });
    return {
      buffers: {B: read, C: read, CB: write},
      uniforms: tileSizes,
      workgroupSize: LANES,
      declarations: productWgsl,
      main: `${tileWgsl('ofGroup')}
  if (row0 >= count || row0 < column0) { return; }
  ${addProduct('p.dState', row('C'), row('B'))}
  ${forResults('count', 'count', `CB[pairs + row * p.side + column] = sums[i][j];`)}`,
    };
  },
});

/**
 * What a chunk adds to the state, Σ weight·x⊗projection: of x = u, `toEnd` and B forwards, and of the gradient of y, `fromStart` and C
 * backwards.
 */
export const chunkStates = defineProgram({
  name: 'SSD (states)',
  variants: [{}],
  build: () => ({
    buffers: {x: read, weights: read, projection: read, states: write},
    uniforms: tileSizes,
    workgroupSize: LANES,
    declarations: productWgsl,
    main: `${tileWgsl('head')}
  ${addProduct(
    'count',
    {
      along: 'at',
      where: 'at < p.headDim',
      value: 'weights[values + k] * x[((first + k) * p.heads + head) * p.headDim + at]',
    },
    {
      along: 'at',
      where: 'at < p.dState',
      value: 'projection[((first + k) * p.groups + ofGroup) * p.dState + at]',
    },
  )}
  ${forResults(
    'p.headDim',
    'p.dState',
    'states[((chunk * p.heads + head) * p.headDim + row) * p.dState + column] = sums[i][j];',
  )}`,
  }),
});

/** A walk over the chunks, from either end: puts what is carried into each in the place of what it adds. */
export const carry = defineProgram<{backwards: boolean; start: boolean; end: boolean}>({
  name: 'SSD (carry)',
  variants: combinations({backwards: either, start: either, end: either}),
  build: ({backwards, start, end}) => ({
    buffers: {fromStart: read, ...(start && {start: read}), states: write, ...(end && {end: write})},
    uniforms: {chunks: 'u32', heads: 'u32', stateSize: 'u32', size: 'u32'},
    workgroupSize: LANES,
    main: `
  let i = group * ${LANES}u + lane;
  if (i >= p.size) { return; }
  let perChunk = p.heads * p.stateSize;
  let b = i / perChunk;
  let head = i / p.stateSize % p.heads;
  var carried = ${start ? 'start[i]' : '0.0'};
  for (var k = 0u; k < p.chunks; k++) {
    let chunk = b * p.chunks + ${backwards ? 'p.chunks - 1u - k' : 'k'};
    let at = chunk * perChunk + i % perChunk;
    let own = states[at];
    states[at] = carried;
    carried = own + fromStart[(chunk * p.heads + head) * ${CHUNK}u + ${CHUNK - 1}u] * carried;
  }
  ${end ? 'end[i] = carried;' : ''}`,
  }),
});

/**
 * y, a tile of positions and channels. `inside` adds what a chunk's own positions give to what comes from its state; skip connection and
 * gate follow. With `through`, for the backward, also Σ over channels of the state's part times the gradient of y.
 */
export const outputs = defineProgram<{inside: boolean; through: boolean; D: boolean; z: boolean}>({
  name: 'SSD (output)',
  variants: [
    ...combinations({inside: [true], through: [false], D: either, z: either}),
    ...combinations({inside: either, through: [true], D: [false], z: [false]}),
  ],
  build: ({inside, through, D, z}) => ({
    buffers: {
      steps: readQuads,
      C: read,
      states: read,
      ...(inside && {CB: read, u: read, y: write}),
      ...(through && {gated: read, throughStart: write}),
      ...(D && {D: read}),
      ...(z && {z: read}),
    },
    uniforms: {...tileSizes, ...(D && {perChannel: 'u32'})},
    workgroupSize: LANES,
    declarations: `${productWgsl}
${inside ? withinWgsl : ''}
${z ? sigmoidWgsl : ''}
${through ? `var<workgroup> rowParts: array<f32, ${TILE * 8}>;` : ''}`,
    main: `${tileWgsl('head')}
  if (row0 >= count) { return; }
  ${addProduct(
    'p.dState',
    {along: 'k', where: 'at < count', value: 'C[((first + at) * p.groups + ofGroup) * p.dState + k]'},
    {
      along: 'k',
      where: 'at < p.headDim',
      value: 'states[((chunk * p.heads + head) * p.headDim + at) * p.dState + k]',
    },
  )}
  ${forRows(`let ofRow = steps[values + min(row, ${CHUNK - 1}u)];
    sums[i] *= exp(ofRow.y + ofRow.z);`)}
  ${through ? rowThrough : ''}
  ${inside ? addInside : ''}
  ${inside ? forResults('count', 'p.headDim', store(D, z)) : ''}`,
  }),
});

const rowThrough = `
  ${forRows(`var part = 0.0;
    for (var j = 0u; j < 4u; j++) {
      let column = column0 + across + 8u * j;
      if (row < count && column < p.headDim) {
        part += sums[i][j] * gated[((first + row) * p.heads + head) * p.headDim + column];
      }
    }
    rowParts[(row - row0) * 8u + across] = part;`)}
  workgroupBarrier();
  if (lane < ${TILE}u && row0 + lane < count) {
    var whole = 0.0;
    for (var i = 0u; i < 8u; i++) { whole += rowParts[lane * 8u + i]; }
    throughStart[columnTile * p.pieces * p.heads * ${CHUNK}u + values + row0 + lane] = whole;
  }`;

const addInside = addProduct(
  `min(count, row0 + ${TILE}u)`,
  {
    along: 'k',
    where: 'at < count && k <= at',
    value: `CB[pairs + at * p.side + k] * within(steps[values + at], steps[values + k]) * steps[values + k].x`,
  },
  {along: 'at', where: 'at < p.headDim', value: 'u[((first + k) * p.heads + head) * p.headDim + at]'},
);

const store = (D: boolean, z: boolean) => `
      let place = ((first + row) * p.heads + head) * p.headDim + column;
      var value = sums[i][j];
      ${D ? 'value += u[place] * D[select(head, head * p.headDim + column, p.perChannel == 1u)];' : ''}
      ${z ? 'value *= z[place] * sigmoid(z[place]);' : ''}
      y[place] = value;`;
