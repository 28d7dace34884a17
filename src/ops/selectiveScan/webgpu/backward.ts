/**
 * The backward scan on WebGPU.
 *
 * 1. `chunkStarts` runs every chunk backwards from a zero gradient; what it would carry on to the chunk before goes into `joint`. On the way
 *    it leaves, per position and channel, the step size, the gradient of y before the gate and the gate's slope. They lie in the tensors
 *    that will be the gradients of delta, u and z: the last program reads each place and then writes its gradient there.
 * 2. `combineBack` walks over the chunks from the last and leaves in `joint` what is truly carried into each one.
 * 3. `gradients` (gradients.ts) recomputes a chunk's states from those that the forward has kept, walks back and has everything:
 *    the gradients of the sequences, sums over the chunk for those of A, D and deltaBias, and for each workgroup of channels its share
 *    of dB and dC.
 * 4. `sums` adds over chunks, and over the workgroups of a group of channels.
 *
 * `joint` [B, chunks, row, D] has in a row, in quads: what is carried; the gradient of A; those of B and of C, if they are constant;
 * (Σδ, -, -, -), later the gradients (D, deltaBias, -, -). Channels come last, so that neighbouring invocations touch neighbouring quads.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../../backends/webgpu';
import {sizeOf} from '../../../backends/webgpu';
import {combinations, defineProgram, read, readQuads, write, writeQuads} from '../../../backends/webgpuProgram';
import {fewRows} from '../../webgpuSums';
import {sigmoidWgsl, softplusWgsl} from '../../wgsl';
import type {ScanGradInput, ScanInput} from '../kernels';
import {AHEAD, forAhead, quadOf, storeQuad} from './forward';
import type {ConstantProjections} from './gradients';
import {gradients} from './gradients';
import type {ScanLayout} from './layout';
import {
  CHUNK,
  LANES,
  SLOTS,
  beginsWgsl,
  forQuads,
  rowUniformValues,
  rowUniforms,
  rowWgsl,
  someQuads,
  stepSumWgsl,
  throughWgsl,
} from './layout';

const either = [false, true];

const chunkStarts = defineProgram<{quads: number; softplus: boolean; z: boolean; packed: boolean}>({
  name: 'SelectiveScanGrad (chunk starts)',
  variants: combinations({quads: someQuads, softplus: either, z: either, packed: either}),
  build: ({quads, softplus, z, packed}) => ({
    buffers: {
      delta: read,
      coefficients: readQuads,
      dy: read,
      ...(z && {z: read, gateSlopes: write}),
      stepSizes: write,
      gated: write,
      joint: writeQuads,
    },
    uniforms: {...rowUniforms, tiles: 'u32', chunks: 'u32', row: 'u32'},
    workgroupSize: LANES,
    declarations:
      rowWgsl(`${quads}u`) + (softplus ? softplusWgsl : '') + (z ? sigmoidWgsl : '') + (packed ? beginsWgsl : ''),
    main: `
  let tile = group % p.tiles;
  let chunk = group / p.tiles % p.chunks;
  let b = group / p.tiles / p.chunks;
  let d = tile * ${LANES}u + lane;
  if (d >= p.channels) { return; }
  let start = chunk * ${CHUNK}u;
  let end = min(start + ${CHUNK}u, p.length);
  let row = rowA(d);
  let bias = coefficients[row + ${quads}u].y;
  ${forQuads(quads, (i) => `let a${i} = coefficients[row + ${i}u]; var carried${i} = vec4f(0.0);`)}
  var stepSum = 0.0;
  ${packed ? 'var isCut = false;' : ''}
  for (var t = end; t > start; t--) {
    let position = b * p.length + t - 1u;
    let at = position * p.channels + d;
    let x = delta[at] + bias;
    let dt = ${softplus ? 'softplus(x)' : 'x'};
    stepSizes[at] = dt;
    ${
      z
        ? `let gate = z[at];
    let g = dy[at] * (gate * sigmoid(gate));
    gateSlopes[at] = dy[at] * siluSlope(gate);`
        : 'let g = dy[at];'
    }
    gated[at] = g;
    let atC = rowC(position, d);
    ${forQuads(quads, (i) => `carried${i} = exp2(dt * a${i}) * (g * coefficients[atC + ${i}u] + carried${i});`)}
    stepSum += dt;
    ${packed ? `if (begins(position)) { isCut = true; ${forQuads(quads, (i) => `carried${i} = vec4f(0.0);`)} }` : ''}
  }
  let at = (b * p.chunks + chunk) * p.row * p.channels + d;
  ${forQuads(quads, (i) => `joint[at + ${i}u * p.channels] = carried${i};`)}
  joint[at + (p.row - 1u) * p.channels] = vec4f(${stepSumWgsl(packed)}, 0.0, 0.0, 0.0);`,
  }),
});

/** One invocation per quad of a state, over all chunks. */
const combineBack = defineProgram<{initialState: boolean; packed: boolean}>({
  name: 'SelectiveScanGrad (combine)',
  variants: combinations({initialState: either, packed: either}),
  build: ({initialState, packed}) => ({
    buffers: {
      coefficients: readQuads,
      dFinalState: read,
      joint: writeQuads,
      ...(initialState && {dInitialState: write}),
    },
    uniforms: {channels: 'u32', dState: 'u32', quads: 'u32', chunks: 'u32', row: 'u32', size: 'u32'},
    declarations:
      quadOf('dFinalState') + (initialState ? storeQuad('dInitialState') : '') + (packed ? throughWgsl : ''),
    main: `
  let d = i % p.channels;
  let quad = i / p.channels % p.quads;
  let b = i / p.channels / p.quads;
  let a = coefficients[d * (p.quads + 1u) + quad];
  var carried = dFinalStateQuad(b * p.channels + d, quad);
  for (var left = p.chunks; left > 0u; left -= min(left, ${AHEAD}u)) {
    ${forAhead(
      (k) => `let row${k} = (b * p.chunks + left - 1u - min(${k}u, left - 1u)) * p.row;
    let at${k} = (row${k} + quad) * p.channels + d;
    let own${k} = joint[at${k}];
    let stepSum${k} = joint[(row${k} + p.row - 1u) * p.channels + d].x;`,
    )}
    ${forAhead(
      (k) => `if (${k}u < left) {
      joint[at${k}] = carried;
      carried = own${k} + ${packed ? `through(stepSum${k}, a, carried)` : `exp2(stepSum${k} * a) * carried`};
    }`,
    )}
  }
  ${initialState ? 'store_dInitialState(b * p.channels + d, quad, carried);' : ''}`,
  }),
});

