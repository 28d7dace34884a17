/** The states of a mixer, from the shapes it states: made, named and checked the same way for all. */
import * as tf from '@tensorflow/tfjs';
import type {AnyMixer, State} from './mixer';

/** The names of the parts, in their order. */
export function stateNames(mixer: AnyMixer): string[] {
  return Object.keys(mixer.states);
}

/** The shape of each part; null where it is not known, or grows. */
export function stateShapes(
  mixer: AnyMixer,
  config: object,
  batch: number | null,
): Array<[name: string, shape: Array<number | null>]> {
  const shapes = mixer.states as Record<string, (config: object) => ReadonlyArray<number | null>>;
  return Object.entries(shapes).map(([name, shapeOf]) => [name, [batch, ...shapeOf(config)]]);
}

/** The state before the first position. */
export function zeroState(mixer: AnyMixer, config: object, batch: number): State {
  const zeros = stateShapes(mixer, config, batch).map(([name, shape]) => {
    return [name, tf.zeros(shape.map((size) => size ?? 0))] as const;
  });
  return Object.fromEntries(zeros);
}
