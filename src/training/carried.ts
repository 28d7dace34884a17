/**
 * The states that the layers of this package carry from one batch to the next while the trainer is at it (truncated back-propagation
 * through time): values without a gradient, so that a step's memory is that of its own segment.
 */
import * as tf from '@tensorflow/tfjs';
import {MixerLayer} from '../layers/mixerLayer';
import type {AnyMixer} from '../mixers/mixer';
import type {NamedTensor} from './moments';

type AnyLayer = MixerLayer<object, Record<string, tf.Tensor>, object> & {readonly mixer: AnyMixer};

/** The layers of a model, those of models inside it too, that carry states and can be run once more. */
export function sequenceLayers(model: tf.LayersModel): AnyLayer[] {
  return model.layers.flatMap((layer) => {
    if (layer instanceof tf.LayersModel) return sequenceLayers(layer);
    return layer instanceof MixerLayer ? [layer as AnyLayer] : [];
  });
}

/** Forgets what the layers carry. */
export function resetCarried(model: tf.LayersModel): void {
  for (const layer of sequenceLayers(model)) layer.resetStates();
}

/** What they carry, by names; the tensors are theirs. */
export function carriedStates(model: tf.LayersModel): NamedTensor[] {
  return sequenceLayers(model).flatMap(({name, carried}) =>
    Object.entries(carried ?? {}).map(([part, tensor]) => ({name: `${name}/${part}`, tensor})),
  );
}

/** Lets them carry copies of these; layers of which there is nothing begin anew. */
export function restoreCarried(model: tf.LayersModel, states: readonly NamedTensor[]): void {
  for (const layer of sequenceLayers(model)) {
    const own = states.filter(({name}) => name.startsWith(`${layer.name}/`));
    if (own.length === 0) layer.resetStates();
    else layer.carry(Object.fromEntries(own.map(({name, tensor}) => [name.slice(layer.name.length + 1), tensor])));
  }
}
