/**
 * The state of AdamW of many small variables in few flat tensors, for a backend on which a dispatch costs more than the arithmetic: a step
 * then takes a dispatch for those that decay and one for those that do not, and one for each seven variables to gather the gradients
 * and to hand the weights out again. Beside the moments there is a copy of the weights, so that they need not be gathered in each step.
 */
import * as tf from '@tensorflow/tfjs';
import {adamWUpdate, isFasterFlat, packFlat, unpackFlat} from '../ops/adamW';
import type {AdamWUpdateArgs} from '../ops/adamW';
import type {Slot} from './moments';

/** Elements of all variables together, up to which they are small: 16 MB. */
const SMALL = 2 ** 22;
/** Fewer variables are not worth it. */
const MANY = 8;

/** What all variables of a step have in common. */
export type FlatStep = Pick<AdamWUpdateArgs, 'gradScale' | 'learningRate' | 'beta1' | 'beta2' | 'epsilon' | 'step'>;

/** The variables of one decay. */
interface Part {
  decay: number;
  /** Their places among all variables. */
  places: number[];
  param: tf.Tensor;
  firstMoment: tf.Tensor;
  secondMoment: tf.Tensor;
  /** The data of the variables as this has left them: who writes a variable gives it other data. */
  left: object[];
}

/** Whether the state of these variables is to be flat. */
export function areMany(variables: readonly tf.Variable[]): boolean {
  return isFasterFlat() && variables.length >= MANY && variables.reduce((sum, {size}) => sum + size, 0) <= SMALL;
}

export class FlatMoments {
  private readonly parts: Part[];
  private readonly members: ReadonlySet<tf.Variable>;
  /** Gradients that have been packed before they are applied. */
  private packed?: {grads: readonly tf.Tensor[]; flat: tf.Tensor[]};

  /**
   * @param decays Of each variable.
   * @param slots What there is of each variable's state; zeros where there is nothing.
   * @param step Updates so far.
   */
  constructor(
    private readonly variables: readonly tf.Variable[],
    decays: readonly number[],
    slots: ReadonlyArray<Slot | undefined>,
    private step: number,
  ) {
    this.members = new Set(variables);
    const moment = (places: number[], name: 'firstMoment' | 'secondMoment') =>
      packFlat(places.map((i) => slots[i]?.[name] ?? tf.zerosLike(variables[i])));
    const groups = [...new Set(decays)].map((decay) => {
      const places = [...variables.keys()].filter((i) => decays[i] === decay);
      return {decay, places, left: []};
    });
    // Kept together in the end, so that nothing is left behind if one of them throws.
    const tensors = tf.tidy(() =>
      groups.map(({places}) => ({
        param: tf.tensor1d([]),
        firstMoment: moment(places, 'firstMoment'),
        secondMoment: moment(places, 'secondMoment'),
      })),
    );
    this.parts = groups.map((group, i) => ({...group, ...tensors[i]}));
    this.tensors().forEach((tensor) => tf.keep(tensor));
  }

  /** Whether it is that of just these variables. */
  isOf(variables: readonly tf.Variable[]): boolean {
    return variables.length === this.variables.length && variables.every((one, i) => one === this.variables[i]);
  }

  /** The updates that a variable of it has had. */
  stepOf(variable: tf.Variable): number | undefined {
    return this.members.has(variable) ? this.step : undefined;
  }

  /** The gradients of all variables, flat as `update` will need them within the same tidy. */
  pack(grads: readonly tf.Tensor[]): tf.Tensor[] {
    const flat = this.parts.map(({places}) => packFlat(places.map((i) => grads[i])));
    this.packed = {grads, flat};
    return flat;
  }

  /** One step of all variables, to be called in a tidy. */
  update(grads: readonly tf.Tensor[], constants: FlatStep): void {
    const {parts, packed} = this;
    this.packed = undefined;
    for (const part of parts) {
      const own = this.own(part);
      if (!own.every(({dataId}, i) => dataId === part.left[i])) replace(part, {param: packFlat(own)});
    }
    const {params, firstMoments, secondMoments} = adamWUpdate({
      ...constants,
      params: parts.map(({param}) => param),
      grads: grads.every((grad, i) => grad === packed?.grads[i]) ? packed!.flat : this.pack(grads),
      firstMoments: parts.map(({firstMoment}) => firstMoment),
      secondMoments: parts.map(({secondMoment}) => secondMoment),
      weightDecay: parts.map(({decay}) => decay),
    });
    // All that can throw comes first: a part is never a step ahead of its variables.
    const values = parts.map((part, p) => unpackFlat(params[p], shapesOf(this.own(part))));
    parts.forEach((part, p) => {
      replace(part, {param: params[p], firstMoment: firstMoments[p], secondMoment: secondMoments[p]});
      const own = this.own(part);
      own.forEach((variable, i) => variable.assign(values[p][i]));
      part.left = own.map(({dataId}) => dataId);
    });
    this.step = constants.step;
  }

  /** The state of each variable by itself, in their order; the caller disposes it. */
  slots(): Slot[] {
    const result: Slot[] = [];
    for (const part of this.parts) {
      const own = this.own(part);
      const [firstMoments, secondMoments] = [part.firstMoment, part.secondMoment].map((moment) =>
        unpackFlat(moment, shapesOf(own)),
      );
      part.places.forEach((place, i) => {
        const {name} = this.variables[place];
        result[place] = {name, firstMoment: firstMoments[i], secondMoment: secondMoments[i], step: this.step};
      });
    }
    return result;
  }

  dispose(): void {
    tf.dispose(this.tensors());
  }

  private tensors(): tf.Tensor[] {
    return this.parts.flatMap(({param, firstMoment, secondMoment}) => [param, firstMoment, secondMoment]);
  }

  private own({places}: Part): tf.Variable[] {
    return places.map((i) => this.variables[i]);
  }
}

const shapesOf = (tensors: readonly tf.Tensor[]) => tensors.map(({shape}) => shape);

/** Keeps tensors in the place of others. */
function replace(part: Part, tensors: Partial<Pick<Part, 'param' | 'firstMoment' | 'secondMoment'>>): void {
  for (const [name, tensor] of Object.entries(tensors) as Array<['param', tf.Tensor]>) {
    part[name].dispose();
    part[name] = tf.keep(tensor);
  }
}
