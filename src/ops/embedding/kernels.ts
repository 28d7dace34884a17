/** The two kernels of the embedding: inputs in order, attributes. */
import {defineKernel} from '../kernel';

export type EmbeddingInput = 'weight' | 'ids';
export type EmbeddingGradInput = 'ids' | 'dy';

export interface EmbeddingAttrs {
  /** Rows of the table; an id outside [0, rows) has a row of zeros and no gradient. */
  rows: number;
}

/** [...ids.shape, D]; weight [V,D], ids int32. */
export const runEmbedding = defineKernel<EmbeddingInput, EmbeddingAttrs>({
  kernelName: 'Embedding',
  order: ['weight', 'ids'],
});

/** The gradient of the table [V,D]. */
export const runEmbeddingGrad = defineKernel<EmbeddingGradInput, EmbeddingAttrs>({
  kernelName: 'EmbeddingGrad',
  order: ['ids', 'dy'],
});
