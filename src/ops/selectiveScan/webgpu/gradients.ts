/**
 * The program of the backward scan that all gradients come from, given a chunk's kept states and what is carried into it.
 *
 * An invocation has one channel of a chunk and goes back through it in runs of RUN steps: four states at a time, it computes a run's
 * states again and walks back over them. The steps of a run are written out, so that their states and sums are variables that fit into
 * registers: an array that is indexed by a loop lies in memory, and the program then waits for that. Between runs, what is carried and
 * the sums over time lie in `joint`. dB and dC are sums over channels: a workgroup adds its own through workgroup memory.
 */
import {combinations, defineProgram, read, readQuads, write, writeQuads} from '../../../backends/webgpuProgram';
import {expm1Wgsl} from '../../wgsl';
import {CHUNK, KEPT, LANES, SLOTS, beginsWgsl, rowUniforms, rowWgsl} from './layout';

/** Steps that are written out. Their dB and dC, 2 · RUN · LANES quads, are the 16 KB of workgroup memory that every device has. */
const RUN = 8;

const steps = Array.from({length: RUN}, (_, k) => k);
const forSteps = (code: (k: number) => string) => steps.map(code).join('\n    ');
const forStepsBack = (code: (k: number) => string) => [...steps].reverse().map(code).join('\n    ');

/** Which of B and C are constant. */
export type ConstantProjections = {constantB: boolean; constantC: boolean};

const either = [false, true];

/**
 * A workgroup's channels all belong to one group of B and one of C, so that it can add them: they come from a unit of channels,
 * the greatest that no group boundary cuts.
 */
