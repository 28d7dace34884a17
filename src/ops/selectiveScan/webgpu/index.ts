/**
 * The selective scan on WebGPU: which programs run when (forward.ts, backward.ts), on which memory (layout.ts).
 * Memory besides inputs and outputs is O(B·L·D): states every few steps, and sums over tiles of channels.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import {getBackend} from '@tensorflow/tfjs';
import type {Gpu} from '../../../backends/webgpu';
import {registerWebGPUKernel, sizeOf} from '../../../backends/webgpu';
import type {PresentAttr} from '../../kernel';
import {byName} from '../../kernel';
import type {ScanAttrs, ScanGradAttrs, ScanGradInput, ScanInput, ScanKernelInput} from '../kernels';
import {scanInputs} from '../kernels';
import {scan, scanOfLog, takeScanOfLog} from '..';
import {scanBackward} from './backward';
import {chunkEnds, combine, gather, mark, outputs} from './forward';
import type {ScanLayout} from './layout';
import {CHUNK, SLOTS, coefficientSize, rowQuads, rowUniformValues, scanLayout} from './layout';

export type ScanTensors = Record<'u' | 'delta' | 'A' | 'B' | 'C', TensorInfo> & {
  [K in ScanKernelInput]?: TensorInfo;
};

/**
 * From this many channels on (over the batch), one pass without chunks: it computes each exponential once and not twice, and there
 * are invocations enough without cutting the sequence. On an H200 the two forms are equal between 49,152 channels, where chunks take
 * 0.29 ms against 0.36, and 81,920, where they take 1.6 against 1.4 (bench/NOTES.md).
 */
const WHOLE_CHANNELS = 65536;

/** Up to this many chunks too: a hundred steps take a device less than two dispatches take a host. */
const WHOLE_CHUNKS = 4;

/** Fills the coefficients and slot 0 of the states. */
function gatherCoefficients(
  gpu: Gpu,
  {A, B, C, D, deltaBias, initialState, sequenceIds}: ScanTensors,
  layout: ScanLayout,
  logA: boolean,
  coefficients: TensorInfo,
  states: TensorInfo,
  slots: number,
): void {
  const {batch, length, channels, dState, quads} = layout;
  gpu.run(
    gather,
    {D: D !== undefined, deltaBias: deltaBias !== undefined, initialState: initialState !== undefined, logA},
    {
      buffers: {A, B, C, D, deltaBias, initialState, coefficients, states},
      uniforms: {
        ...{channels, dState, quads, rowsB: layout.B.rows, rowsC: layout.C.rows, slots},
        size: rowQuads(layout) + batch * channels * quads,
      },
    },
  );
  if (sequenceIds) {
    gpu.run(
      mark,
      {},
      {
        buffers: {ids: sequenceIds, coefficients},
        uniforms: {length, starts: rowQuads(layout), size: batch * length},
      },
    );
  }
}

/**
 * y of u's shape, finalState [B,D,N] and, if asked for, the states at the starts of the chunks, and the coefficients. `sequence` is [B,L,D].
 */
export function scanForward(
  gpu: Gpu,
  tensors: ScanTensors,
  sequence: readonly number[],
  {deltaSoftplus: softplus, keepStates, logA = false}: ScanAttrs,
): TensorInfo[] {
  const {u, delta, A, B, C, z} = tensors;
  const packed = tensors.sequenceIds !== undefined;
  const layout = scanLayout(sequence, A, B, C, packed);
  const {batch, length, channels, dState, quads, chunks, tiles} = layout;
  const whole = chunks <= WHOLE_CHUNKS || batch * channels >= WHOLE_CHANNELS;
  const slotsPerChunk = keepStates ? SLOTS : 1;
  // The end of the last chunk has a slot too, until `combine` has made the final state of it; where states are kept, one that
  // `outputs` fills afterwards.
  const slots = keepStates ? chunks * SLOTS : whole ? 1 : chunks + 1;
  const y = gpu.output(u.shape);
  const finalState = gpu.output([batch, channels, dState]);
  const kept = (shape: number[]) => (keepStates ? gpu.output(shape) : gpu.scratch(sizeOf(shape)));
  const states = kept([batch, slots, quads, 4 * channels]);
  const coefficients = kept([coefficientSize(layout)]);
  gatherCoefficients(gpu, tensors, layout, logA, coefficients, states, slots);
  const place = {...rowUniformValues(layout), tiles};
  if (!whole) {
    const stepSums = gpu.scratch(batch * chunks * channels);
    gpu.run(
      chunkEnds,
      {quads, softplus, packed},
      {
        buffers: {u, delta, coefficients, states, stepSums},
        uniforms: {...place, chunks, chunkLength: CHUNK, slots, slotsPerChunk},
        workgroups: batch * chunks * tiles,
      },
    );
    const size = batch * channels * quads;
    gpu.run(
      combine,
      {packed},
      {
        buffers: {coefficients, stepSums, states, finalState},
        uniforms: {channels, dState, quads, chunks, slots, slotsPerChunk, size},
      },
    );
  }
  gpu.run(
    outputs,
    {quads, softplus, z: z !== undefined, whole, keep: keepStates, packed},
    {
      buffers: {u, delta, coefficients, states, y, z, finalState},
      uniforms: {
        ...place,
        chunks: whole ? 1 : chunks,
        chunkLength: whole ? length : CHUNK,
        slots,
        slotsPerChunk,
        dState,
      },
      workgroups: batch * (whole ? 1 : chunks) * tiles,
    },
  );
  return keepStates ? [y, finalState, states, coefficients] : [y, finalState];
}

registerWebGPUKernel('SelectiveScan', (gpu, inputs, {present, ...attrs}: ScanAttrs & PresentAttr) => {
  const tensors = byName(inputs, present) as ScanTensors;
  return scanForward(gpu, tensors, tensors.u.shape, attrs);
});

registerWebGPUKernel(
  'SelectiveScanGrad',
  (gpu, inputs, {present, deltaSoftplus, logA = false}: ScanGradAttrs & PresentAttr) => {
    const tensors = byName(inputs, present) as Record<ScanGradInput, TensorInfo>;
    const {u, A, B, C, sequenceIds} = tensors as Partial<typeof tensors>;
    const layout = scanLayout(u!.shape, A!, B!, C!, sequenceIds !== undefined);
    const gradients = Object.fromEntries(
      scanInputs.filter((name) => tensors[name]).map((name) => [name, gpu.output(tensors[name].shape)]),
    ) as Record<ScanInput, TensorInfo>;
    scanBackward(gpu, tensors, gradients, layout, deltaSoftplus, logA);
    return Object.values(gradients);
  },
);

const composed = scanOfLog;
takeScanOfLog((args) => (getBackend() === 'webgpu' ? scan(args, true) : composed(args)));
