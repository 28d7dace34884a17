/**
 * The likeliest tokens on WebGPU: each workgroup finds those of its tile of the vocabulary, one after the other, and its part of the sum;
 * then a workgroup per row finds the likeliest of the tiles' tokens in the same way.
 */
import {registerWebGPUKernel} from '../../backends/webgpu';
import {defineProgram, read, write, writeInts} from '../../backends/webgpuProgram';
import {reduceWgsl, workgroupMaxWgsl, workgroupSumWgsl} from '../wgsl';

const WIDTH = 256;
/** Values that each invocation holds. */
const EACH = 4;
const TILE = WIDTH * EACH;

/**
 * `best(mine, lane)`: of (logit, id) pairs over the workgroup the one with the largest logit, of equal ones that with the smallest id. An
 * id is a whole number below 2^24, which a float holds.
 */
const bestWgsl = `
const none = vec2f(-3.4e38, -1.0);
fn isBefore(a: vec2f, b: vec2f) -> bool {
  return a.y >= 0.0 && (b.y < 0.0 || a.x > b.x || (a.x == b.x && a.y < b.y));
}
fn better(a: vec2f, b: vec2f) -> vec2f { return select(a, b, isBefore(b, a)); }
${reduceWgsl('best', WIDTH, 'vec2f', (a, b) => `better(${a}, ${b})`)}`;

/** Per tile: `count` pairs (logit, id), and (largest logit, Σ exp(logit - largest)). */
const ofTiles = defineProgram({
  name: 'TopLogits (tiles)',
  variants: [{}],
  build: () => ({
    buffers: {logits: read, pairs: write, sums: write},
    uniforms: {columns: 'u32', vocabSize: 'u32', tiles: 'u32', count: 'u32'},
    workgroupSize: WIDTH,
    declarations: bestWgsl + workgroupMaxWgsl(WIDTH) + workgroupSumWgsl(WIDTH),
    main: `
  let row = group / p.tiles;
  let first = group % p.tiles * ${TILE}u + lane;
  var own: array<vec2f, ${EACH}>;
  var largest = -3.4e38;
  for (var i = 0u; i < ${EACH}u; i++) {
    let id = first + i * ${WIDTH}u;
    own[i] = none;
    if (id < p.columns) {
      let logit = logits[row * p.columns + id];
      largest = max(largest, logit);
      own[i] = vec2f(logit, select(-1.0, f32(id), id < p.vocabSize));
    }
  }
  largest = workgroupMax(largest, lane);
  var sum = 0.0;
  for (var i = 0u; i < ${EACH}u; i++) {
    if (first + i * ${WIDTH}u < p.columns) { sum += exp(own[i].x - largest); }
  }
  let total = workgroupSum(sum, lane);
  if (lane == 0u) {
    sums[2u * group] = largest;
    sums[2u * group + 1u] = total;
  }
  for (var place = 0u; place < p.count; place++) {
    var mine = none;
    for (var i = 0u; i < ${EACH}u; i++) { mine = better(mine, own[i]); }
    let chosen = best(mine, lane);
    for (var i = 0u; i < ${EACH}u; i++) { if (own[i].y == chosen.y) { own[i] = none; } }
    if (lane == 0u) {
      pairs[2u * (group * p.count + place)] = chosen.x;
      pairs[2u * (group * p.count + place) + 1u] = chosen.y;
    }
  }`,
  }),
});

/** Per row: ln Σ exp, the ids, the logits; and once more the first of the ids. */
const ofRows = defineProgram({
  name: 'TopLogits (rows)',
  variants: [{}],
  build: () => ({
    buffers: {pairs: read, sums: read, found: write, likeliest: writeInts},
    uniforms: {tiles: 'u32', count: 'u32'},
    workgroupSize: WIDTH,
    declarations: bestWgsl + workgroupMaxWgsl(WIDTH) + workgroupSumWgsl(WIDTH),
    main: `
  let firstTile = group * p.tiles;
  var largest = -3.4e38;
  for (var i = lane; i < p.tiles; i += ${WIDTH}u) { largest = max(largest, sums[2u * (firstTile + i)]); }
  largest = workgroupMax(largest, lane);
  var sum = 0.0;
  for (var i = lane; i < p.tiles; i += ${WIDTH}u) {
    sum += sums[2u * (firstTile + i) + 1u] * exp(sums[2u * (firstTile + i)] - largest);
  }
  let total = workgroupSum(sum, lane);
  let at = group * (1u + 2u * p.count);
  if (lane == 0u) { found[at] = largest + log(total); }
  var last = none;
  for (var place = 0u; place < p.count; place++) {
    var mine = none;
    for (var i = lane; i < p.tiles * p.count; i += ${WIDTH}u) {
      let k = 2u * (firstTile * p.count + i);
      let pair = vec2f(pairs[k], pairs[k + 1u]);
      if ((place == 0u || isBefore(last, pair)) && isBefore(pair, mine)) { mine = pair; }
    }
    last = best(mine, lane);
    if (lane == 0u) {
      if (place == 0u) { likeliest[group] = i32(last.y); }
      found[at + 1u + place] = last.y;
      found[at + 1u + p.count + place] = last.x;
    }
  }`,
  }),
});

/** What `topLogits` hands over. */
interface TopLogitsAttrs {
  count: number;
  vocabSize: number;
}

registerWebGPUKernel('TopLogits', (gpu, [logits], {count, vocabSize}: TopLogitsAttrs) => {
  const [batch, columns] = logits.shape;
  const tiles = Math.ceil(columns / TILE);
  const pairs = gpu.scratch(batch * tiles * count * 2);
  const sums = gpu.scratch(batch * tiles * 2);
  const found = gpu.output([batch, 1 + 2 * count]);
  const likeliest = gpu.output([batch], 'int32');
  gpu.run(
    ofTiles,
    {},
    {buffers: {logits, pairs, sums}, uniforms: {columns, vocabSize, tiles, count}, workgroups: batch * tiles},
  );
  gpu.run(ofRows, {}, {buffers: {pairs, sums, found, likeliest}, uniforms: {tiles, count}, workgroups: batch});
  return [found, likeliest];
});
