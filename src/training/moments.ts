/**
 * The moments that AdamW keeps of each variable, found by the variable's name.
 *
 * Moments that were loaded wait for their variable. It may have another name by then, because TensorFlow.js numbers the variables
 * of later models (`kernel_1`): without the numbers names agree, and where several do, the order decides.
 */
import * as tf from '@tensorflow/tfjs';
import {showShape} from '../ops/check';
import {withoutSuffix} from './noDecay';

/** A name and a tensor: TensorFlow.js's NamedTensor, which it does not export. */
export type NamedTensor = Parameters<tf.Optimizer['setWeights']>[0][number];

/** What is known of one variable. */
export interface Slot {
  name: string;
  firstMoment: tf.Tensor;
  secondMoment: tf.Tensor;
  /** The number of updates so far: fewer than the optimizer's if some steps had no gradient for the variable. */
  step: number;
}

export class Moments {
  private readonly known = new Map<string, Slot>();
  /** Loaded, and not asked for yet. */
  private waiting: Slot[] = [];

  /** The slot of a variable, or undefined before its first update. */
  find({name, shape}: tf.Variable): Slot | undefined {
    const known = this.known.get(name);
    if (known !== undefined || this.waiting.length === 0) {
      return known;
    }
    const slot =
      this.waiting.find((slot) => slot.name === name) ??
      this.waiting.find((slot) => withoutSuffix(slot.name) === withoutSuffix(name));
    if (slot === undefined) {
      return undefined;
    }
    if (!tf.util.arraysEqual(slot.firstMoment.shape, shape)) {
      throw new Error(
        `adamW: the moments of ${slot.name} have shape ${showShape(slot.firstMoment.shape)}, ` +
          `but the variable ${name} has ${showShape(shape)}`,
      );
    }
    this.waiting.splice(this.waiting.indexOf(slot), 1);
    slot.name = name;
    this.known.set(name, slot);
    return slot;
  }

  /** Lets the moments of a variable go. */
  drop(variable: tf.Variable): void {
    const slot = this.find(variable);
    if (slot) tf.dispose([slot.firstMoment, slot.secondMoment]);
    this.known.delete(variable.name);
  }

  /** Keeps the moments of a variable, which has had `step` updates now, and drops those before. */
  update({name}: {name: string}, firstMoment: tf.Tensor, secondMoment: tf.Tensor, step: number): void {
    const before = this.known.get(name);
    if (before !== undefined) {
      tf.dispose([before.firstMoment, before.secondMoment]);
    }
    this.known.set(name, {name, firstMoment: tf.keep(firstMoment), secondMoment: tf.keep(secondMoment), step});
  }

  private get slots(): Slot[] {
    return [...this.known.values(), ...this.waiting];
  }

  get steps(): number[] {
    return this.slots.map(({step}) => step);
  }

  /** First all `<variable>/m`, then all `<variable>/v`: the tensors themselves, not copies. */
  tensors(): NamedTensor[] {
    return [
      ...this.slots.map(({name, firstMoment}) => ({name: `${name}/m`, tensor: firstMoment})),
      ...this.slots.map(({name, secondMoment}) => ({name: `${name}/v`, tensor: secondMoment})),
    ];
  }

  /** Takes copies of what `steps` and `tensors` gave, in place of what there was. */
  restore(steps: readonly number[], tensors: readonly NamedTensor[]): void {
    const count = steps.length;
    const names = tensors.slice(0, count).map(({name}) => name.replace(/\/m$/, ''));
    const expected = [...names.map((name) => `${name}/m`), ...names.map((name) => `${name}/v`)];
    if (tensors.length !== 2 * count || tensors.some(({name}, i) => name !== expected[i])) {
      throw new Error(
        'adamW: setWeights takes what getWeights of an adamW gave: iter, steps, all moments m, all moments v',
      );
    }
    const copies = tf.tidy(() => tensors.map(({tensor}) => tensor.clone()));
    copies.forEach((copy) => tf.keep(copy));
    const waiting = names.map((name, i) => ({
      name,
      step: steps[i],
      firstMoment: copies[i],
      secondMoment: copies[count + i],
    }));
    this.dispose();
    this.waiting = waiting;
  }

  dispose(): void {
    tf.dispose(this.slots.flatMap(({firstMoment, secondMoment}) => [firstMoment, secondMoment]));
    this.known.clear();
    this.waiting = [];
  }
}
