/** The states of all layers of a model for one row, laid out one after the other in one tensor, which can be sent. */
import * as tf from '@tensorflow/tfjs';
import type {Relay} from '../layers/sequenceCall';
import type {AnyMixer} from '../mixers/mixer';
import {stateShapes} from '../mixers/states';

interface Part {
  layer: string;
  name: string;
  shape: number[];
  size: number;
}

export class StateLine {
  private readonly parts: Part[];
  /** How many numbers there are. */
  readonly size: number;

  constructor(layers: ReadonlyArray<{name: string; mixer: AnyMixer; mixerConfig: object}>) {
    this.parts = layers.flatMap(({name: layer, mixer, mixerConfig}) =>
      stateShapes(mixer, mixerConfig, 1).map(([name, sizes]) => {
        const shape = sizes as number[];
        return {layer, name, shape, size: tf.util.sizeFromShape(shape)};
      }),
    );
    this.size = this.parts.reduce((sum, {size}) => sum + size, 0);
  }

  /** Whether the states of a mixer have a size that can be told beforehand. */
  static fits(mixer: AnyMixer, config: object): boolean {
    return stateShapes(mixer, config, 1).every(([, shape]) => !shape.includes(null));
  }

  /** What lets a model begin with the states in a tensor [size], and gives those that it ends with. Differentiable; in a tidy. */
  relay(initial: tf.Tensor): {relay: Relay; packed: () => tf.Tensor} {
    const {parts} = this;
    const given = tf.split(
      initial,
      parts.map(({size}) => size),
    );
    const ends = new Map<string, tf.Tensor>();
    const key = (layer: string, name: string) => `${layer}/${name}`;
    const relay: Relay = {
      before: (layer) => {
        const own = [...parts.entries()].filter(([, part]) => part.layer === layer);
        return Object.fromEntries(own.map(([i, {name, shape}]) => [name, given[i].reshape(shape)]));
      },
      after: (layer, state) => {
        // A copy of its own, as the layer's tidy ends before it is used.
        for (const [name, part] of Object.entries(state)) ends.set(key(layer, name), tf.keep(part.clone()));
      },
    };
    const packed = () => {
      const found = parts.map(({layer, name}) => ends.get(key(layer, name))!);
      const flat = tf.concat(found.map((part) => part.flatten()));
      tf.dispose(found);
      return flat;
    };
    return {relay, packed};
  }
}
