/**
 * The weights of a model under the two names each has: ours, which the layers use, and the published one of Hugging Face's
 * and the state-spaces files, with what turns one layout into the other. PyTorch's linear layers keep [out, in], ours
 * [in, out], which a row-major product reads in order; the convolution loses PyTorch's middle axis of length one.
 */
import type {ResolvedMambaConfig} from '../lm/config';

export interface WeightName {
  ours: string;
  published: string;
  /** Shape in the file. */
  shape: readonly number[];
  /** 'transpose': ours is the matrix transposed. 'conv': [D, 1, K] in the file, [D, K] here. */
  transform: 'none' | 'transpose' | 'conv';
}

/** The shape that a weight has in memory. */
export function ourShape({shape, transform}: WeightName): number[] {
  const [rows, , width] = shape;
  if (transform === 'conv') return [rows, width];
  return transform === 'transpose' ? [...shape].reverse() : [...shape];
}

/** Name of the embedding in the original files, where Hugging Face says `backbone.embeddings.weight`. */
export const stateSpacesEmbedding = 'backbone.embedding.weight';
export const embedding = 'backbone.embeddings.weight';
export const head = 'lm_head.weight';

/**
 * Every weight of a model, each once; a tied head has none of its own. A generator, because a hostile configuration may ask
 * for more layers than memory has room to name.
 */
export function* weightNames(config: ResolvedMambaConfig): Generator<WeightName> {
  yield {ours: 'embeddings/weight', published: embedding, shape: [config.vocabSize, config.dModel], transform: 'none'};
  for (let i = 0; i < config.nLayer; i++) yield* layerNames(config, i);
  yield {ours: 'normF/weight', published: 'backbone.norm_f.weight', shape: [config.dModel], transform: 'none'};
  if (!config.tieEmbeddings) {
    yield {ours: 'lmHead/kernel', published: head, shape: [config.vocabSize, config.dModel], transform: 'transpose'};
  }
}

function* layerNames(config: ResolvedMambaConfig, layer: number): Generator<WeightName> {
  const {dModel, dInner, dState, dConv, dtRank, convBias, useBias} = config;
  const vector = (ours: string, published: string, length: number) => weight(ours, published, [length], 'none');
  const linear = (ours: string, published: string, from: number, to: number) =>
    weight(`mixer/${ours}/kernel`, `mixer.${published}.weight`, [to, from], 'transpose');
  const weight = (
    ours: string,
    published: string,
    shape: number[],
    transform: WeightName['transform'],
  ): WeightName => ({
    ours: `layers.${layer}/${ours}`,
    published: `backbone.layers.${layer}.${published}`,
    shape,
    transform,
  });

  yield vector('norm/weight', 'norm.weight', dModel);
  yield linear('inProj', 'in_proj', dModel, 2 * dInner);
  if (useBias) yield vector('mixer/inProj/bias', 'mixer.in_proj.bias', 2 * dInner);
  yield weight('mixer/conv/weight', 'mixer.conv1d.weight', [dInner, 1, dConv], 'conv');
  if (convBias) yield vector('mixer/conv/bias', 'mixer.conv1d.bias', dInner);
  yield linear('xProj', 'x_proj', dInner, dtRank + 2 * dState);
  yield linear('dtProj', 'dt_proj', dtRank, dInner);
  yield vector('mixer/dtProj/bias', 'mixer.dt_proj.bias', dInner);
  yield weight('mixer/ALog', 'mixer.A_log', [dInner, dState], 'none');
  yield vector('mixer/D', 'mixer.D', dInner);
  yield linear('outProj', 'out_proj', dInner, dModel);
  if (useBias) yield vector('mixer/outProj/bias', 'mixer.out_proj.bias', dModel);
}

/** A row-major matrix transposed, in tiles that fit the cache. Bits are moved, not numbers, so that any NaN survives. */
export function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const from = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const to = new Uint32Array(values.length);
  const tile = 32;
  for (let r0 = 0; r0 < rows; r0 += tile) {
    const r1 = Math.min(rows, r0 + tile);
    for (let c0 = 0; c0 < columns; c0 += tile) {
      const c1 = Math.min(columns, c0 + tile);
      for (let c = c0; c < c1; c++) {
        for (let r = r0; r < r1; r++) to[c * rows + r] = from[r * columns + c]!;
      }
    }
  }
  return new Float32Array(to.buffer);
}
