/**
 * Matrices of a model as 8-bit rows with a scale for each 32 values (GGUF's Q8_0) or as rows of bfloat16, from the start: the floats are never
 * all there. What 32 does not divide, or 2, stays in floats, and so does all that is no matrix.
 */
import * as tf from '@tensorflow/tfjs';
import {wordsAreExact} from '../backends/traits';
import {joinQ8, Q8_0_VALUES, splitQ8} from '../checkpoints/quantized/q8_0';
import type {MakeForm} from '../layers/matrices';
import {addWeightInBuild} from '../layers/matrices';
import {usePackedWeights} from '../mixers/packed';
import type {HalfWeight, PackedWeight} from '../mixers/weight';

/** The packed matrices of a model. */
export class Packing {
  private readonly matrices = new Map<string, PackedMatrix | HalfMatrix>();

  /** For the layers of the model, before they are built. */
  readonly make: MakeForm = (layer, name, shape, isTable) => {
    const [rows, width] = isTable ? shape : [shape[1], shape[0]];
    const matrix =
      this.bits === 8 ? this.integers(layer, name, [rows, width]) : this.halves(layer, name, [rows, width], isTable);
    if (matrix === undefined) return undefined;
    this.matrices.set(`${layer.name}/${name}`, matrix);
    return () => matrix.weight;
  };

  /** @param bits 8, or 16 of bfloat16. */
  constructor(readonly bits: 8 | 16) {
    usePackedWeights();
  }

  /** The matrix of that name, `layers.0/mixer/inProj/kernel`; undefined if it is in floats. */
  get(name: string): PackedMatrix | HalfMatrix | undefined {
    return this.matrices.get(name);
  }

  private integers(layer: tf.layers.Layer, name: string, shape: [number, number]): PackedMatrix | undefined {
    const [rows, width] = shape;
    if (!isPackable(shape)) return undefined;
    const perWord = wordsAreExact() ? 4 : 2;
    const words = addWeightInBuild(layer, `${name}/words`, [rows, width / perWord], 'int32');
    const scales = addWeightInBuild(layer, `${name}/scales`, [rows, width / Q8_0_VALUES], 'float32');
    return new PackedMatrix(shape, words, scales);
  }

  private halves(
    layer: tf.layers.Layer,
    name: string,
    shape: [number, number],
    isTable: boolean,
  ): HalfMatrix | undefined {
    const [rows, width] = shape;
    if (width % 2 !== 0) return undefined;
    return new HalfMatrix([rows, width], isTable, addWeightInBuild(layer, `${name}/words`, [rows, width / 2], 'int32'));
  }
}

/** A matrix of bfloat16. */
export class HalfMatrix {
  constructor(
    readonly shape: readonly [number, number],
    private readonly isTable: boolean,
    private readonly words: tf.LayerVariable,
  ) {}

  get weight(): HalfWeight {
    return {form: 'half', shape: this.shape, words: this.words.read()};
  }

  /** Takes floats in our layout, [in, out] but for a table; each becomes the nearest bfloat16, of two that are as near the even one. */
  write(values: Float32Array): void {
    const [rows, width] = this.shape;
    tf.tidy(() => {
      const own = this.isTable ? undefined : tf.tensor2d(values, [width, rows]).transpose().dataSync<'float32'>();
      const halves = Uint16Array.from(new Uint32Array((own ?? values).slice().buffer), (bits) =>
        (bits & 0x7fffffff) > 0x7f800000 ? (bits >>> 16) | 64 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16,
      );
      this.words.write(tf.tensor2d(new Int32Array(halves.buffer), [rows, width / 2], 'int32'));
    });
  }
}

/** A matrix of 8-bit integers. */
export class PackedMatrix {
  constructor(
    readonly shape: readonly [number, number],
    private readonly words: tf.LayerVariable,
    private readonly scales: tf.LayerVariable,
  ) {}

  get weight(): PackedWeight {
    return {form: 'packed', bits: 8, shape: this.shape, words: this.words.read(), scales: this.scales.read()};
  }

  /** Takes the blocks of a file. */
  write(blocks: Uint8Array): void {
    const {scales, integers} = splitQ8(blocks);
    tf.tidy(() => {
      const [rows, columns] = this.words.shape as [number, number];
      this.words.write(tf.tensor2d(toWords(integers, this.shape[1] / columns), [rows, columns], 'int32'));
      this.scales.write(tf.tensor(scales, this.scales.shape as number[]));
    });
  }

  /** Gives the blocks again, byte for byte. */
  async read(): Promise<Uint8Array> {
    const [words, scales] = await Promise.all([this.words.read().data(), this.scales.read().data()]);
    return joinQ8({
      scales: scales as Float32Array,
      integers: toIntegers(words as Int32Array, this.words.shape[1]!, this.shape[1]),
    });
  }
}

/** Whether rows of 32 values a group are what a matrix of that shape can be cut into. */
export function isPackable([, width]: readonly number[]): boolean {
  return width % Q8_0_VALUES === 0;
}

/** Integers side by side in words, the first in the lowest bits. */
function toWords(integers: Int8Array, perWord: number): Int32Array {
  if (perWord === 4) return new Int32Array(integers.buffer);
  return Int32Array.from(
    {length: integers.length / 2},
    (_, i) => (integers[2 * i] & 255) | ((integers[2 * i + 1] & 255) << 8),
  );
}

function toIntegers(words: Int32Array, columns: number, width: number): Int8Array {
  if (width / columns === 4) return new Int8Array(words.buffer, words.byteOffset, words.byteLength);
  return Int8Array.from({length: 2 * words.length}, (_, i) => words[i >> 1] >> (8 * (i & 1)));
}
