/**
 * The calls of one group of ranks, in their order. All ranks of the group make the same calls in the same order; calls of different groups do
 * not wait for each other.
 */
import type {CollectiveKind, Loader} from '../backends/nodeNative';
import {callKey} from './key';

/** What travels: values, or by its number a bundle of tensors. */
export type Values = Float32Array | Int32Array | number;

export class Channel {
  /** Settles when all calls so far have been handed over; while values are read, later calls must not overtake. */
  private handedOver?: Promise<unknown>;

  /** @param group TensorFlow's key of the group, which has `size` ranks. */
  constructor(
    private readonly loader: Loader,
    private readonly group: number,
    private readonly size: number,
  ) {}

  /** Hands a call over: at once where its values are there, so that it is under way whatever JavaScript does next. */
  call<T extends Values>(kind: CollectiveKind, label: string, shape: number[], values: T | Promise<T>): Promise<T> {
    const start = (data: T) => {
      const type = data instanceof Int32Array ? 'int32' : 'float32';
      const key = callKey(`${label} ${type} ${shape.join()}`);
      return this.loader.collective(kind, this.group, this.size, key, shape, data);
    };
    const before = this.handedOver;
    if (!before && !(values instanceof Promise)) return start(values);
    const handing = (async () => {
      await before;
      return {result: start(await values)};
    })();
    const settled = handing
      .catch(() => undefined)
      .then(() => {
        if (this.handedOver === settled) this.handedOver = undefined;
      });
    this.handedOver = settled;
    return handing.then(({result}) => result);
  }
}
