/**
 * An adapter on a model: corrections beside some of its matrices, which alone are trained. It hangs the corrections on the layers, whose
 * matrices then have another form, freezes everything else, and can be merged into the weights and taken out again. What was there before
 * is kept while it is merged, so that it comes back bit for bit.
 */
import * as tf from '@tensorflow/tfjs';
import {countParameters} from '../config/weightTable';
import type {ReadForm} from '../layers/matrices';
import {addWeightTo, putWeightBack, takeWeightFrom} from '../layers/matrices';
import type {MambaLM} from '../lm/model';
import {Draws} from '../mixers/draws';
import {mergedValue, useCorrectedWeights} from '../mixers/lora';
import type {BaseWeight, LoraWeight} from '../mixers/weight';
import {dense} from '../mixers/weight';
import type {AdapterInfo, AdapterSettings} from './options';
import {scaleOf} from './options';
import type {Target} from './targets';

/** The values that a correction starts with; the adapter disposes them. */
export interface Correction {
  target: Target;
  rank: number;
  alpha: number;
  /** [rows, rank] */
  down: tf.Tensor;
  /** [rank, columns] */
  up: tf.Tensor;
  /** [columns], of DoRA. */
  magnitude?: tf.Tensor;
}

/** A correction in its place. */
export interface Part extends Pick<Correction, 'target' | 'rank' | 'alpha'> {
  variables: {down: tf.LayerVariable; up: tf.LayerVariable; magnitude?: tf.LayerVariable};
  read: ReadForm;
  /** The form before. */
  base: ReadForm | undefined;
}

export class Adapter {
  readonly parts: Part[];
  /** What its dropout drops next. */
  readonly draws: Draws;
  /** What is to be undone: of each merged part, in order. */
  private undo: Array<() => void> | undefined;
  private readonly thaw: () => void;

  constructor(
    readonly model: MambaLM,
    readonly settings: AdapterSettings,
    corrections: readonly Correction[],
    seed?: number,
  ) {
    useCorrectedWeights();
    this.draws = new Draws(seed);
    this.thaw = freeze(model);
    this.parts = corrections.map((correction) => this.place(correction));
    model.adapter = this;
  }

  get isMerged(): boolean {
    return this.undo !== undefined;
  }

  get info(): AdapterInfo {
    const trainedParameters = this.variables.reduce(
      (sum, {shape}) => sum + tf.util.sizeFromShape(shape as number[]),
      0,
    );
    const totalParameters = countParameters(this.model.config) + trainedParameters;
    return {
      targets: this.parts.map(({target}) => target.path),
      trainedParameters,
      totalParameters,
      trainedShare: trainedParameters / totalParameters,
    };
  }

  private get variables(): tf.LayerVariable[] {
    return this.parts.flatMap(variablesOf);
  }

  private place({target, rank, alpha, down, up, magnitude}: Correction): Part {
    const {layer, name} = target;
    const {dropout} = this.settings;
    const add = (what: string, value: tf.Tensor) => addWeightTo(layer, `${name}/lora${what}`, value, true);
    const variables = {
      down: add('Down', down),
      up: add('Up', up),
      ...(magnitude && {magnitude: add('Magnitude', magnitude)}),
    };
    const base = layer.matrices.form(name);
    const own = denseVariable(target);
    const scale = scaleOf(this.settings, rank, alpha);
    const read = (training: boolean): LoraWeight => ({
      form: 'lora',
      base: base ? (base(false) as BaseWeight) : dense(own!.read()),
      down: variables.down.read() as tf.Tensor2D,
      up: variables.up.read() as tf.Tensor2D,
      scale,
      ...(variables.magnitude && {magnitude: variables.magnitude.read() as tf.Tensor1D}),
      ...(training && dropout > 0 ? {dropout, seed: this.draws.next()} : {dropout: 0}),
    });
    layer.matrices.setForm(name, read);
    return {target, rank, alpha, variables, read, base};
  }

  /** Puts the corrected weights in the place of the weights. */
  merge(): void {
    this.undo ??= this.parts.map((part) => {
      const {target, read, base} = part;
      const {layer, name, isTable} = target;
      const merged = mergedValue(read(false) as LoraWeight, isTable);
      const own = denseVariable(target);
      const before = own && tf.keep(own.read().clone());
      if (own) {
        own.write(merged);
        merged.dispose();
      }
      layer.matrices.setForm(name, own ? undefined : () => dense(merged));
      if (!own) tf.keep(merged);
      variablesOf(part).forEach((variable) => takeWeightFrom(layer, variable));
      return () => {
        if (own) own.write(before!);
        tf.dispose(before ?? merged);
        layer.matrices.setForm(name, base);
      };
    });
  }

  /** Puts back the weights that `merge` has replaced. */
  unmerge(): void {
    this.undo?.forEach((undo, i) => {
      undo();
      const {target, read} = this.parts[i];
      target.layer.matrices.setForm(target.name, read);
      variablesOf(this.parts[i]).forEach((variable) => putWeightBack(target.layer, variable));
    });
    this.undo = undefined;
  }

  /** Leaves the model as it was before. */
  remove(): void {
    this.unmerge();
    for (const part of this.parts) {
      const {target, base} = part;
      target.layer.matrices.setForm(target.name, base);
      for (const variable of variablesOf(part)) {
        takeWeightFrom(target.layer, variable);
        variable.dispose();
      }
    }
    this.thaw();
    this.model.adapter = undefined;
  }

  /** Goes with the model. */
  dispose(): void {
    this.remove();
  }
}

function variablesOf({variables: {down, up, magnitude}}: Part): tf.LayerVariable[] {
  return [down, up, ...(magnitude ? [magnitude] : [])];
}

/** The variable of the matrix; undefined if it is packed. */
export function denseVariable({layer, name}: Target): tf.LayerVariable | undefined {
  return layer.weights.find(({originalName}) => originalName === `${layer.name}/${name}`);
}

/** Makes every weight untrainable; the result makes trainable again what was. */
function freeze(model: MambaLM): () => void {
  const layers = model.layers.map((layer) => ({
    layer,
    trainable: layer.trainable,
    weights: layer.weights.map((weight) => ({weight, trainable: weight.trainable})),
  }));
  for (const {layer} of layers) {
    layer.trainable = true; // or its corrections would be frozen too
    for (const weight of layer.weights) weight.trainable = false;
  }
  return () => {
    for (const {layer, trainable, weights} of layers) {
      layer.trainable = trainable;
      for (const {weight, trainable} of weights) weight.trainable = trainable;
    }
  };
}
