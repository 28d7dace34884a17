/**
 * The programs of Mamba-2's scan on WebGPU that only its backward runs. `gated` is the gradient of y before the gate, `later` [chunk, H,
 * P, N] that of the state at each chunk's end, and `S` [chunk, H, side, side] has for each pair of positions of a chunk the decay between
 * them times the product of `gated` at the one and δu at the other.
 */
import {combinations, defineProgram, read, readQuads, write} from '../../backends/webgpuProgram';
import {sigmoidWgsl, workgroupSumWgsl} from '../wgsl';
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

/** The gradient of y before the gate. */
export const gate = defineProgram({
  name: 'SSDGrad (gate)',
  variants: [{}],
  build: () => ({
    buffers: {dy: read, z: read, gated: write},
    uniforms: {size: 'u32'},
    workgroupSize: LANES,
    declarations: sigmoidWgsl,
    main: `
  let i = group * ${LANES}u + lane;
  if (i >= p.size) { return; }
  gated[i] = dy[i] * z[i] * sigmoid(z[i]);`,
  }),
});

/**
 * The gradient of u but for the skip connection, a tile of positions and channels. `through` has for each position two sums over the
 * tile's channels, of x = δu and of u: of x times what comes from behind the chunk, and of u times the whole gradient of x.
 */
export const inputGradient = defineProgram({
  name: 'SSDGrad (input)',
  variants: [{}],
  build: () => ({
    buffers: {
      steps: readQuads,
      CB: read,
      B: read,
      later: read,
      gated: read,
      u: read,
      du: write,
      through: write,
    },
    uniforms: tileSizes,
    workgroupSize: LANES,
    declarations: `${productWgsl}${withinWgsl}
var<workgroup> rowParts: array<vec2f, ${TILE * 8}>;`,
    main: `${tileWgsl('head')}
  if (row0 >= count) { return; }
  ${addProduct(
    'p.dState',
    {along: 'k', where: 'at < count', value: 'B[((first + at) * p.groups + ofGroup) * p.dState + k]'},
    {
      along: 'k',
      where: 'at < p.headDim',
      value: 'later[((chunk * p.heads + head) * p.headDim + at) * p.dState + k]',
    },
  )}
  var fromBehind = vec4f();
  ${forRows(`let ofRow = steps[values + min(row, ${CHUNK - 1}u)];
    sums[i] *= within(steps[values + ${CHUNK - 1}u], ofRow);
    for (var j = 0u; j < 4u; j++) {
      let column = column0 + across + 8u * j;
      if (row < count && column < p.headDim) {
        fromBehind[i] += ofRow.x * sums[i][j] * u[((first + row) * p.heads + head) * p.headDim + column];
      }
    }`)}
  ${addProduct(
    'count',
    {
      along: 'at',
      where: 'k >= at',
      value: `CB[pairs + k * p.side + at] * within(steps[values + k], steps[values + at])`,
    },
    {along: 'at', where: 'at < p.headDim', value: 'gated[((first + k) * p.heads + head) * p.headDim + at]'},
  )}
  ${forRows(`var part = vec2f(fromBehind[i], 0.0);
    for (var j = 0u; j < 4u; j++) {
      let column = column0 + across + 8u * j;
      if (row < count && column < p.headDim) {
        let place = ((first + row) * p.heads + head) * p.headDim + column;
        part.y += sums[i][j] * u[place];
        du[place] = sums[i][j] * steps[values + row].x;
      }
    }
    rowParts[(row - row0) * 8u + across] = part;`)}
  workgroupBarrier();
  if (lane < ${TILE}u && row0 + lane < count) {
    var whole = vec2f();
    for (var i = 0u; i < 8u; i++) { whole += rowParts[lane * 8u + i]; }
    let at = 2u * (columnTile * p.pieces * p.heads * ${CHUNK}u + values + row0 + lane);
    through[at] = whole.x;
    through[at + 1u] = whole.y;
  }`,
  }),
});

/** S, where the position of `gated` is not before the other; zero elsewhere in the tiles on the diagonal. */
export const headPairs = defineProgram({
  name: 'SSDGrad (pairs)',
  variants: [{}],
  build: () => ({
    buffers: {steps: readQuads, gated: read, u: read, S: write},
    uniforms: tileSizes,
    workgroupSize: LANES,
    declarations: productWgsl + withinWgsl,
    main: `${tileWgsl('head')}
  if (row0 >= count || row0 < column0) { return; }
  ${addProduct(
    'p.headDim',
    {along: 'k', where: 'at < count', value: 'gated[((first + at) * p.heads + head) * p.headDim + k]'},
    {along: 'k', where: 'at < count', value: 'u[((first + at) * p.heads + head) * p.headDim + k]'},
  )}
  ${forResults(
    'count',
    'count',
    `let ofColumn = steps[values + column];
      let decayed = sums[i][j] * within(steps[values + row], ofColumn) * ofColumn.x;
      S[ownPairs + row * p.side + column] = select(0.0, decayed, row >= column);`,
  )}`,
  }),
});

