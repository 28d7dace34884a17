/**
 * Every weight of a language model, from the tables of its mixers: under its name here and its published one, with what turns one
 * layout into the other. Counts of parameters and of memory follow from it.
 */
import {mixerOf} from '../mixers';
import {residualBlock} from '../mixers/block';
import type {Layout} from '../mixers/weightSpec';
import type {ResolvedMambaConfig} from './config';

export interface WeightEntry {
  /** Name in the model: `layers.0/mixer/inProj/kernel`. */
  ours: string;
  /** Name in a file of Hugging Face's layout: `backbone.layers.0.mixer.in_proj.weight`. */
  published: string;
  /** Shape in memory. */
  shape: readonly number[];
  layout: Layout;
}

/** Name of the embedding in the original files, where Hugging Face says `backbone.embeddings.weight`. */
export const stateSpacesEmbedding = 'backbone.embedding.weight';
export const embedding = 'backbone.embeddings.weight';
export const head = 'lm_head.weight';

/** Shape in the file. */
export function publishedShape({shape, layout}: WeightEntry): readonly number[] {
  if (layout === 'depthwise') return [shape[0], 1, shape[1]];
  return layout === 'transposed' ? [...shape].reverse() : shape;
}

/**
 * Every weight of a model, each once; a tied head has none of its own. A generator, because a hostile configuration may ask
 * for more layers than memory has room to name.
 */
export function* weightTable(config: ResolvedMambaConfig): Generator<WeightEntry> {
  const {vocabSize, dModel, nLayer, tieEmbeddings} = config;
  yield {ours: 'embeddings/weight', published: embedding, shape: [vocabSize, dModel], layout: 'same'};
  const block = blockWeights(config);
  for (let i = 0; i < nLayer; i++) {
    for (const {name, published, shape, layout} of block) {
      yield {ours: `layers.${i}/${name}`, published: `backbone.layers.${i}.${published}`, shape, layout};
    }
  }
  yield {ours: 'normF/weight', published: 'backbone.norm_f.weight', shape: [dModel], layout: 'same'};
  if (!tieEmbeddings) {
    yield {ours: 'lmHead/kernel', published: head, shape: [dModel, vocabSize], layout: 'transposed'};
  }
}

/** Number of trained values of a model; a tied head counts once. */
export function countParameters(config: ResolvedMambaConfig): number {
  const {vocabSize, dModel, nLayer, tieEmbeddings} = config;
  const block = blockWeights(config).reduce((sum, {shape}) => sum + sizeOf(shape), 0);
  return vocabSize * dModel * (tieEmbeddings ? 1 : 2) + nLayer * block + dModel; // the last norm
}

/** Number of values of the largest weight. */
export function largestWeight(config: ResolvedMambaConfig): number {
  return Math.max(config.vocabSize * config.dModel, ...blockWeights(config).map(({shape}) => sizeOf(shape)));
}

function blockWeights(config: ResolvedMambaConfig) {
  return residualBlock(mixerOf(config)).weights(config);
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
