/** How far the layers of this package, and an adapter, have come in drawing what dropout drops: a checkpoint has it, or what follows would differ. */
import type * as tf from '@tensorflow/tfjs';
import type {Draws, DrawsState} from '../mixers/draws';
import {MixerLayer} from '../layers/mixerLayer';

/** By the names of the layers; the adapter's is empty. */
export type StoredDraws = Record<string, DrawsState>;

const ADAPTER = '';

/** Undefined where nothing has been drawn. */
export function storedDraws(model: tf.LayersModel): StoredDraws | undefined {
  const drawn = [...drawsOf(model)].filter(([, {state}]) => state[1] > 0);
  return drawn.length > 0 ? Object.fromEntries(drawn.map(([name, {state}]) => [name, state])) : undefined;
}

/** Goes on from there; what is not in it goes on from where it is. */
export function restoreDraws(model: tf.LayersModel, stored: StoredDraws = {}): void {
  for (const [name, draws] of drawsOf(model)) {
    if (Object.hasOwn(stored, name)) draws.state = stored[name];
  }
}

/** Those of layers in layers too, of both directions of a `bidirectional`. */
function drawingLayers(layers: readonly tf.layers.Layer[]): Array<{name: string; draws: Draws}> {
  return layers.flatMap((layer) => {
    if (layer instanceof MixerLayer) return [layer as {name: string; draws: Draws}];
    const {layers: inner, layer: wrapped, forwardLayer, backwardLayer} = layer as Wrapper;
    return drawingLayers(inner ?? [wrapped, forwardLayer, backwardLayer].filter((one) => one !== undefined));
  });
}

/** What models and TensorFlow.js's wrappers have inside. */
type Wrapper = Partial<
  Record<'layer' | 'forwardLayer' | 'backwardLayer', tf.layers.Layer> & Record<'layers', tf.layers.Layer[]>
>;

function drawsOf(model: tf.LayersModel & {adapter?: {readonly draws: Draws}}): Map<string, Draws> {
  const layers = drawingLayers(model.layers).map(({name, draws}) => [name, draws] as const);
  return new Map(model.adapter ? [[ADAPTER, model.adapter.draws], ...layers] : layers);
}
