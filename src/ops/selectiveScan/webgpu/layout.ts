/**
 * How the WebGPU kernels of the scan lay out what they share.
 *
 * A device that TensorFlow.js makes binds eight buffers to a shader, and the scan has twelve tensors. So the small ones go into one:
 * `coefficients`, rows of vec4 ("quads", dState padded with zeros), first per channel A and the pair (D, deltaBias), then the rows of B,
 * then those of C; of packed documents a quad per position more, whose first number is 1 where another document begins in the row.
 * Sequences [B,L,D] stay where they are. States are [B, slots, quads, D]: at the starts of chunks, and for a backward
 * every KEPT steps.
 */
import type {TensorInfo} from '@tensorflow/tfjs';
import {sizeOf} from '../../../backends/webgpu';

/** Steps of a chunk. Fewer would leave `combine` more to walk over; more would leave a short sequence too few invocations. */
export const CHUNK = 32;

/**
 * Steps between the states that are kept for the backward: at a dState of 16 they are as large as u. With 8 the backward would be a
 * fifth faster on an H200, and the largest scan that a device can bind half as long.
 */
export const KEPT = 16;

/** A is stored in units of ln 2, so that a decay is one `exp2`. */
export const LOG2_E = Math.LOG2E;

/** Kept states of a chunk; at least two, as the end of the last chunk is for a while where its second goes. */
export const SLOTS = CHUNK / KEPT;

/** Invocations of a workgroup: neighbouring channels, so that what they read of a sequence is contiguous. */
export const LANES = 64;

/** `B` or `C` as its rows lie in `coefficients`. */
export interface ProjectionLayout {
  constant: boolean;
  /** Rows: one per position and group, or one per channel. */
  rows: number;
  /** Rows from one position to the next; none if constant. */
  groups: number;
  channelsPerGroup: number;
}

/** The sizes of a scan. */
export interface ScanLayout {
  batch: number;
  length: number;
  channels: number;
  dState: number;
  /** ⌈dState / 4⌉ */
  quads: number;
  chunks: number;
  /** Workgroups that the channels of one position take. */
  tiles: number;
  B: ProjectionLayout;
  C: ProjectionLayout;
  /** Whether the rows are packed documents. */
  packed: boolean;
}

function projectionLayout({shape}: TensorInfo, channels: number, dState: number): ProjectionLayout {
  const rows = sizeOf(shape) / dState;
  if (shape.length === 2) {
    return {constant: true, rows, groups: 0, channelsPerGroup: 1};
  }
  const groups = shape[shape.length - 2];
  return {constant: false, rows, groups, channelsPerGroup: channels / groups};
}

/** `sequence` is [batch, length, channels]: for a single step, u has no time axis and B, C are [B,G,N]. */
export function scanLayout(
  [batch, length, channels]: readonly number[],
  A: TensorInfo,
  B: TensorInfo,
  C: TensorInfo,
  packed = false,
): ScanLayout {
  const dState = A.shape[1];
  return {
    batch,
    length,
    channels,
    dState,
    quads: Math.ceil(dState / 4),
    chunks: Math.ceil(length / CHUNK),
    tiles: Math.ceil(channels / LANES),
    B: projectionLayout(B, channels, dState),
    C: projectionLayout(C, channels, dState),
    packed,
  };
}

/** The quads of `coefficients` that lie before those of the positions. */
export function rowQuads({channels, quads, B, C}: ScanLayout): number {
  return channels * (quads + 1) + (B.rows + C.rows) * quads;
}

/** The length of `coefficients` in numbers. */
export function coefficientSize(layout: ScanLayout): number {
  return 4 * (rowQuads(layout) + (layout.packed ? layout.batch * layout.length : 0));
}

/** The uniforms by which `rowWgsl` finds the rows. */
export const rowUniforms = {
  length: 'u32',
  channels: 'u32',
  rowB: 'u32',
  groupsB: 'u32',
  perGroupB: 'u32',
  rowC: 'u32',
  groupsC: 'u32',
  perGroupC: 'u32',
  starts: 'u32',
} as const;

/** Their values. */
export function rowUniformValues(layout: ScanLayout) {
  const {length, channels, quads, B, C} = layout;
  const rowB = channels * (quads + 1);
  return {
    length,
    channels,
    rowB,
    groupsB: B.groups,
    perGroupB: B.channelsPerGroup,
    rowC: rowB + B.rows * quads,
    groupsC: C.groups,
    perGroupC: C.channelsPerGroup,
    starts: rowQuads(layout),
  };
}

/** Where in `coefficients` the rows of channel d begin; `position` is b·length + t, and `quads` an expression. */
export const rowWgsl = (quads: string) => `
fn rowA(d: u32) -> u32 { return d * (${quads} + 1u); }
fn rowB(position: u32, d: u32) -> u32 { return p.rowB + (position * p.groupsB + d / p.perGroupB) * ${quads}; }
fn rowC(position: u32, d: u32) -> u32 { return p.rowC + (position * p.groupsC + d / p.perGroupC) * ${quads}; }
`;

/** Whether another document begins at `position`. */
export const beginsWgsl = `
fn begins(position: u32) -> bool { return coefficients[p.starts + position].x != 0.0; }
`;

/**
 * In place of a chunk's sum of steps: a document begins in it, so that nothing goes through. What comes from the chunk before is then
 * replaced by zeros and not multiplied by them, as it may be infinite.
 */
const CUT = '3.0e38';

/** A chunk's sum of steps, or CUT. */
export const stepSumWgsl = (packed: boolean) => (packed ? `select(stepSum, ${CUT}, isCut)` : 'stepSum');

/** What is left of a state behind a chunk. */
export const throughWgsl = `
fn through(stepSum: f32, a: vec4f, state: vec4f) -> vec4f {
  return select(exp2(stepSum * a) * state, vec4f(0.0), stepSum == ${CUT});
}
`;

/** The numbers of quads that the test compiles; every other one is the same text repeated more or less often. */
export const someQuads = [1, 2, 4, 5, 16] as const;

/** One piece of code for each quad. */
export const forQuads = (quads: number, code: (i: number) => string) =>
  Array.from({length: quads}, (_, i) => code(i)).join('\n    ');
