/** What a member of a cluster can do together with the others. */
import type * as tf from '@tensorflow/tfjs';

/** How {@link Cluster.allReduce} combines the ranks' values. */
export type Reduction = 'sum' | 'mean' | 'max' | 'min';

/**
 * A group of processes, each with its rank. All its calls but `send` and `receive` are collective: every rank makes the same calls in the same order, with
 * tensors of the same shape and dtype, float32 or int32. What a call takes is not disposed, what it gives is the caller's.
 *
 * Several calls may be under way: they are worked off in order, beside whatever the program computes meanwhile.
 *
 * A call rejects, naming the worker, if one has not answered for `timeoutSeconds`, or if all answer but not all have made the same call
 * within `patienceSeconds`. From then on every call rejects: start the processes anew, from the last checkpoint.
 */
export interface Cluster {
  /** Which of the processes this one is, from 0. */
  readonly rank: number;
  /** How many there are. */
  readonly size: number;
  /** The sum, or another reduction, of all ranks' tensors, element by element: the same bits on every rank. `mean` of float32 only. */
  allReduce<T extends tf.Tensor>(x: T, reduction?: Reduction): Promise<T>;
  /**
   * The sums over all ranks of several float32 tensors, each multiplied by `weight` first where it is given, as one message. They
   * have been packed when the call returns, and may be disposed: on the tensorflow backend it is the only copy that is made of them.
   */
  sumAll(tensors: readonly tf.Tensor[], weight?: tf.Scalar): Promise<tf.Tensor[]>;
  /** The tensor of rank `root`, 0 unless given; of that of the other ranks only shape and dtype count. */
  broadcast<T extends tf.Tensor>(x: T, root?: number): Promise<T>;
  /** All ranks' tensors, of rank 1 or more, one after the other along the first axis: [n, …] becomes [size · n, …]. */
  allGather<T extends tf.Tensor>(x: T): Promise<T>;
  /** Gives a tensor to one other rank, which must call `receive`; all others go on meanwhile. Resolves when it is there. */
  send(x: tf.Tensor, to: number): Promise<void>;
  /** The tensor that a rank sends to this one; calls are worked off in order for each such rank. float32 unless told. */
  receive<R extends tf.Rank>(shape: tf.ShapeMap[R], from: number, dtype?: 'float32' | 'int32'): Promise<tf.Tensor<R>>;
  /** Waits until every rank has come here. */
  barrier(): Promise<void>;
  /** A last barrier; no further calls can be made. */
  leave(): Promise<void>;
}