export const gradients = defineProgram<ConstantProjections & {softplus: boolean; z: boolean; packed: boolean}>({
  name: 'SelectiveScanGrad (gradients)',
  variants: combinations({constantB: either, constantC: either, softplus: either, z: either, packed: either}),
  build: ({constantB, constantC, softplus, z, packed}) => {
    const parts = Number(!constantB) + Number(!constantC);
    const partC = Number(!constantB);
    /** The state that step k starts from. */
    const before = (k: number) => (packed ? `before${k}` : `h${k}`);
    const share = (part: number, k: number) => `shares[${(part * RUN + k) * LANES}u + lane]`;
    /** The sums over time, in the order in which their quads follow what is carried in `joint`. */
    const timeSums = ['sumA', ...(constantB ? ['sumB'] : []), ...(constantC ? ['sumC'] : [])];
    /** Adds what the workgroup's channels have in `shares`. The first channel differs from position to position, as banks do. */
    const addShares = `
      workgroupBarrier();
      if (lane < ${parts * RUN * 4}u) {
        let component = lane % 4u;
        let row = lane / 4u;
        var sum = 0.0;
        for (var l = 0u; l < ${LANES}u; l++) {
          sum += shares[row * ${LANES}u + (l + row) % ${LANES}u][component];
        }
        let t = first + row % ${RUN}u;
        if (t < steps) {
          let place = ((b * p.length + start + t) * p.tiles + tile) * ${parts}u + row / ${RUN}u;
          sums[(place * p.quads + quad) * 4u + component] = sum;
        }
      }
      workgroupBarrier();`;
    return {
      buffers: {
        u: read,
        coefficients: readQuads,
        states: readQuads,
        joint: writeQuads,
        stepSizes: write,
        gated: write,
        ...(z && {gateSlopes: write}),
        ...(parts > 0 && {sums: write}),
      },
      uniforms: {
        ...rowUniforms,
        quads: 'u32',
        chunks: 'u32',
        row: 'u32',
        slots: 'u32',
        tiles: 'u32',
        unit: 'u32',
        tilesPerUnit: 'u32',
      },
      workgroupSize: LANES,
      declarations: `${rowWgsl('p.quads')}
fn plusDot(sum: f32, x: vec4f, y: vec4f) -> f32 { return sum + x.x * y.x + x.y * y.y + x.z * y.z + x.w * y.w; }
${parts > 0 ? `var<workgroup> shares: array<vec4f, ${parts * RUN * LANES}>;` : ''}
${softplus ? expm1Wgsl : ''}${packed ? beginsWgsl : ''}`,
      main: `
  let tile = group % p.tiles;
  let chunk = group / p.tiles % p.chunks;
  let b = group / p.tiles / p.chunks;
  let firstChannel = tile / p.tilesPerUnit * p.unit;
  let inUnit = tile % p.tilesPerUnit * ${LANES}u + lane;
  // A lane without a channel goes along, for the barriers, with steps of size 0; what it computes is dropped.
  let own = inUnit < p.unit;
  let d = firstChannel + min(inUnit, p.unit - 1u);
  let start = chunk * ${CHUNK}u;
  let steps = min(${CHUNK}u, p.length - start);
  let runs = (steps + ${RUN - 1}u) / ${RUN}u;
  let ownA = rowA(d);
  let extra = coefficients[ownA + p.quads];
  let joined = (b * p.chunks + chunk) * p.row * p.channels + d;
  var sumD = 0.0;
  var sumBias = 0.0;
  for (var run = runs; run > 0u; run--) {
    let first = (run - 1u) * ${RUN}u;
    let kept = first / ${KEPT}u;
    // Steps past the end stand at the last one with size 0, and change nothing.
    ${forSteps(
      (k) => `let position${k} = b * p.length + start + min(first + ${k}u, steps - 1u);
    let i${k} = position${k} * p.channels + d;
    let live${k} = own && first + ${k}u < steps;
    ${packed ? `let begins${k} = first + ${k}u < steps && begins(position${k});` : ''}
    let dt${k} = select(0.0, stepSizes[i${k}], live${k});
    let x${k} = select(0.0, dt${k} * u[i${k}], live${k});
    let g${k} = select(0.0, gated[i${k}], live${k});
    let rowB${k} = rowB(position${k}, ${constantB ? 'd' : 'firstChannel'});
    let rowC${k} = rowC(position${k}, ${constantC ? 'd' : 'firstChannel'});
    var throughInput${k} = 0.0; // Σ_n s B
    var throughStep${k} = 0.0; // Σ_n s A exp(δA) h
    ${z ? `var ungated${k} = 0.0; // Σ_n C h` : ''}`,
    )}
    for (var quad = 0u; quad < p.quads; quad++) {
      let a = coefficients[ownA + quad];
      var h0 = select(vec4f(0.0), states[((b * p.slots + chunk * ${SLOTS}u + kept) * p.quads + quad) * p.channels + d], own);
      for (var t = kept * ${KEPT}u; t < first; t++) {
        let position = b * p.length + start + t;
        let dt = stepSizes[position * p.channels + d];
        let x = dt * u[position * p.channels + d];
        ${packed ? 'if (begins(position)) { h0 = vec4f(0.0); }' : ''}
        h0 = exp2(dt * a) * h0 + x * coefficients[rowB(position, ${constantB ? 'd' : 'firstChannel'}) + quad];
      }
      ${forSteps(
        (k) => `${packed ? `let before${k} = select(h${k}, vec4f(0.0), begins${k});` : ''}
      let h${k + 1} = exp2(dt${k} * a) * ${before(k)} + x${k} * coefficients[rowB${k} + quad];`,
      )}
      let at = joined + quad * p.channels;
      var carried = select(vec4f(0.0), joint[at], own);
      ${timeSums.map((name, i) => `var ${name} = select(joint[at + ${i + 1}u * p.quads * p.channels], vec4f(0.0), run == runs);`).join('\n      ')}
      ${forStepsBack(
        (k) => `{
        let C = coefficients[rowC${k} + quad];
        let s = g${k} * C + carried;
        carried = exp2(dt${k} * a) * s;
        let throughDecay = carried * ${before(k)};
        sumA += dt${k} * throughDecay;
        throughStep${k} = plusDot(throughStep${k}, throughDecay, a);
        throughInput${k} = plusDot(throughInput${k}, s, coefficients[rowB${k} + quad]);
        ${z ? `ungated${k} = plusDot(ungated${k}, C, h${k + 1});` : ''}
        ${constantB ? 'sumB +=' : `${share(0, k)} =`} x${k} * s;
        ${constantC ? 'sumC +=' : `${share(partC, k)} =`} g${k} * h${k + 1};
        ${packed ? `carried = select(carried, vec4f(0.0), begins${k});` : ''}
      }`,
      )}
      if (own) {
        joint[at] = carried;
        ${timeSums.map((name, i) => `joint[at + ${i + 1}u * p.quads * p.channels] = ${name};`).join('\n        ')}
      }${parts > 0 ? addShares : ''}
    }
    // Read before the first is written: behind a write, each would wait for memory by itself.
    ${forSteps((k) => `let u${k} = u[i${k}];${z ? ` let slope${k} = gateSlopes[i${k}];` : ''}`)}
    ${forSteps(
      (k) => `if (live${k}) {
      // The slope of softplus is 1 - exp(-softplus).
      let dDelta = (${Math.LN2} * throughStep${k} + throughInput${k} * u${k})${softplus ? ` * -expm1(-dt${k})` : ''};
      sumD += g${k} * u${k};
      sumBias += dDelta;
      gated[i${k}] = dt${k} * throughInput${k} + extra.x * g${k};
      stepSizes[i${k}] = dDelta;
      ${z ? `gateSlopes[i${k}] = slope${k} * (ungated${k} + extra.x * u${k});` : ''}
    }`,
    )}
  }
  if (own) { joint[joined + (p.row - 1u) * p.channels] = vec4f(sumD, sumBias, 0.0, 0.0); }`,
    };
  },
});
