/**
 * One weight of a mixer, with all that anybody asks of it: the layer makes it, files name and lay it out, the optimizer decays it or
 * not, memory and parameters are counted by it. Each mixer lists its weights once, as a table of these.
 */
import * as tf from '@tensorflow/tfjs';
import type {DivisibleStart, Start} from './initializers';
import {seedFor} from './initializers';

/**
 * How a published file lays the weight out: as it is here; [out, in], as PyTorch's linear layers are, where here it is [in, out],
 * which a row-major product reads in order; or [D, 1, K], as PyTorch's depthwise convolutions are, where here it is [D, K].
 */
export type Layout = 'same' | 'transposed' | 'depthwise';

/** One weight of a mixer, with all that layers, files, optimizers and counts ask of it. */
export interface WeightSpec<Name extends string = string> {
  /** Its name in the layer, such as `inProj/kernel`. */
  readonly name: Name;
  readonly shape: readonly number[];
  /** Its first value; the layer's seed fixes it. */
  initialize(seed?: number): tf.Tensor;
  /** Likewise, divided, where it can be drawn so; else it is divided afterwards. */
  initializeDivided?(seed: number | undefined, divisor: number): tf.Tensor;
  /** Its name in published files, below that of the mixer: `in_proj.weight`. */
  readonly published: string;
  readonly layout: Layout;
  /** Whether AdamW's decay pulls at it (paper, section 3.6: not at biases, norms, A and D). */
  readonly decays: boolean;
  /** Whether it is read by products alone, so that it may have another form than dense. */
  readonly isMatrix: boolean;
  /** Whether its product is added to the residual stream, so that in a deep model it starts smaller. */
  readonly endsBlock: boolean;
  /** Of a matrix, whether options of the mixer say how it starts. */
  readonly hasOwnStart?: boolean;
}

function spec<Name extends string>(
  name: Name,
  shape: readonly number[],
  start: Start,
  rest: Omit<WeightSpec<Name>, 'name' | 'shape' | 'initialize'>,
): WeightSpec<Name> {
  return {name, shape, initialize: (seed) => start(shape, seedFor(seed, name)), ...rest};
}

/** The kernel of a linear map [in, out]. */
export function matrix<Name extends string>(
  name: Name,
  published: string,
  shape: readonly [number, number],
  start: Start,
  {hasOwnStart = false} = {},
): WeightSpec<Name> {
  return spec(name, shape, start, {
    published,
    layout: 'transposed',
    decays: true,
    isMatrix: true,
    endsBlock: false,
    hasOwnStart,
  });
}

/** The kernel of the linear map whose product is added to the residual stream. */
export function lastMatrix<Name extends string>(
  name: Name,
  published: string,
  shape: readonly [number, number],
  start: DivisibleStart,
): WeightSpec<Name> {
  return {
    ...matrix(name, published, shape, start),
    initializeDivided: (seed, divisor) => start(shape, seedFor(seed, name), divisor),
    endsBlock: true,
  };
}

/** The taps of a depthwise convolution [D, K]. */
export function taps<Name extends string>(
  name: Name,
  published: string,
  shape: readonly [number, number],
  start: Start,
): WeightSpec<Name> {
  return spec(name, shape, start, {published, layout: 'depthwise', decays: true, isMatrix: false, endsBlock: false});
}

/** A bias, a norm's weight, a coefficient of the recurrence: what is not to decay. */
export function coefficient<Name extends string>(
  name: Name,
  published: string,
  shape: readonly number[],
  start: Start,
): WeightSpec<Name> {
  return spec(name, shape, start, {published, layout: 'same', decays: false, isMatrix: false, endsBlock: false});
}

/**
 * Makes first values for a stack of blocks: each adds to the residual stream, so it starts smaller the more there are (GPT-2's rule, as
 * the paper's code has it).
 */
export function inDepth(nLayer: number) {
  const divisor = Math.sqrt(nLayer);
  return (spec: WeightSpec, seed?: number): tf.Tensor => {
    if (!spec.endsBlock) return spec.initialize(seed);
    return spec.initializeDivided?.(seed, divisor) ?? tf.tidy(() => spec.initialize(seed).div(divisor));
  };
}
