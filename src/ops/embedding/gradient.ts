/** The gradient of the embedding, for every backend. Ids are integers and have none. */
import {defineGradient} from '../kernel';
import type {EmbeddingAttrs, EmbeddingInput} from './kernels';
import {runEmbeddingGrad} from './kernels';

defineGradient<EmbeddingInput, EmbeddingAttrs>('Embedding', [false], ([dy], {ids}, _outputs, {rows}) =>
  runEmbeddingGrad({ids, dy}, {rows}),
);
