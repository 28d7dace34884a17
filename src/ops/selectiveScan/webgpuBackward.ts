/**
 * The backward scan on WebGPU.
 *
 * 1. `prepare` computes, per position and channel, the step size, the gradient of y before the gate and the gate's slope. They lie in
 *    the tensors that will be the gradients of delta, u and z: the last program reads each place and then writes its gradient there.
 * 2. `chunkStarts` runs every chunk backwards from a zero gradient; what it would carry on to the chunk before goes into `joint`.
 * 3. `combineBack` walks over the chunks from the last and leaves in `joint` what is truly carried into each one, beside the state at
 *    its start.
 * 4. `gradients` recomputes a chunk's states, walks back and has everything: the gradients of the sequences, and sums over the chunk for
 *    those of A, D and deltaBias, which take the places in `joint` it has read. dB and dC are sums over channels: each workgroup adds
 *    its own in a fixed order, through workgroup memory.
 * 5. Sums over chunks, and over the workgroups of a group of channels.
 *
 * `joint` [B, chunks, D, row] has in a row, in quads: the state (later the gradient of a constant B); what is carried (later that of
 * A); if C is constant, room for its gradient; (Σδ, -, -, -), later the gradients (D, deltaBias, -, -).
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import type {Gpu} from '../../backends/webgpu';
import {sizeOf} from '../../backends/webgpu';
import {combinations, defineProgram, read, readQuads, write, writeQuads} from '../../backends/webgpuProgram';
import {sumRows} from '../webgpuSums';
import {expm1Wgsl, sigmoidWgsl, softplusWgsl} from '../wgsl';
import type {ScanGradInput, ScanInput} from './kernels';
import {storeQuad} from './webgpuForward';
import type {ScanLayout} from './webgpuLayout';
import {CHUNK, LANES, forQuads, rowUniformValues, rowUniforms, rowWgsl, someQuads} from './webgpuLayout';

const either = [false, true];

/** Positions whose dB and dC go through workgroup memory together: 2 · BLOCK · LANES quads are the 16 KB that every device has. */
const BLOCK = 8;

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
      ? `gated[i] = dy[i] * z[i] * sigmoid(z[i]);
  gateSlopes[i] = dy[i] * siluSlope(z[i]);`
      : 'gated[i] = dy[i];'
  }`,
  }),
});

const chunkStarts = defineProgram<{quads: number}>({
  name: 'SelectiveScanGrad (chunk starts)',
  variants: combinations({quads: someQuads}),
  build: ({quads}) => ({
    buffers: {stepSizes: read, gated: read, coefficients: readQuads, joint: writeQuads},
    uniforms: {...rowUniforms, tiles: 'u32', chunks: 'u32', row: 'u32'},
    workgroupSize: LANES,
    declarations: rowWgsl(quads),
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
  for (var t = end; t > start; t--) {
    let position = b * p.length + t - 1u;
    let at = position * p.channels + d;
    let g = gated[at];
    let dt = stepSizes[at];
    let atC = rowC(position, d);
    ${forQuads(quads, (i) => `carried${i} = exp(dt * a${i}) * (g * coefficients[atC + ${i}u] + carried${i});`)}
    stepSum += dt;
  }
  let at = ((b * p.chunks + chunk) * p.channels + d) * p.row;
  ${forQuads(quads, (i) => `joint[at + ${quads + i}u] = carried${i};`)}
  joint[at + p.row - 1u] = vec4f(stepSum, 0.0, 0.0, 0.0);`,
  }),
});

/** One invocation per quad of a state, over all chunks. */
const combineBack = defineProgram<{initialState: boolean}>({
  name: 'SelectiveScanGrad (combine)',
  variants: combinations({initialState: either}),
  build: ({initialState}) => ({
    buffers: {
      coefficients: readQuads,
      states: readQuads,
      dFinalState: read,
      joint: writeQuads,
      ...(initialState && {dInitialState: write}),
    },
    uniforms: {channels: 'u32', dState: 'u32', quads: 'u32', chunks: 'u32', row: 'u32', size: 'u32'},
    workgroupSize: 64,
    declarations: initialState ? storeQuad('dInitialState') : '',
    main: `
  let i = group * 64u + lane;
  if (i >= p.size) { return; }
  let quad = i % p.quads;
  let d = i / p.quads % p.channels;
  let b = i / p.quads / p.channels;
  let a = coefficients[d * (p.quads + 1u) + quad];
  var carried = vec4f(0.0);
  for (var n = 0u; n < min(4u, p.dState - 4u * quad); n++) {
    carried[n] = dFinalState[i / p.quads * p.dState + 4u * quad + n];
  }
  for (var chunk = p.chunks; chunk > 0u; chunk--) {
    let at = ((b * p.chunks + chunk - 1u) * p.channels + d) * p.row;
    let own = joint[at + p.quads + quad];
    let stepSum = joint[at + p.row - 1u].x;
    joint[at + quad] = states[((b * (p.chunks + 1u) + chunk - 1u) * p.channels + d) * p.quads + quad];
    joint[at + p.quads + quad] = carried;
    carried = own + exp(stepSum * a) * carried;
  }
  ${initialState ? 'store_dInitialState(i / p.quads, quad, carried);' : ''}`,
  }),
});

