/** The sizes of a Mamba-1 mixer and how it starts; names and defaults are those of the paper's code (`mamba_simple.py`). */
import type {Fields} from '../fields';
import {flag, integerOrAuto, oneOf, positiveInteger, positiveNumber} from '../fields';
import {innerWidth} from '../width';

/** What a user writes. */
export interface Mamba1Options {
  /** States per channel, N (16). */
  dState?: number;
  /** Width of the causal convolution, K (4). */
  dConv?: number;
  /** Channels of the scan per input channel (2). */
  expand?: number;
  /** Channels of the scan, if not expand · dModel, rounded down. */
  dInner?: number;
  /** Rank of the projection to the step size; 'auto' is ⌈dModel / 16⌉. */
  dtRank?: number | 'auto';
  /** Smallest step size at the start (0.001). */
  dtMin?: number;
  /** Largest step size at the start (0.1). */
  dtMax?: number;
  /** How the projection to the step size starts: 'random', the default, is U(±dtRank^-½ · dtScale), 'constant' the upper end of that. */
  dtInit?: 'random' | 'constant';
  /** Scales the start of that projection (1). */
  dtScale?: number;
  /** No step size starts below it (1e-4). */
  dtInitFloor?: number;
  /** Whether the convolution has a bias (true). */
  convBias?: boolean;
  /** Whether the input and output projections have one (false). */
  useBias?: boolean;
  /** ε of FalconMamba's norms of the step size, B and C; without it there are none, as in Mamba. */
  mixerEpsilon?: number;
}

/** The sizes and the start of a mixer, every value filled in. */
export interface MixerConfig {
  dModel: number;
  dInner: number;
  dState: number;
  dConv: number;
  dtRank: number;
  dtMin: number;
  dtMax: number;
  dtInit: 'random' | 'constant';
  dtScale: number;
  dtInitFloor: number;
  convBias: boolean;
  useBias: boolean;
  mixerEpsilon?: number;
}

export const mamba1Fields: Fields<Mamba1Options> = {
  dState: positiveInteger(16),
  dConv: positiveInteger(4),
  expand: positiveNumber(2),
  dInner: positiveInteger(),
  dtRank: integerOrAuto,
  dtMin: positiveNumber(0.001),
  dtMax: positiveNumber(0.1),
  dtInit: oneOf<'random' | 'constant'>(['random', 'constant'], 'random'),
  dtScale: positiveNumber(1),
  dtInitFloor: positiveNumber(1e-4),
  convBias: flag(true),
  useBias: flag(false),
  mixerEpsilon: positiveNumber(),
};

export function configureMamba1(owner: string, given: Mamba1Options, dModel: number): MixerConfig {
  const {expand, dInner, dtRank, ...rest} = given as Required<Mamba1Options>;
  return {
    ...rest,
    dModel,
    dInner: innerWidth(owner, {expand, dInner}, dModel),
    dtRank: dtRank === 'auto' ? Math.ceil(dModel / 16) : dtRank,
  };
}