/** Σ of S over the heads of a group: the gradient of CBᵀ. Only the pairs that `headPairs` has written are ever read. */
export const groupPairs = defineProgram({
  name: 'SSDGrad (CBᵀ)',
  variants: [{}],
  build: () => ({
    buffers: {S: read, dCB: write},
    uniforms: {perGroup: 'u32', pairs: 'u32', size: 'u32'},
    workgroupSize: LANES,
    main: `
  let i = group * ${LANES}u + lane;
  if (i >= p.size) { return; }
  let at = i / p.pairs * p.perGroup * p.pairs + i % p.pairs;
  var sum = 0.0;
  for (var head = 0u; head < p.perGroup; head++) { sum += S[at + head * p.pairs]; }
  dCB[i] = sum;`,
  }),
});

/** Positions whose pairs a workgroup of `decayGradient` adds at a time. */
const ROWS = 16;

/**
 * What reaches the logarithm of each position's decay inside its chunk, of which a_k lies between all i ≥ k > j: summed so, no term is
 * there that another would cancel. And through the decay of the whole chunk, by which the state at its start enters the one at its end.
 */
export const decayGradient = defineProgram({
  name: 'SSDGrad (decays)',
  variants: [{}],
  build: () => ({
    buffers: {S: read, CB: read, states: read, later: read, fromStart: read, crossing: write},
    uniforms: sizes,
    workgroupSize: LANES,
    declarations: `${workgroupSumWgsl(LANES)}
var<workgroup> below: array<f32, ${ROWS * CHUNK}>;
var<workgroup> quarters: array<f32, ${ROWS * 4}>;`,
    main: `${chunkWgsl('head', 'group')}
  let stateSize = p.headDim * p.dState;
  var part = 0.0;
  for (var i = lane; i < stateSize; i += ${LANES}u) {
    let at = (chunk * p.heads + head) * stateSize + i;
    part += states[at] * later[at];
  }
  let throughWhole = workgroupSum(part, lane) * fromStart[values + ${CHUNK - 1}u];
  var sum = 0.0; // over the pairs of an i ≥ k and of j = lane
  for (var block = (count + ${ROWS - 1}u) / ${ROWS}u; block > 0u; block--) {
    let k0 = (block - 1u) * ${ROWS}u;
    for (var row = ${ROWS}u; row > 0u; row--) {
      let k = k0 + row - 1u;
      if (k < count && lane < k) { sum += S[ownPairs + k * p.side + lane] * CB[pairs + k * p.side + lane]; }
      below[(row - 1u) * ${CHUNK}u + lane] = select(0.0, sum, lane < k);
    }
    workgroupBarrier();
    var quarter = 0.0;
    for (var i = 0u; i < ${CHUNK / 4}u; i++) { quarter += below[lane / 4u * ${CHUNK}u + lane % 4u + 4u * i]; }
    quarters[lane] = quarter;
    workgroupBarrier();
    if (lane < ${ROWS}u) {
      let all = (quarters[4u * lane] + quarters[4u * lane + 1u]) + (quarters[4u * lane + 2u] + quarters[4u * lane + 3u]);
      crossing[values + k0 + lane] = all + throughWhole;
    }
  }`,
  }),
});

/** The gradient of delta, and for each chunk and head what it gives to those of A and deltaBias. */
export const stepGradient = defineProgram<{deltaBias: boolean}>({
  name: 'SSDGrad (step sizes)',
  variants: combinations({deltaBias: either}),
  build: ({deltaBias}) => ({
    buffers: {
      steps: readQuads,
      crossing: read,
      throughStart: read,
      through: read,
      A: read,
      dDelta: write,
      partsA: write,
      ...(deltaBias && {partsBias: write}),
    },
    uniforms: {...sizes, tiles: 'u32'},
    workgroupSize: LANES,
    declarations: `${workgroupSumWgsl(LANES)}
var<workgroup> edges: array<vec2f, ${CHUNK}>;`,
    main: `${chunkWgsl('head', 'group')}
  let step = steps[values + lane];
  var edge = vec2f(); // what goes through the states at the chunk's start and at its end
  var throughInput = 0.0;
  if (lane < count) {
    for (var tile = 0u; tile < p.tiles; tile++) {
      let at = tile * p.pieces * p.heads * ${CHUNK}u + values + lane;
      edge += vec2f(throughStart[at], through[2u * at]);
      throughInput += through[2u * at + 1u];
    }
  }
  edges[lane] = edge;
  workgroupBarrier();
  var dLogDecay = crossing[values + lane];
  for (var i = lane; i < ${CHUNK}u; i++) { dLogDecay += edges[i].x; }
  for (var i = 0u; i < lane; i++) { dLogDecay += edges[i].y; }
  let gradient = (dLogDecay * A[head] + throughInput) * step.w;
  if (lane < count) { dDelta[(first + lane) * p.heads + head] = gradient; }
  let sumA = workgroupSum(select(0.0, step.x * dLogDecay, lane < count), lane);
  ${deltaBias ? 'let sumBias = workgroupSum(select(0.0, gradient, lane < count), lane);' : ''}
  if (lane == 0u) {
    partsA[group] = sumA;
    ${deltaBias ? 'partsBias[group] = sumBias;' : ''}
  }`,
  }),
});