/** One of B and C that is no constant: a sum over the tiles of each group. */
const overTiles = (name: 'B' | 'C', part: number) => `
  if (i < p.size${name}) {
    let ofGroup = i / p.dState % p.groups${name};
    let position = i / p.dState / p.groups${name};
    var sum = 0.0;
    for (var tile = ofGroup * p.perGroup${name}; tile < (ofGroup + 1u) * p.perGroup${name}; tile++) {
      sum += shares[((position * p.tiles + tile) * p.parts + ${part}u) * p.quads * 4u + i % p.dState];
    }
    d${name}[i] = sum;
    return;
  }
  i -= p.size${name};`;

/**
 * An element of the gradients of B and C, where they are no constants, or a quad of those of a channel, which are sums over what is left of
 * the rows of `joint`.
 */
const sums = defineProgram<ConstantProjections & {D: boolean; deltaBias: boolean; logA: boolean}>({
  name: 'SelectiveScanGrad (sums)',
  variants: combinations({constantB: either, constantC: either, D: either, deltaBias: either, logA: either}),
  build: ({constantB, constantC, D, deltaBias, logA}) => {
    const perChannel = ['dA', ...(constantB ? ['dB'] : []), ...(constantC ? ['dC'] : [])];
    return {
      buffers: {
        joint: readQuads,
        ...(logA && {coefficients: readQuads}),
        ...(!(constantB && constantC) && {shares: read}),
        dA: write,
        dB: write,
        dC: write,
        ...(D && {dD: write}),
        ...(deltaBias && {dBias: write}),
      },
      uniforms: {
        ...{channels: 'u32', dState: 'u32', quads: 'u32', row: 'u32', rows: 'u32', tiles: 'u32', parts: 'u32'},
        ...{
          sizeB: 'u32',
          groupsB: 'u32',
          perGroupB: 'u32',
          sizeC: 'u32',
          groupsC: 'u32',
          perGroupC: 'u32',
          size: 'u32',
        },
      },
      declarations: perChannel.map(storeQuad).join(''),
      main: `${constantB ? '' : overTiles('B', 0)}${constantC ? '' : overTiles('C', Number(!constantB))}
  let d = i % p.channels;
  let part = i / p.channels;
  var total = vec4f(0.0);
  for (var row = 0u; row < p.rows; row++) { total += joint[(row * p.row + part + p.quads) * p.channels + d]; }
  ${logA ? `if (part < p.quads) { total *= ${Math.LN2} * coefficients[d * (p.quads + 1u) + part]; }` : ''}
  ${perChannel.map((name, at) => `if (part / p.quads == ${at}u) { store_${name}(d, part % p.quads, total); }`).join('\n  ')}
  if (part + p.quads + 1u == p.row) {
    ${D ? 'dD[d] = total.x;' : ''}
    ${deltaBias ? 'dBias[d] = total.y;' : ''}
  }`,
    };
  },
});

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));

