/** Whether training fits a backend, told before any weight is made: wasm that runs out of memory in a step may never end. */
import {totalmem} from 'node:os';
import {wasmBytes} from '../lm/memory';
import {tellBytes, UsageError} from './io';

/**
 * @param total Parameters of the model.
 * @param trained Those of them that train, each with a gradient and two moments.
 * @throws UsageError with the sizes, if the backend's limit is known and below.
 */
export function checkTrains(backend: string, total: number, trained = total): void {
  const needed = 4 * (total + 3 * trained);
  const limit = backend === 'wasm' ? wasmBytes : totalmem();
  if (needed <= limit) return;
  const instead = backend === 'wasm' ? '--backend tensorflow or cpu holds more; ' : '';
  throw new UsageError(
    `training takes ${tellBytes(needed)} for weights, gradients and moments, and what a batch keeps, but the ${backend} backend holds ` +
      `${tellBytes(limit)} at most; ${instead}a smaller model, or an adapter of finetune, takes less`,
  );
}