/**
 * The gradient of B or C, a tile of positions and states of a group: through the states, a sum over all channels of its heads (B: of x = u,
 * `toEnd` and `later`; C: of `gated`, `fromStart` and the states at the chunk's start), and through CBᵀ. A sequence of few chunks has
 * few such tiles, so each has a workgroup for every `perPart` of a group's heads, and what the parts give is added up afterwards.
 */
export const projectionGradient = defineProgram<{of: 'B' | 'C'}>({
  name: 'SSDGrad (projection)',
  variants: combinations({of: ['B', 'C']}),
  build: ({of}) => ({
    buffers: {x: read, weights: read, states: read, dCB: read, other: read, result: write},
    uniforms: {...tileSizes, perPart: 'u32', partTiles: 'u32'},
    workgroupSize: LANES,
    declarations: productWgsl,
    main: `
  let part = group / p.partTiles;
  ${tileWgsl('ofGroup', '(group % p.partTiles)')}
  if (row0 >= count) { return; }
  let perGroup = p.heads / p.groups;
  let head0 = ofGroup * perGroup + part * p.perPart;
  ${addProduct(
    'min(p.perPart, perGroup - part * p.perPart) * p.headDim',
    {
      along: 'k',
      where: 'at < count',
      value: `x[((first + at) * p.heads + head0) * p.headDim + k] *
          weights[(chunk * p.heads + head0 + k / p.headDim) * ${CHUNK}u + at]`,
    },
    {
      along: 'at',
      where: 'at < p.dState',
      value: 'states[((chunk * p.heads + head0) * p.headDim + k) * p.dState + at]',
    },
  )}
  let terms = ${of === 'C' ? `min(count, row0 + ${TILE}u)` : 'count'};
  ${addProduct(
    'select(0u, terms, part == 0u)',
    of === 'C'
      ? {along: 'k', where: 'at < count && k <= at', value: `dCB[pairs + at * p.side + k]`}
      : {along: 'at', where: 'k >= at', value: `dCB[pairs + k * p.side + at]`},
    {
      along: 'at',
      where: 'at < p.dState',
      value: 'other[((first + k) * p.groups + ofGroup) * p.dState + at]',
    },
  )}
  ${forResults(
    'count',
    'p.dState',
    `let position = part * (p.pieces / p.chunks) * p.length + first + row;
      result[(position * p.groups + ofGroup) * p.dState + column] = sums[i][j];`,
  )}`,
  }),
});

/** What the skip connection adds to the gradient of u, and the gradient of z from y before the gate, which lies in its place. */
export const skipAndGate = defineProgram<{D: boolean; z: boolean}>({
  name: 'SSDGrad (skip and gate)',
  variants: combinations({D: either, z: either}).filter(({D, z}) => D || z),
  build: ({D, z}) => ({
    buffers: {
      ...(D && {D: read, gated: read, du: write}),
      ...(D && z && {u: read}),
      ...(z && {dy: read, z: read, dz: write}),
    },
    uniforms: {size: 'u32', ...(D && {channels: 'u32', width: 'u32'})},
    workgroupSize: LANES,
    declarations: z ? sigmoidWgsl : '',
    main: `
  let i = group * ${LANES}u + lane;
  if (i >= p.size) { return; }
  ${D ? 'let skip = D[i % p.channels / p.width];' : ''}
  ${D ? 'du[i] += skip * gated[i];' : ''}
  ${z ? `dz[i] = dy[i] * siluSlope(z[i]) * (dz[i]${D ? ' + skip * u[i]' : ''});` : ''}`,
  }),
});

/** What blocks of positions give to the gradient of D, of whose channels `width` have a value in common. */
export const skipGradient = defineProgram({
  name: 'SSDGrad (skip)',
  variants: [{}],
  build: () => ({
    buffers: {gated: read, u: read, blocks: write},
    uniforms: {rows: 'u32', columns: 'u32', width: 'u32', block: 'u32', size: 'u32'},
    workgroupSize: LANES,
    main: `
  let i = group * ${LANES}u + lane;
  if (i >= p.size) { return; }
  let first = i / p.columns * p.block;
  let end = min(first + p.block, p.rows);
  var sum = 0.0;
  for (var row = first; row < end; row++) {
    let at = (row * p.columns + i % p.columns) * p.width;
    for (var channel = at; channel < at + p.width; channel++) { sum += gated[channel] * u[channel]; }
  }
  blocks[i] = sum;`,
  }),
});
