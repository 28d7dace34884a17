/** Checks of layer options: each error names the layer, the option, what was expected and what was given. */
import type * as tf from '@tensorflow/tfjs';
import {show} from '../mixers/fields';
import {didYouMean} from '../ops/suggest';

/** What every tfjs layer takes: `name`, `trainable`, `inputShape`, …; tfjs does not export the type. */
export type LayerArgs = NonNullable<ConstructorParameters<typeof tf.layers.Layer>[0]>;

/** What every tfjs layer takes. */
const layerOptions = [
  'name',
  'trainable',
  'inputShape',
  'batchInputShape',
  'batchSize',
  'dtype',
  'inputDType',
  'weights',
  'updatable',
  'customObjects', // what tfjs's deserialization adds
];

/** What to say of options that a layer does not have. */
export interface OptionHints {
  /** Why there is no option of that name, and what to do. */
  notes?: Readonly<Record<string, string>>;
  /** What other libraries call options, and the name here. */
  elsewhere?: Readonly<Record<string, string>>;
}

/** Checks that no option is misspelled, and that the layer is float32 as its kernels are. */
export function checkOptions(
  layer: string,
  args: object | undefined,
  own: readonly string[],
  {notes = {}, elsewhere = {}}: OptionHints = {},
): void {
  if (typeof args !== 'object') {
    throw new Error(`${layer}: the options are an object with ${own.join(', ')}, but ${show(args)} was given`);
  }
  for (const key of Object.keys(args)) {
    if (!own.includes(key) && !layerOptions.includes(key)) {
      const hint = Object.hasOwn(notes, key)
        ? `; ${notes[key]}`
        : didYouMean(key, [...own, ...layerOptions], elsewhere);
      throw new Error(`${layer}: unknown option ${key}; expected ${own.join(', ')} or an option of every layer${hint}`);
    }
  }
  const {dtype} = args as {dtype?: string};
  if (dtype !== undefined && dtype !== null && dtype !== 'float32') {
    throw new Error(`${layer}: dtype must be float32, but is ${dtype}`);
  }
}

export function checkPositiveInteger(layer: string, name: string, value: unknown): void {
  if (!Number.isInteger(value) || (value as number) < 1) {
    throw new Error(`${layer}: ${name} must be a positive integer, but is ${show(value)}`);
  }
}

export function checkPositiveNumber(layer: string, name: string, value: unknown): void {
  if (typeof value !== 'number' || !Number.isFinite(value) || value <= 0) {
    throw new Error(`${layer}: ${name} must be a positive number, but is ${show(value)}`);
  }
}

export function checkFlag(layer: string, name: string, value: unknown): void {
  if (typeof value !== 'boolean') {
    throw new Error(`${layer}: ${name} must be true or false, but is ${show(value)}`);
  }
}

export function checkWord(layer: string, name: string, value: unknown, words: readonly string[]): void {
  if (!words.includes(value as string)) {
    throw new Error(`${layer}: ${name} must be one of '${words.join("', '")}', but is ${show(value)}`);
  }
}
