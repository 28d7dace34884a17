/**
 * The backward scan on WebGPU.
 *
 * 1. `prepare` computes, per position and channel, the step size, the gradient of y before the gate and the gate's slope. They lie in
 *    the tensors that will be the gradients of delta, u and z: the last program reads each place and then writes its gradient there.
 * 2. `chunkStarts` runs every chunk backwards from a zero gradient; what it would carry on to the chunk before goes into `joint`.
 * 3. `combineBack` walks over the chunks from the last and leaves in `joint` what is truly carried into each one.
 * 4. `gradients` (gradients.ts) recomputes a chunk's states from those that the forward has kept, walks back and has everything:
 *    the gradients of the sequences, sums over the chunk for those of A, D and deltaBias, and for each workgroup of channels its share
 *    of dB and dC.
 * 5. Sums over chunks, and over the workgroups of a group of channels.
 *
 * `joint` [B, chunks, row, D] has in a row, in quads: what is carried; the gradient of A; those of B and of C, if they are constant;
 * (Σδ, -, -, -), later the gradients (D, deltaBias, -, -). Channels come last, so that neighbouring invocations touch neighbouring quads.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../../backends/webgpu';
import {sizeOf} from '../../../backends/webgpu';
import {combinations, defineProgram, read, readQuads, write, writeQuads} from '../../../backends/webgpuProgram';
import {sumRows} from '../../webgpuSums';
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

const prepare = defineProgram<{softplus: boolean; z: boolean}>({
  name: 'SelectiveScanGrad (prepare)',
  variants: combinations({softplus: either, z: either}),
  build: ({softplus, z}) => ({
    buffers: {
      delta: read,
      coefficients: readQuads,
      dy: read,
      ...(z && {z: read, gateSlopes: write}),
      stepSizes: write,
      gated: write,
    },
    uniforms: {channels: 'u32', quads: 'u32', size: 'u32'},
    workgroupSize: 64,
    declarations: (softplus ? softplusWgsl : '') + (z ? sigmoidWgsl : ''),
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  let x = delta[i] + coefficients[i % p.channels * (p.quads + 1u) + p.quads].y;
  stepSizes[i] = ${softplus ? 'softplus(x)' : 'x'};
  ${
    z
      ? `gated[i] = dy[i] * (z[i] * sigmoid(z[i]));
  gateSlopes[i] = dy[i] * siluSlope(z[i]);`
      : 'gated[i] = dy[i];'
  }`,
  }),
});

const chunkStarts = defineProgram<{quads: number; packed: boolean}>({
  name: 'SelectiveScanGrad (chunk starts)',
  variants: combinations({quads: someQuads, packed: either}),
  build: ({quads, packed}) => ({
    buffers: {stepSizes: read, gated: read, coefficients: readQuads, joint: writeQuads},
    uniforms: {...rowUniforms, tiles: 'u32', chunks: 'u32', row: 'u32'},
    workgroupSize: LANES,
    declarations: rowWgsl(`${quads}u`) + (packed ? beginsWgsl : ''),
    main: `
  let tile = group % p.tiles;
  let chunk = group / p.tiles % p.chunks;
  let b = group / p.tiles / p.chunks;
  let d = tile * ${LANES}u + lane;
  if (d >= p.channels) { return; }
  let start = chunk * ${CHUNK}u;
  let end = min(start + ${CHUNK}u, p.length);
  let row = rowA(d);
  ${forQuads(quads, (i) => `let a${i} = coefficients[row + ${i}u]; var carried${i} = vec4f(0.0);`)}
  var stepSum = 0.0;
  ${packed ? 'var isCut = false;' : ''}
  for (var t = end; t > start; t--) {
    let position = b * p.length + t - 1u;
    let at = position * p.channels + d;
    let g = gated[at];
    let dt = stepSizes[at];
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
    workgroupSize: 64,
    declarations:
      quadOf('dFinalState') + (initialState ? storeQuad('dInitialState') : '') + (packed ? throughWgsl : ''),
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
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

/** The gradient of B or C: the sum over the tiles of each group. */
const projectionGradient = defineProgram({
  name: 'SelectiveScanGrad (projection)',
  variants: [{}],
  build: () => ({
    buffers: {sums: read, result: write},
    uniforms: {
      dState: 'u32',
      quads: 'u32',
      groups: 'u32',
      tiles: 'u32',
      tilesPerGroup: 'u32',
      parts: 'u32',
      part: 'u32',
      size: 'u32',
    },
    workgroupSize: 64,
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  let n = i % p.dState;
  let ofGroup = i / p.dState % p.groups;
  let position = i / p.dState / p.groups;
  var sum = 0.0;
  for (var tile = ofGroup * p.tilesPerGroup; tile < (ofGroup + 1u) * p.tilesPerGroup; tile++) {
    sum += sums[((position * p.tiles + tile) * p.parts + p.part) * p.quads * 4u + n];
  }
  result[i] = sum;`,
  }),
});

/** From `joint`, summed over batch and chunks, to the gradients per channel. */
const channelGradients = defineProgram<ConstantProjections & {D: boolean; deltaBias: boolean}>({
  name: 'SelectiveScanGrad (channels)',
  variants: combinations({constantB: either, constantC: either, D: either, deltaBias: either}),
  build: ({constantB, constantC, D, deltaBias}) => ({
    buffers: {
      total: read,
      dA: write,
      ...(constantB && {dB: write}),
      ...(constantC && {dC: write}),
      ...(D && {dD: write}),
      ...(deltaBias && {dBias: write}),
    },
    uniforms: {channels: 'u32', dState: 'u32', quads: 'u32', row: 'u32'},
    workgroupSize: 64,
    main: `
  let d = group * 64u + lane;
  if (d >= p.channels) { return; }
  for (var n = 0u; n < p.dState; n++) {
    let at = (n / 4u * p.channels + d) * 4u + n % 4u;
    let step = p.quads * p.channels * 4u;
    dA[d * p.dState + n] = total[at + step];
    ${constantB ? 'dB[d * p.dState + n] = total[at + 2u * step];' : ''}
    ${constantC ? `dC[d * p.dState + n] = total[at + ${2 + Number(constantB)}u * step];` : ''}
  }
  let last = ((p.row - 1u) * p.channels + d) * 4u;
  ${D ? 'dD[d] = total[last];' : ''}
  ${deltaBias ? 'dBias[d] = total[last + 1u];' : ''}`,
  }),
});

const greatestCommonDivisor = (a: number, b: number): number => (b === 0 ? a : greatestCommonDivisor(b, a % b));

/** Fills the gradients of all inputs that are present. */
export function scanBackward(
  gpu: Gpu,
  {u, delta, z, states, dy, dFinalState, D, deltaBias, initialState}: {[K in ScanGradInput]?: TensorInfo},
  coefficients: TensorInfo,
  result: Record<ScanInput, TensorInfo>,
  layout: ScanLayout,
  softplus: boolean,
): void {
  const {batch, length, channels, dState, quads, chunks, B, C, packed} = layout;
  const size = batch * length * channels;
  const row = quads * (2 + Number(B.constant) + Number(C.constant)) + 1;
  const joint = gpu.scratch(batch * chunks * channels * row * 4);
  const hasZ = z !== undefined;
  const stepSizes = result.delta;
  const gated = result.u;
  const gateSlopes = result.z;

  gpu.run(
    prepare,
    {softplus, z: hasZ},
    {
      buffers: {delta: delta!, coefficients, dy: dy!, stepSizes, gated, z, gateSlopes},
      uniforms: {channels, quads, size},
      workgroups: Math.ceil(size / 64),
    },
  );
  gpu.run(
    chunkStarts,
    {quads, packed},
    {
      buffers: {stepSizes, gated, coefficients, joint},
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
      workgroups: Math.ceil(stateQuads / 64),
    },
  );

  const sequences = [B, C].filter(({constant}) => !constant);
  const unit = sequences.map((of) => of.channelsPerGroup).reduce(greatestCommonDivisor, channels);
  const tilesPerUnit = Math.ceil(unit / LANES);
  const tiles = (channels / unit) * tilesPerUnit;
  const parts = sequences.length;
  const sums = parts > 0 ? gpu.scratch(batch * length * tiles * parts * quads * 4) : undefined;
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
        sums,
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

  sequences.forEach((of, part) => {
    const gradient = of === B ? result.B : result.C;
    const tilesPerGroup = (of.channelsPerGroup / unit) * tilesPerUnit;
    const elements = sizeOf(gradient.shape);
    gpu.run(
      projectionGradient,
      {},
      {
        buffers: {sums: sums!, result: gradient},
        uniforms: {dState, quads, groups: of.groups, tiles, tilesPerGroup, parts, part, size: elements},
        workgroups: Math.ceil(elements / 64),
      },
    );
  });
  const total = gpu.scratch(channels * row * 4);
  sumRows(gpu, joint, batch * chunks, channels * row * 4, total);
  gpu.run(
    channelGradients,
    {...constants, D: D !== undefined, deltaBias: deltaBias !== undefined},
    {
      buffers: {
        total,
        dA: result.A,
        dB: result.B,
        dC: result.C,
        dD: result.D,
        dBias: result.deltaBias,
      },
      uniforms: {channels, dState, quads, row},
      workgroups: Math.ceil(channels / 64),
    },
  );
}
