/**
 * Random weights by the native library, bit for bit those of ./draw.ts: drawn on all threads straight into TensorFlow's memory, where they
 * would else be drawn into JavaScript's and be copied. Importing this brings it in, wherever the library is loaded.
 */
import * as tf from '@tensorflow/tfjs';
import {nativeBackend, runNativeOp} from './backends/tensorflow';
import type {DrawTensor} from './draw';
import {offerNativeDraw, stateOf} from './draw';
import {normalTable} from './normal';

const natively: DrawTensor = (shape, [first, high], seed) => {
  const backend = nativeBackend();
  if (backend === undefined) return undefined;
  const inputs = [
    tf.tensor1d(Int32Array.from(stateOf(seed)), 'int32'),
    tf.tensor1d(high === undefined ? normalTable(first) : [first, (high - first) * 2 ** -23]),
    tf.tensor1d(shape, 'int32'),
  ];
  const [drawn] = runNativeOp(backend, 'TfjsMambaDraw', inputs, {}, 1);
  tf.dispose(inputs);
  return drawn as tf.Tensor; // tfjs-node gives tensors
};

offerNativeDraw(natively);
