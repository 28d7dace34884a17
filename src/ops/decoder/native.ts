/** Opens a decoder of the native library: an op takes the weights and the states, and the addon is called for each token. */
import * as tf from '@tensorflow/tfjs';
import type {NativeDecoders, NodeBackend, OpAttrs} from '../../backends/tensorflow';
import {bitsOf, chainAttrs, nativeDecoders, runNativeOp} from '../../backends/tensorflow';
import type {ChainBlock} from '../chain';
import {chainInputs} from '../chain';
import type {TopLogits} from '../topLogits';
import type {EndInput, ModelEnds, TokenDecoder} from './index';
import {endInputs} from './index';

/** What is opened: the op of the library, the order of a block's inputs, and what all blocks have in common. */
interface Opening<Name extends string> {
  op: 'TfjsMambaStepDecoder' | 'TfjsMambaMamba2StepDecoder';
  order: readonly Name[];
  attrs: OpAttrs;
  ends: ModelEnds;
  blocks: ReadonlyArray<ChainBlock<Name>>;
  /** Of each block, in the order in which its inputs begin with them. */
  states: ReadonlyArray<Record<string, tf.Tensor>>;
}

/** Undefined where the current backend has no decoders. */
export function openNativeDecoder<Name extends string>(opening: Opening<Name>): TokenDecoder | undefined {
  const decoders = nativeDecoders();
  return decoders && new NativeDecoder(decoders, opening);
}

const none = new Float32Array(0);

class NativeDecoder implements TokenDecoder {
  private readonly number: number;
  private readonly rows: number;
  private readonly vocabSize: number;
  private readonly weights: ReadonlyArray<{tensor: tf.Tensor; dataId: object}>;
  private readonly shapes: Array<Array<[name: string, shape: number[]]>>;
  private logits = none;
  private top = none;

  constructor(
    private readonly decoders: NativeDecoders,
    {op, order, attrs, ends, blocks, states}: Opening<string>,
  ) {
    const chain = chainInputs(order, blocks);
    const {floats, words, attrs: of} = chainInputs<EndInput>(endInputs, [ends]);
    const {ints} = chainAttrs(chain.floats.length + chain.words.length, order, chain.attrs);
    const all = {
      ...attrs,
      ints: {
        ...attrs.ints,
        ...ints,
        NI: ints.NI + floats.length,
        NW: ints.NW + words.length,
        ends_present: bitsOf(endInputs, of.present),
        ends_packed: bitsOf(endInputs, of.packed),
      },
      floats: {...attrs.floats, final_epsilon: ends.epsilon},
    };
    const inputs = [...floats, ...chain.floats, ...words, ...chain.words];
    const backend = tf.backend() as tf.KernelBackend & NodeBackend;
    const [handle] = runNativeOp(backend, op, inputs, all, 1);
    [this.number] = backend.readSync(handle.dataId) as Float32Array;
    backend.disposeData(handle.dataId);
    const carried = new Set(states.flatMap((parts) => Object.values(parts)));
    this.weights = inputs.filter((tensor) => !carried.has(tensor)).map((tensor) => ({tensor, dataId: tensor.dataId}));
    this.shapes = states.map((parts) => Object.entries(parts).map(([name, part]) => [name, part.shape]));
    this.rows = Object.values(states[0])[0].shape[0];
    this.vocabSize = (ends.words.table ?? ends.floats.table)!.shape[0];
  }

  get isCurrent(): boolean {
    return this.weights.every(({tensor, dataId}) => tensor.dataId === dataId && !tensor.isDisposed);
  }

  nextTop(ids: readonly number[], most: number, vocabSize: number): TopLogits[] {
    const count = Math.min(most, vocabSize);
    const width = 1 + 2 * count;
    if (this.top.length !== this.rows * width) this.top = new Float32Array(this.rows * width);
    this.decoders.nextTokens(this.number, Int32Array.from(ids), none, count, vocabSize, this.top);
    return Array.from({length: this.rows}, (_, row) => {
      const [logSumExp, ...rest] = this.top.subarray(row * width, (row + 1) * width);
      const found = Int32Array.from(rest.slice(0, count)).filter((id) => id >= 0);
      return {logSumExp, ids: found, logits: Float32Array.from(rest.slice(count, count + found.length))};
    });
  }

  nextLogits(ids: readonly number[]): Float32Array {
    if (this.logits.length === 0) this.logits = new Float32Array(this.rows * this.vocabSize);
    this.decoders.nextTokens(this.number, Int32Array.from(ids), this.logits, 0, this.vocabSize, none);
    return this.logits;
  }

  states(): Array<Record<string, tf.Tensor>> {
    const sizes = this.shapes.flat().map(([, shape]) => tf.util.sizeFromShape(shape));
    const values = new Float32Array(sizes.reduce((sum, size) => sum + size, 0));
    this.decoders.decoderState(this.number, values);
    let at = 0;
    return this.shapes.map((parts) =>
      Object.fromEntries(
        parts.map(([name, shape]) => {
          const from = at;
          at += tf.util.sizeFromShape(shape);
          return [name, tf.tensor(values.slice(from, at), shape)];
        }),
      ),
    );
  }

  close(): void {
    this.decoders.closeDecoder(this.number);
  }
}
