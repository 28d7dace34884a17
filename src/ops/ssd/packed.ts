/**
 * Packed documents, one after the other through the kernel: so each is computed as alone, bit for bit and whatever its neighbours hold,
 * on every backend and with no kernel of its own. What that costs is a launch a document, and that the sequences are copied once into
 * their documents and back; heads and channels of a document still run beside each other.
 */
import * as tf from '@tensorflow/tfjs';
import type {Document} from '../documents';
import {documentsOf} from '../documents';
import type {SsdAttrs, SsdInputs} from './kernels';
import {runSsd} from './kernels';

/** The documents of each row. */
type Rows = Document[][];

/** By the data of the ids: a model asks for the same in every layer, and WebGPU forgets values once it has them. */
const known = new WeakMap<object, Rows>();

/**
 * The documents that ids [B,L] tell apart. Their values are needed here, so on WebGPU ask before anything else has used the tensor; of
 * ids that were asked for once the answer stays.
 *
 * @throws Error if the backend cannot give the values at once.
 */
export function documentsIn(op: string, ids: tf.Tensor): Rows {
  const {dataId, shape} = ids as tf.Tensor & {dataId: object};
  const found = known.get(dataId);
  if (found !== undefined) return found;
  const [batch, length] = shape;
  const values = valuesOf(op, ids);
  const rows = Array.from({length: batch}, (_, b) => documentsOf({values}, b, length));
  known.set(dataId, rows);
  return rows;
}

function valuesOf(op: string, ids: tf.Tensor): ArrayLike<number> {
  try {
    return ids.dataSync();
  } catch (error) {
    const {message} = error as Error;
    throw new Error(
      `${op}: sequenceIds must be values that can be read at once, an array or a tensor fresh from one, ` +
        `but ${tf.getBackend()} says: ${message}`,
      {cause: error},
    );
  }
}

/** y [B,L,H,P] and finalState [B,H,P,N] of packed rows: those of the kernel, of each document. */
export function runPacked(inputs: SsdInputs, attrs: SsdAttrs, rows: Rows): tf.Tensor[] {
  const {u, delta, B, C, z, initialState, ...weights} = inputs;
  const [batch, length] = u.shape;
  const sizes = rows.flat().map(({begin, end}) => end - begin);
  const cut = (x: tf.Tensor) => pieces(x.reshape([1, batch * length, ...x.shape.slice(2)]), sizes, 1);
  const parts = {u: cut(u), delta: cut(delta), B: cut(B), C: cut(C), z: z && cut(z)};
  const states = initialState && pieces(initialState, Array<number>(batch).fill(1), 0);
  const ys: tf.Tensor[] = [];
  const finalStates: tf.Tensor[] = [];
  rows.forEach((documents, b) =>
    documents.forEach(({begin, end}) => {
      const i = ys.length;
      const own = {u: parts.u[i], delta: parts.delta[i], B: parts.B[i], C: parts.C[i], z: parts.z?.[i]};
      const [y, finalState] = runSsd({...weights, ...own, ...(begin === 0 && {initialState: states?.[b]})}, attrs);
      ys.push(y);
      if (end === length) finalStates.push(finalState);
    }),
  );
  return [tf.concat(ys, 1).reshape(u.shape), tf.concat(finalStates)];
}

/**
 * Split and not sliced, as the gradient of a split is one concatenation; that of a slice would be as long as the row. TensorFlow.js 4.22
 * has none for a split into a single piece.
 */
function pieces(x: tf.Tensor, sizes: number[], axis: number): tf.Tensor[] {
  return sizes.length === 1 ? [x] : tf.split(x, sizes, axis);
}
