/**
 * Makes a class known to `tf.loadLayersModel`, and its instances known to every copy of this package: a program that has it both as ES
 * module and as CommonJS has each class twice, and an instance of one is to be an `instanceof` the other.
 */
import * as tf from '@tensorflow/tfjs';

/** Registers a class; its `className` is what copies of the package tell it by. */
export function registerClass<T extends tf.serialization.Serializable>(
  cls: tf.serialization.SerializableConstructor<T> & {prototype: T},
): void {
  tf.serialization.registerClass(cls);
  recogniseCopies(cls, cls.className);
}

/** Tells the instances of a class, those of another copy of it too, by a name; for a base class, which cannot be registered. */
export function recogniseCopies(cls: {prototype: object}, name: string): void {
  const brand = Symbol.for(`tfjs-mamba.${name}`);
  Object.defineProperty(cls.prototype, brand, {value: true});
  Object.defineProperty(cls, Symbol.hasInstance, {
    // A subclass inherits this, and has no brand of its own.
    value(this: unknown, value: unknown): boolean {
      if (this !== cls) return Function.prototype[Symbol.hasInstance].call(this as never, value);
      return typeof value === 'object' && value !== null && brand in value;
    },
  });
}