type Constants = {constantB: boolean; constantC: boolean};

/**
 * A workgroup's channels all belong to one group of B and one of C, so that it can add them: they come from a unit of channels,
 * the greatest that no group boundary cuts.
 */
const gradients = defineProgram<Constants & {softplus: boolean; z: boolean}>({
  name: 'SelectiveScanGrad (gradients)',
  variants: combinations({constantB: either, constantC: either, softplus: either, z: either}),
  build: ({constantB, constantC, softplus, z}) => {
    const parts = Number(!constantB) + Number(!constantC);
    const partC = Number(!constantB);
    /** Adds what the workgroup's channels have in `shares`. The first channel differs from position to position, as banks do. */
    const add = `
      workgroupBarrier();
      if (lane < ${parts * BLOCK * 4}u) {
        let component = lane % 4u;
        let k = lane / 4u % ${BLOCK}u;
        let part = lane / ${4 * BLOCK}u;
        var sum = 0.0;
        for (var l = 0u; l < ${LANES}u; l++) {
          sum += shares[(part * ${BLOCK}u + k) * ${LANES}u + (l + k) % ${LANES}u][component];
        }
        let t = end - ${BLOCK}u + k;
        if (t < steps) {
          let place = ((b * p.length + start + t) * p.tiles + tile) * ${parts}u + part;
          sums[(place * p.quads + quad) * 4u + component] = sum;
        }
      }
      workgroupBarrier();`;
    return {
      buffers: {
        u: read,
        coefficients: readQuads,
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
        tiles: 'u32',
        unit: 'u32',
        tilesPerUnit: 'u32',
      },
      workgroupSize: LANES,
      declarations: `
fn rowA(d: u32) -> u32 { return d * (p.quads + 1u); }
fn rowB(position: u32, d: u32) -> u32 { return p.rowB + (position * p.groupsB + d / p.perGroupB) * p.quads; }
fn rowC(position: u32, d: u32) -> u32 { return p.rowC + (position * p.groupsC + d / p.perGroupC) * p.quads; }
${parts > 0 ? `var<workgroup> shares: array<vec4f, ${parts * BLOCK * LANES}>;` : ''}
${softplus ? expm1Wgsl : ''}`,
      main: `
  let tile = group % p.tiles;
  let chunk = group / p.tiles % p.chunks;
  let b = group / p.tiles / p.chunks;
  let inUnit = tile % p.tilesPerUnit * ${LANES}u + lane;
  // A lane without a channel goes along, for the barriers; what it computes is dropped.
  let own = inUnit < p.unit;
  let d = tile / p.tilesPerUnit * p.unit + min(inUnit, p.unit - 1u);
  let start = chunk * ${CHUNK}u;
  let steps = min(${CHUNK}u, p.length - start);
  let extra = coefficients[rowA(d) + p.quads];
  let at = ((b * p.chunks + chunk) * p.channels + d) * p.row;
  var before: array<vec4f, ${CHUNK}>; // each step's state before it
  var throughInput: array<f32, ${CHUNK}>; // Σ_n s B
  var throughStep: array<f32, ${CHUNK}>; // Σ_n s A exp(δA) h
  ${z ? `var ungated: array<f32, ${CHUNK}>; // Σ_n C h` : ''}
  for (var quad = 0u; quad < p.quads; quad++) {
    let a = coefficients[rowA(d) + quad];
    var h = joint[at + quad];
    for (var t = 0u; t < steps; t++) {
      let position = b * p.length + start + t;
      let dt = stepSizes[position * p.channels + d];
      before[t] = h;
      h = exp(dt * a) * h + dt * u[position * p.channels + d] * coefficients[rowB(position, d) + quad];
    }
    var carried = joint[at + p.quads + quad];
    var sumA = vec4f(0.0);
    ${constantB ? 'var sumB = vec4f(0.0);' : ''}
    ${constantC ? 'var sumC = vec4f(0.0);' : ''}
    for (var end = (steps + ${BLOCK - 1}u) / ${BLOCK}u * ${BLOCK}u; end > 0u; end -= ${BLOCK}u) {
      for (var k = ${BLOCK}u; k > 0u; k--) {
        let t = end - ${BLOCK}u + k - 1u;
        var shareB = vec4f(0.0);
        var shareC = vec4f(0.0);
        if (t < steps) {
          let position = b * p.length + start + t;
          let dt = stepSizes[position * p.channels + d];
          let g = gated[position * p.channels + d];
          let rowOfB = coefficients[rowB(position, d) + quad];
          let rowOfC = coefficients[rowC(position, d) + quad];
          let s = g * rowOfC + carried;
          shareB = dt * u[position * p.channels + d] * s;
          shareC = g * h;
          carried = exp(dt * a) * s;
          let throughDecay = carried * before[t];
          sumA += dt * throughDecay;
          throughStep[t] += dot(throughDecay, a);
          throughInput[t] += dot(s, rowOfB);
          ${z ? 'ungated[t] += dot(rowOfC, h);' : ''}
          h = before[t];
        }
        ${constantB ? 'sumB += shareB;' : `shares[(k - 1u) * ${LANES}u + lane] = select(vec4f(0.0), shareB, own);`}
        ${
          constantC
            ? 'sumC += shareC;'
            : `shares[(${partC * BLOCK}u + k - 1u) * ${LANES}u + lane] = select(vec4f(0.0), shareC, own);`
        }
      }${parts > 0 ? add : ''}
    }
    if (own) {
      joint[at + p.quads + quad] = sumA;
      ${constantB ? 'joint[at + quad] = sumB;' : ''}
      ${constantC ? 'joint[at + 2u * p.quads + quad] = sumC;' : ''}
    }
  }
  if (!own) { return; }
  var sumD = 0.0;
  var sumBias = 0.0;
  for (var t = 0u; t < steps; t++) {
    let i = (b * p.length + start + t) * p.channels + d;
    let g = gated[i];
    let dt = stepSizes[i];
    // The slope of softplus is 1 - exp(-softplus).
    let dDelta = (throughStep[t] + throughInput[t] * u[i])${softplus ? ' * -expm1(-dt)' : ''};
    sumD += g * u[i];
    sumBias += dDelta;
    gated[i] = dt * throughInput[t] + extra.x * g;
    stepSizes[i] = dDelta;
    ${z ? 'gateSlopes[i] *= ungated[t] + extra.x * u[i];' : ''}
  }
  joint[at + p.row - 1u] = vec4f(sumD, sumBias, 0.0, 0.0);`,
    };
  },
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
const channelGradients = defineProgram<Constants & {D: boolean; deltaBias: boolean}>({
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
  let at = d * p.row * 4u;
  for (var n = 0u; n < p.dState; n++) {
    dA[d * p.dState + n] = total[at + p.quads * 4u + n];
    ${constantB ? 'dB[d * p.dState + n] = total[at + n];' : ''}
    ${constantC ? 'dC[d * p.dState + n] = total[at + p.quads * 8u + n];' : ''}
  }
  ${D ? 'dD[d] = total[at + (p.row - 1u) * 4u];' : ''}
  ${deltaBias ? 'dBias[d] = total[at + (p.row - 1u) * 4u + 1u];' : ''}`,
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
  const {batch, length, channels, dState, quads, chunks, B, C} = layout;
  const size = batch * length * channels;
  const row = quads * (C.constant ? 3 : 2) + 1;
  const joint = gpu.scratch(batch * chunks * channels * row * 4);
  const hasZ = z !== undefined;
  const stepSizes = result.delta;
  const gated = result.u;
  const gateSlopes = result.z;

  gpu.run(
    prepare,
    {softplus, z: hasZ},
    {
      buffers: {delta: delta!, coefficients, dy: dy!, stepSizes, gated, ...(hasZ && {z, gateSlopes})},
      uniforms: {channels, quads, size},
      workgroups: Math.ceil(size / 64),
    },
  );
  gpu.run(
    chunkStarts,
    {quads},
    {
      buffers: {stepSizes, gated, coefficients, joint},
      uniforms: {...rowUniformValues(layout), tiles: layout.tiles, chunks, row},
      workgroups: batch * chunks * layout.tiles,
    },
  );
  const stateQuads = batch * channels * quads;
  gpu.run(
    combineBack,
    {initialState: initialState !== undefined},
    {
      buffers: {
        coefficients,
        states: states!,
        dFinalState: dFinalState!,
        joint,
        ...(initialState && {dInitialState: result.initialState}),
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
    {...constants, softplus, z: hasZ},
    {
      buffers: {u: u!, coefficients, joint, stepSizes, gated, ...(hasZ && {gateSlopes}), ...(sums && {sums})},
      uniforms: {...rowUniformValues(layout), quads, chunks, row, tiles, unit, tilesPerUnit},
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
        ...(B.constant && {dB: result.B}),
        ...(C.constant && {dC: result.C}),
        ...(D && {dD: result.D}),
        ...(deltaBias && {dBias: result.deltaBias}),
      },
      uniforms: {channels, dState, quads, row},
      workgroups: Math.ceil(channels / 64),
    },
  );
}
