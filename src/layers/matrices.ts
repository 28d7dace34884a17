/**
 * The matrices of a layer in whatever form they have now. They start dense, each in a variable of the layer; who gives one another form
 * (an adapter, few bits) tells it here, and the layer hands on what it is told.
 */
import * as tf from '@tensorflow/tfjs';
import {asInitializer} from '../mixers/initializers';
import type {Weight} from '../mixers/weight';
import {dense} from '../mixers/weight';

/** Reads a matrix in its form, for training or not. */
export type ReadForm = (training: boolean) => Weight;

/**
 * Makes what a matrix of that shape starts as in place of a variable of floats, if it is to; a table is looked up, of a kernel [in, out] the
 * outputs are to be rows.
 */
export type MakeForm = (
  layer: tf.layers.Layer,
  name: string,
  shape: readonly number[],
  isTable: boolean,
) => ReadForm | undefined;

export class Matrices {
  /** How often a matrix of any layer was given another form: who has copied or held some knows by it when to look again. */
  static changes = 0;
  /** Asked for each matrix when the layer is built. */
  make: MakeForm = () => undefined;
  private readonly forms = new Map<string, ReadForm>();

  /** The matrix of that name; dense, in its variable, unless it was given a form. */
  read(name: string, variable: tf.LayerVariable | undefined, training: boolean): Weight {
    return this.forms.get(name)?.(training) ?? dense(variable!.read());
  }

  /** Starts a matrix of a layer that is being built; false if it is to be a variable of floats. */
  start(...[layer, name, ...rest]: Parameters<MakeForm>): boolean {
    this.setForm(name, this.make(layer, name, ...rest));
    return this.forms.has(name);
  }

  /** Whether all of them are dense. */
  get areDense(): boolean {
    return this.forms.size === 0;
  }

  /** The form that the matrix was given, if any. */
  form(name: string): ReadForm | undefined {
    return this.forms.get(name);
  }

  /** Gives the matrix a form; without one it is dense again. */
  setForm(name: string, form: ReadForm | undefined): void {
    Matrices.changes++;
    if (form) this.forms.set(name, form);
    else this.forms.delete(name);
  }
}

/** A layer with matrices that can be given another form. */
export interface LayerOfMatrices extends tf.layers.Layer {
  readonly matrices: Matrices;
}

const zeros = tf.initializers.zeros();

/** What TensorFlow.js keeps of a layer's weights, and offers nobody to take one away from. */
interface WeightLists {
  _trainableWeights: tf.LayerVariable[];
  _nonTrainableWeights: tf.LayerVariable[];
  _addedWeightNames: string[];
  addWeight(
    name: string,
    shape: tf.Shape,
    dtype: tf.DataType,
    initializer: unknown,
    regularizer: undefined,
    trainable: boolean,
  ): tf.LayerVariable;
}

/** Gives a layer one more weight, `layer/name`, of this value, which is disposed. */
export function addWeightTo(
  layer: tf.layers.Layer,
  name: string,
  value: tf.Tensor,
  trainable: boolean,
): tf.LayerVariable {
  const {fastWeightInitDuringBuild} = layer as unknown as {fastWeightInitDuringBuild: boolean};
  layer.setFastWeightInitDuringBuild(false); // or it would start as zeros
  const start = asInitializer(() => value);
  const full = `${layer.name}/${name}`;
  const weight = listsOf(layer).addWeight(full, value.shape, value.dtype, start, undefined, trainable);
  layer.setFastWeightInitDuringBuild(fastWeightInitDuringBuild);
  return weight;
}

/** Gives a layer that is being built one more weight, of zeros, that does not train. */
export function addWeightInBuild(
  layer: tf.layers.Layer,
  name: string,
  shape: number[],
  dtype: 'float32' | 'int32',
): tf.LayerVariable {
  return listsOf(layer).addWeight(name, shape, dtype, zeros, undefined, false);
}

/** Takes a weight out of a layer, and leaves it as it is. */
export function takeWeightFrom(layer: tf.layers.Layer, weight: tf.LayerVariable): void {
  const lists = listsOf(layer);
  const without = <T>(list: T[], item: T) => list.filter((other) => other !== item);
  lists._trainableWeights = without(lists._trainableWeights, weight);
  lists._nonTrainableWeights = without(lists._nonTrainableWeights, weight);
  lists._addedWeightNames = without(lists._addedWeightNames, weight.originalName);
}

/** Puts back a trainable weight that was taken. */
export function putWeightBack(layer: tf.layers.Layer, weight: tf.LayerVariable): void {
  const lists = listsOf(layer);
  lists._trainableWeights.push(weight);
  lists._addedWeightNames.push(weight.originalName);
}

function listsOf(layer: tf.layers.Layer): WeightLists {
  return layer as unknown as WeightLists;
}
