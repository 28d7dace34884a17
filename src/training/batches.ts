/** Takes batches from a dataset's iterator, whatever it does: what it has given is freed if it then throws. */
import * as tf from '@tensorflow/tfjs';
import type {Batch, BatchDataset, BatchIterator, Json} from './data';

/** Starts at the beginning, or at the position that a checkpoint holds. */
export async function openIterator(dataset: BatchDataset, position: Json | undefined): Promise<BatchIterator> {
  try {
    return await dataset.iterator(position);
  } catch (error) {
    if (position === undefined) throw error;
    const {message} = error as Error;
    throw new Error(`trainer: training.json of the checkpoint: data does not fit the dataset: ${message}`, {
      cause: error,
    });
  }
}

/** Up to `count` batches: fewer at the end of the data. */
export async function take(iterator: BatchIterator, count: number): Promise<Batch[]> {
  const batches: Batch[] = [];
  try {
    while (batches.length < count) {
      const item: unknown = await iterator.next();
      const {done, value} = (item ?? {}) as Partial<IteratorResult<Batch>>;
      if (done) break;
      batches.push(value as Batch);
      checkBatch(value);
    }
    return batches;
  } catch (error) {
    disposeBatches(batches);
    throw error;
  }
}

/** Frees whatever tensors there are in them. */
export function disposeBatches(batches: readonly Batch[]): void {
  tf.dispose(batches as unknown as tf.TensorContainer);
}

function checkBatch(batch: unknown): void {
  const {xs, ys, sequenceIds} = (batch ?? {}) as Partial<Batch>;
  const areTensors = (part: Batch['xs'] | undefined) => {
    const tensors = [part].flat();
    return tensors.length > 0 && tensors.every((tensor) => tensor instanceof tf.Tensor && !tensor.isDisposed);
  };
  if (!areTensors(xs) || !areTensors(ys) || (sequenceIds !== undefined && !areTensors(sequenceIds))) {
    throw new Error(
      'trainer: the dataset must give batches {xs, ys}, each a tensor in use or a list of them, and sequenceIds if there are any, but gave something else',
    );
  }
}
