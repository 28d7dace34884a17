/**
 * How the WebGPU programs of Mamba-2's scan multiply matrices. Nearly all of its work is products, and their operands lie in several
 * tensors and are multiplied by decays on the way; so each program says in WGSL what the elements of its operands are.
 *
 * A workgroup has 32×32 results, each invocation 4×4 of them, from tiles of both operands in workgroup memory. The sizes of a head and
 * of a chunk are small, and larger tiles would leave a short sequence too few workgroups.
 */
import type {TensorInfo} from '@tensorflow/tfjs';

/** Positions of a chunk. */
export const CHUNK = 64;
export const TILE = 32;
/** Invocations of a workgroup. */
export const LANES = 64;
/** Terms of a sum that are in workgroup memory at a time. */
const DEPTH = 16;
/** From one term's row of a tile to the next: not a multiple of 32, as banks of memory are. */
const STRIDE = TILE + 1;

/** The sizes of a scan. */
export interface SsdLayout {
  batch: number;
  length: number;
  heads: number;
  headDim: number;
  groups: number;
  dState: number;
  /** Chunks of a sequence. */
  chunks: number;
  /** Chunks of all sequences. */
  pieces: number;
  /** Rows and columns of a matrix of the pairs of positions of a chunk: the longest chunk's. */
  side: number;
  /** Tiles that the positions of a chunk, the channels of a head and a state take. */
  tiles: Record<'positions' | 'channels' | 'states', number>;
}

export function ssdLayout(u: TensorInfo, B: TensorInfo): SsdLayout {
  const [batch, length, heads, headDim] = u.shape;
  const [, , groups, dState] = B.shape;
  const chunks = Math.ceil(length / CHUNK);
  const side = Math.min(length, CHUNK);
  const tilesOf = (size: number) => Math.ceil(size / TILE);
  const tiles = {
    positions: tilesOf(side),
    channels: tilesOf(headDim),
    states: tilesOf(dState),
  };
  return {batch, length, heads, headDim, groups, dState, chunks, pieces: batch * chunks, side, tiles};
}

/** The uniforms of every program that finds its place by `chunkWgsl` or `tileWgsl`, and their values. */
export const sizes = {
  length: 'u32',
  chunks: 'u32',
  pieces: 'u32',
  side: 'u32',
  heads: 'u32',
  headDim: 'u32',
  groups: 'u32',
  dState: 'u32',
} as const;

export const sizeValues = ({length, chunks, pieces, side, heads, headDim, groups, dState}: SsdLayout) => ({
  length,
  chunks,
  pieces,
  side,
  heads,
  headDim,
  groups,
  dState,
});

export const tileSizes = {...sizes, rowTiles: 'u32', columnTiles: 'u32'} as const;

type Unit = 'head' | 'ofGroup';

/**
 * Where a workgroup of a chunk and a head, or a group of heads, finds its numbers; `index` is its number. `first` is the number of the
 * chunk's first position, of which it has `count`; `pairs` is where its group's matrix of pairs begins, `ownPairs` the
 * head's, and `values` the head's values per position.
 */
export const chunkWgsl = (unit: Unit, index: string) => `
  let ${unit} = ${index} % p.${unit === 'head' ? 'heads' : 'groups'};
  let chunk = ${index} / p.${unit === 'head' ? 'heads' : 'groups'};
  let first = chunk / p.chunks * p.length + chunk % p.chunks * ${CHUNK}u;
  let count = min(${CHUNK}u, p.length - chunk % p.chunks * ${CHUNK}u);
  ${unit === 'head' ? 'let ofGroup = head / (p.heads / p.groups);' : ''}
  let pairs = (chunk * p.groups + ofGroup) * p.side * p.side;
  ${
    unit === 'head'
      ? `let values = (chunk * p.heads + head) * ${CHUNK}u;
  let ownPairs = (chunk * p.heads + head) * p.side * p.side;`
      : ''
  }`;

/** The same for a workgroup of a tile of results; `index` is its number. */
export const tileWgsl = (unit: Unit, index = 'group') => `
  let columnTile = ${index} % p.columnTiles;
  let column0 = columnTile * ${TILE}u;
  let row0 = ${index} / p.columnTiles % p.rowTiles * ${TILE}u;
  ${chunkWgsl(unit, `(${index} / p.columnTiles / p.rowTiles)`)}
  let across = lane % 8u;
  let down = lane / 8u;
  var sums: array<vec4f, 4>;`;

/** The decay from after position j to i, of what `steps` has of both: exact where sums of the logarithms are large, see chunks.ts. */
export const withinWgsl = `
fn within(i: vec4f, j: vec4f) -> f32 { return exp((i.y - j.y) + (i.z - j.z)); }`;

/** WGSL of an operand's element `k` in the row (of the left one) or column (of the right one) `at`. */
export interface Operand {
  /** In which of the two neighbouring numbers in memory differ, so that neighbouring invocations read them. */
  along: 'k' | 'at';
  /** Where there is an element; it is zero elsewhere. */
  where: string;
  value: string;
}

export const productWgsl = `
var<workgroup> tileA: array<f32, ${DEPTH * STRIDE}>;
var<workgroup> tileB: array<f32, ${DEPTH * STRIDE}>;`;

const fill = (tile: string, origin: string, {along, where, value}: Operand) => `{
        let inTile = ${along === 'at' ? `i % ${TILE}u` : `i / ${DEPTH}u`};
        let term = ${along === 'at' ? `i / ${TILE}u` : `i % ${DEPTH}u`};
        let at = ${origin} + inTile;
        let k = k0 + term;
        var value = 0.0;
        if (k < depth && ${where}) { value = ${value}; }
        ${tile}[term * ${STRIDE}u + inTile] = value;
      }`;

/** Adds a product over `depth` terms to the workgroup's results. */
export const addProduct = (depth: string, a: Operand, b: Operand) => `{
    let depth = ${depth};
    for (var k0 = 0u; k0 < depth; k0 += ${DEPTH}u) {
      for (var i = lane; i < ${DEPTH * TILE}u; i += ${LANES}u) {
      ${fill('tileA', 'row0', a)}
      ${fill('tileB', 'column0', b)}
      }
      workgroupBarrier();
      for (var k = 0u; k < ${DEPTH}u; k++) {
        let atA = k * ${STRIDE}u + down;
        let atB = k * ${STRIDE}u + across;
        let columns = vec4f(tileB[atB], tileB[atB + 8u], tileB[atB + 16u], tileB[atB + 24u]);
        sums[0] += tileA[atA] * columns;
        sums[1] += tileA[atA + 8u] * columns;
        sums[2] += tileA[atA + 16u] * columns;
        sums[3] += tileA[atA + 24u] * columns;
      }
      workgroupBarrier();
    }
  }`;

/** Code for each of an invocation's four rows of results, `row`, which are `sums[i]`. */
export const forRows = (code: string) => `
  for (var i = 0u; i < 4u; i++) {
    let row = row0 + down + 8u * i;
    ${code}
  }`;

/** Code for each result, `sums[i][j]` in `row` and `column`. */
export const forResults = (rows: string, columns: string, code: string) =>
  forRows(`for (var j = 0u; j < 4u; j++) {
      let column = column0 + across + 8u * j;
      if (row < ${rows} && column < ${columns}) { ${code} }
    }`);
