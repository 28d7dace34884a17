/**
 * The arithmetic of weights that are not dense. It comes from whoever makes such weights, so that a program without any goes without its
 * code.
 */
import type * as tf from '@tensorflow/tfjs';
import type {HalfWeight, LoraWeight, PackedWeight, WeightedArgs} from './weight';

/** What there is to do with a weight of a form. */
export interface FormArithmetic<W> {
  linear(args: WeightedArgs & {weight: W}): tf.Tensor;
  embedding(args: {ids: tf.Tensor; weight: W}): tf.Tensor;
  /** The one tensor that it stands for: a table, or a kernel [in, out]. */
  value(weight: W, isTable: boolean): tf.Tensor;
}

interface Forms {
  packed: PackedWeight;
  half: HalfWeight;
  lora: LoraWeight;
}

const known = new Map<string, FormArithmetic<never>>();

/** Makes a form known to products and look-ups. */
export function defineForm<Name extends keyof Forms>(form: Name, arithmetic: FormArithmetic<Forms[Name]>): void {
  known.set(form, arithmetic);
}

/** The arithmetic of a weight that is not dense. */
export function arithmeticOf<W extends Forms[keyof Forms]>({form}: W): FormArithmetic<W> {
  const arithmetic = known.get(form);
  if (arithmetic) return arithmetic;
  throw new Error(`a ${form} weight cannot be read, because nothing here has made one`);
}