/** Fills the gradients of all inputs that are present. */
export function scanBackward(
  gpu: Gpu,
  {u, delta, z, states, coefficients, dy, dFinalState, D, deltaBias, initialState}: {[K in ScanGradInput]?: TensorInfo},
  result: Record<ScanInput, TensorInfo>,
  layout: ScanLayout,
  softplus: boolean,
  logA: boolean,
): void {
  const {batch, length, channels, dState, quads, chunks, B, C, packed} = layout;
  const row = quads * (2 + Number(B.constant) + Number(C.constant)) + 1;
  const joint = gpu.scratch(batch * chunks * channels * row * 4);
  const hasZ = z !== undefined;
  const stepSizes = result.delta;
  const gated = result.u;
  const gateSlopes = result.z;

  gpu.run(
    chunkStarts,
    {quads, softplus, z: hasZ, packed},
    {
      buffers: {delta: delta!, coefficients, dy: dy!, z, stepSizes, gated, gateSlopes, joint},
      uniforms: {...rowUniformValues(layout), tiles: layout.tiles, chunks, row},
      workgroups: batch * chunks * layout.tiles,
    },
  );
  const stateQuads = batch * channels * quads;
  gpu.run(
    combineBack,
    {initialState: initialState !== undefined, packed},
    {
      buffers: {
        coefficients,
        dFinalState: dFinalState!,
        joint,
        dInitialState: result.initialState,
      },
      uniforms: {channels, dState, quads, chunks, row, size: stateQuads},
    },
  );

  const sequences = [B, C].filter(({constant}) => !constant);
  const unit = sequences.map((of) => of.channelsPerGroup).reduce(greatestCommonDivisor, channels);
  const tilesPerUnit = Math.ceil(unit / LANES);
  const tiles = (channels / unit) * tilesPerUnit;
  const parts = sequences.length;
  const shares = parts > 0 ? gpu.scratch(batch * length * tiles * parts * quads * 4) : undefined;
  const constants = {constantB: B.constant, constantC: C.constant};
  gpu.run(
    gradients,
    {...constants, softplus, z: hasZ, packed},
    {
      buffers: {
        u: u!,
        coefficients,
        states: states!,
        joint,
        stepSizes,
        gated,
        gateSlopes,
        sums: shares,
      },
      uniforms: {
        ...rowUniformValues(layout),
        quads,
        chunks,
        row,
        slots: chunks * SLOTS,
        tiles,
        unit,
        tilesPerUnit,
      },
      workgroups: batch * chunks * tiles,
    },
  );

  const left = fewRows(gpu, joint, batch * chunks, channels * row * 4);
  const sizeB = B.constant ? 0 : sizeOf(result.B.shape);
  const sizeC = C.constant ? 0 : sizeOf(result.C.shape);
  const perGroupB = (B.channelsPerGroup / unit) * tilesPerUnit; // of tiles
  const perGroupC = (C.channelsPerGroup / unit) * tilesPerUnit;
  const elements = sizeB + sizeC + channels * (row - quads);
  gpu.run(
    sums,
    {...constants, D: D !== undefined, deltaBias: deltaBias !== undefined, logA},
    {
      buffers: {
        joint: left.x,
        coefficients,
        shares,
        dA: result.A,
        dB: result.B,
        dC: result.C,
        dD: result.D,
        dBias: result.deltaBias,
      },
      uniforms: {
        ...{channels, dState, quads, row, rows: left.rows, tiles, parts, size: elements},
        ...{sizeB, groupsB: B.groups, perGroupB, sizeC, groupsC: C.groups, perGroupC},
      },
    },
  );
}
