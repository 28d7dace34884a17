/** The sizes of a Mamba-2 mixer and how it starts; names and defaults follow the paper's code (`mamba2.py`). */
import type {Fields} from '../fields';
import {flag, isPositive, positiveInteger, positiveNumber, range, wrongField} from '../fields';
import {innerWidth} from '../width';

/** What a user writes. */
export interface Mamba2Options {
  /** States per channel, N (128). */
  dState?: number;
  /** Width of the causal convolution, K (4). */
  dConv?: number;
  /** Channels of the heads together per input channel (2). */
  expand?: number;
  /** Channels of the heads together, if not expand · dModel, rounded down. */
  dInner?: number;
  /** Channels of a head, P (64); they divide dInner. */
  headDim?: number;
  /** Groups of heads that share B and C, G (1); they divide the heads. */
  nGroups?: number;
  /** Range in which −A starts, evenly ([1, 16]). */
  aInitRange?: readonly [number, number];
  /** Whether D is learned per channel in place of per head (false). */
  dHasHeadDim?: boolean;
  /** Whether the gated output is normalized (true); if not, it is only gated. */
  gatedNorm?: boolean;
  /** Whether that norm comes before the gate (false). */
  normBeforeGate?: boolean;
  /** ε of that norm (1e-5). */
  epsilon?: number;
  /** Groups of channels that are normalized apart: nGroups, as in the paper's code, if absent; Hugging Face's models have 1. */
  normGroups?: number;
  /** Smallest step size at the start (0.001). */
  dtMin?: number;
  /** Largest step size at the start (0.1). */
  dtMax?: number;
  /** No step size starts below it (1e-4). */
  dtInitFloor?: number;
  /** Step sizes are kept within this range at all times ([0, Infinity]). */
  dtLimit?: readonly [number, number];
  /** Whether the convolution has a bias (true). */
  convBias?: boolean;
  /** Whether the input and output projections have one (false). */
  useBias?: boolean;
}

/** The sizes and the start of a mixer, every value filled in. */
export type Mamba2Config = Required<Omit<Mamba2Options, 'expand'>> & {dModel: number};

export const mamba2Fields: Fields<Mamba2Options> = {
  dState: positiveInteger(128),
  dConv: positiveInteger(4),
  expand: positiveNumber(2),
  dInner: positiveInteger(),
  headDim: positiveInteger(64),
  nGroups: positiveInteger(1),
  aInitRange: range([1, 16], 'positive numbers', isPositive),
  dHasHeadDim: flag(false),
  gatedNorm: flag(true),
  normBeforeGate: flag(false),
  epsilon: positiveNumber(1e-5),
  normGroups: positiveInteger(),
  dtMin: positiveNumber(0.001),
  dtMax: positiveNumber(0.1),
  dtInitFloor: positiveNumber(1e-4),
  dtLimit: range([0, Infinity], 'numbers from 0 on', (limit) => limit >= 0),
  convBias: flag(true),
  useBias: flag(false),
};

export function configureMamba2(owner: string, given: Mamba2Options, dModel: number): Mamba2Config {
  const {expand, dInner: width, ...rest} = given as Required<Mamba2Options>;
  const dInner = innerWidth(owner, {expand, dInner: width}, dModel);
  const {headDim, nGroups, normGroups = nGroups} = rest;
  const divides = (name: string, value: number, what: string, total: number) => {
    if (total % value !== 0) throw wrongField(owner, name, `a divisor of ${what}, ${total}`, value);
  };
  divides('headDim', headDim, 'dInner', dInner);
  divides('nGroups', nGroups, 'dInner / headDim', dInner / headDim);
  divides('normGroups', normGroups, 'dInner', dInner);
  return {...rest, dModel, dInner, normGroups};
}

/** Number of heads, H. */
export function headCount({dInner, headDim}: Mamba2Config): number {
  return dInner / headDim;
}

/** Channels of the convolution: those of the heads, and B and C of every group. */
export function convWidth({dInner, nGroups, dState}: Mamba2Config): number {
  return dInner + 2 * nGroups * dState;
}
