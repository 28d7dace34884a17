/**
 * The inputs of the kernels that take one token through all blocks of a model: those of each block, one block after the other, and the
 * words of packed matrices after them, as a kernel's list may have to be of one type. All blocks are alike.
 */
import type * as tf from '@tensorflow/tfjs';
import type {Named} from './kernel';

/** A block's inputs by name. A packed matrix is its words, and has its scales, if there are any, in the place of its floats. */
export interface ChainBlock<Name extends string> {
  floats: Named<Name, tf.Tensor>;
  words?: Named<Name, tf.Tensor>;
}

/** The attributes by which a kernel knows what it was handed. */
export interface ChainAttrs {
  /** The names of the inputs that each block has. */
  present: string[];
  /** Those that are packed matrices, whose words come after all blocks' inputs. */
  packed: string[];
}

/** The inputs of blocks, each of which must have those that the first has. */
export function chainInputs<Name extends string>(
  order: readonly Name[],
  blocks: ReadonlyArray<ChainBlock<Name>>,
): {floats: tf.Tensor[]; words: tf.Tensor[]; attrs: ChainAttrs} {
  const present = order.filter((name) => blocks[0].floats[name] !== undefined);
  const packed = order.filter((name) => blocks[0].words?.[name] !== undefined);
  return {
    floats: blocks.flatMap(({floats}) => present.map((name) => floats[name]!)),
    words: blocks.flatMap(({words}) => packed.map((name) => words![name]!)),
    attrs: {present, packed},
  };
}
