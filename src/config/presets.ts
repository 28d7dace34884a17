/** The published sizes. */
import type {MambaConfig} from './config';

/** With the GPT-NeoX tokenizer's 50,277 tokens, padded to a multiple of eight or sixteen. */
const published = (dModel: number, nLayer: number, rest: Partial<MambaConfig> = {}): MambaConfig => ({
  vocabSize: 50277,
  padVocabMultiple: 8,
  eosTokenIds: [0],
  dModel,
  nLayer,
  ...rest,
});

const mamba2 = {mixer: 'mamba2', padVocabMultiple: 16};

/** Mamba (arXiv 2312.00752, table 12) and Mamba-2 (arXiv 2405.21060, table 9). */
export const presets = {
  'mamba-130m': published(768, 24),
  'mamba-370m': published(1024, 48),
  'mamba-790m': published(1536, 48),
  'mamba-1.4b': published(2048, 48),
  'mamba-2.8b': published(2560, 64),
  'mamba2-130m': published(768, 24, mamba2),
  'mamba2-370m': published(1024, 48, mamba2),
  'mamba2-780m': published(1536, 48, mamba2),
  'mamba2-1.3b': published(2048, 48, mamba2),
  'mamba2-2.7b': published(2560, 64, mamba2),
} satisfies Record<string, MambaConfig>;

/** The name of a published size. */
export type PresetName = keyof typeof presets;
