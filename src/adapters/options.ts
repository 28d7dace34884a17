/** What an adapter is made with, and what it then is. */
import {checkBoolean, checkKeys, describe} from '../ops/check';

/** The options of `addAdapter`, under the names of PEFT's and mlx_lm's. */
export interface AdapterOptions {
  /** Rank of the corrections (8). */
  rank?: number;
  /** The correction is scaled by alpha / rank, or by alpha / √rank with `rslora` (alpha: 16). */
  alpha?: number;
  /** The share of its inputs that a correction does not see in training (0). Look-ups in a table have none. */
  dropout?: number;
  /** Whether the scale is rank-stabilised (Kalajdzievski 2023, arXiv 2312.03732; false). */
  rslora?: boolean;
  /** Whether the lengths of the columns are trained beside their directions (DoRA, arXiv 2402.09353; false). */
  dora?: boolean;
  /**
   * What is corrected: last parts of published names, such as 'in_proj', 'dt_proj', 'embeddings', 'lm_head', or
   * 'layers.0.mixer.in_proj' for one alone. Unless given, whichever there are of 'in_proj', 'x_proj' and 'out_proj'.
   */
  targets?: readonly string[];
  /** Fixes the start of the corrections, and what dropout drops. */
  seed?: number;
}

/** What an adapter adds to a model. */
export interface AdapterInfo {
  /** The corrected weights by the names of published files: `backbone.layers.0.mixer.in_proj`. */
  targets: string[];
  /** Values that are trained. */
  trainedParameters: number;
  /** Values of model and adapter together. */
  totalParameters: number;
  /** The one as a share of the other. */
  trainedShare: number;
}

/** What all corrections of an adapter have in common. */
export interface AdapterSettings {
  rank: number;
  alpha: number;
  dropout: number;
  rslora: boolean;
  dora: boolean;
}

const OP = 'addAdapter';
/** What PEFT calls them. */
const elsewhere = {
  r: 'rank',
  lora_alpha: 'alpha',
  lora_dropout: 'dropout',
  use_rslora: 'rslora',
  use_dora: 'dora',
  target_modules: 'targets',
};

/** @throws Error naming the option that is wrong. */
export function readOptions(options: AdapterOptions): AdapterSettings & Pick<AdapterOptions, 'targets' | 'seed'> {
  checkKeys(OP, options, ['rank', 'alpha', 'dropout', 'rslora', 'dora', 'targets', 'seed'], elsewhere);
  const {rank = 8, alpha = 16, dropout = 0, rslora = false, dora = false, targets, seed} = options;
  const check = (name: string, value: unknown, expected: string, holds: boolean) => {
    if (!holds) throw new Error(`${OP}: ${name} must be ${expected}, but is ${describe(value)}`);
  };
  check('rank', rank, 'a positive integer', Number.isInteger(rank) && rank > 0);
  check('alpha', alpha, 'a positive number', Number.isFinite(alpha) && alpha > 0);
  check('dropout', dropout, 'at least 0 and below 1', dropout >= 0 && dropout < 1);
  checkBoolean(OP, 'rslora', rslora);
  checkBoolean(OP, 'dora', dora);
  if (targets !== undefined) {
    const isList = Array.isArray(targets) && targets.length > 0 && targets.every((name) => typeof name === 'string');
    const expected = 'a list of names, one at least, or left out for the usual ones';
    if (!isList) throw new Error(`${OP}: targets must be ${expected}, but is ${JSON.stringify(targets)}`);
  }
  if (seed !== undefined) check('seed', seed, 'a whole number', Number.isSafeInteger(seed));
  return {rank, alpha, dropout, rslora, dora, targets, seed};
}

/** What a correction is multiplied by. */
export function scaleOf({rslora}: Pick<AdapterSettings, 'rslora'>, rank: number, alpha: number): number {
  return alpha / (rslora ? Math.sqrt(rank) : rank);
}
