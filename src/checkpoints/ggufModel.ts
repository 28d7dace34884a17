/**
 * Mamba in GGUF, as llama.cpp's converter writes it (`convert_hf_to_gguf.py`, architecture "mamba"): its metadata as a configuration, its
 * tensors under the names of Hugging Face's files, and undone what it did to them. A = -exp(A_log) is stored in place of A_log, and the
 * convolution without its axis of one.
 */
import type {MambaConfig, ResolvedMambaConfig} from '../config/config';
import {resolveConfig} from '../config/config';
import {embedding, head} from '../config/weightTable';
import type {ByteFile} from './bytes';
import {decodeFloats} from './floats';
import type {GgufFile, GgufValue} from './gguf';
import {openGguf} from './gguf';
import {quote, shown} from './quote';
import type {StoredTensor} from './tensors';

const ARCHITECTURE = 'mamba';

/** Fields of a configuration and what the metadata calls them. */
const names = {
  dModel: 'embedding_length',
  nLayer: 'block_count',
  dConv: 'ssm.conv_kernel',
  dInner: 'ssm.inner_size',
  dState: 'ssm.state_size',
  dtRank: 'ssm.time_step_rank',
  epsilon: 'attention.layer_norm_rms_epsilon',
} as const;

/** Of a block, what GGUF calls its tensors and files of Hugging Face's layout do. */
const blockNames: Record<string, string> = {
  'attn_norm.weight': 'norm.weight',
  'ssm_in.weight': 'mixer.in_proj.weight',
  'ssm_conv1d.weight': 'mixer.conv1d.weight',
  'ssm_conv1d.bias': 'mixer.conv1d.bias',
  'ssm_x.weight': 'mixer.x_proj.weight',
  'ssm_dt.weight': 'mixer.dt_proj.weight',
  'ssm_dt.bias': 'mixer.dt_proj.bias',
  ssm_a: 'mixer.A_log',
  ssm_d: 'mixer.D',
  'ssm_out.weight': 'mixer.out_proj.weight',
};

/** A model as a GGUF file has it. */
export interface GgufModel {
  config: ResolvedMambaConfig;
  /** By the names of Hugging Face's layout. */
  tensors: Map<string, StoredTensor>;
}

/** @throws Error naming the file, and the key or the tensor at fault. */
export async function openGgufModel(file: ByteFile): Promise<GgufModel> {
  const {metadata, tensors} = await openGguf(file);
  const renamed = new Map([...tensors].map(([name, tensor]) => renamedTensor(name, tensor)));
  return {config: configOf(file.name, metadata, renamed), tensors: renamed};
}

function configOf(
  file: string,
  metadata: GgufFile['metadata'],
  tensors: ReadonlyMap<string, StoredTensor>,
): ResolvedMambaConfig {
  const architecture = metadata.get('general.architecture');
  if (architecture !== ARCHITECTURE) {
    throw new Error(`${file}: general.architecture ${shown(architecture)} is not supported, only "${ARCHITECTURE}" is`);
  }
  const number = (key: string, given: GgufValue): number => {
    if (typeof given === 'number') return given;
    throw new Error(`${file}: ${key} must be a number, but is ${given === undefined ? 'not there' : shown(given)}`);
  };
  const sizes = Object.entries(names).map(([ours, theirs]) => {
    const key = `${ARCHITECTURE}.${theirs}`;
    return [ours, number(key, metadata.get(key))] as const;
  });
  const table = tensors.get(embedding);
  if (!table) throw new Error(`${file} lacks the tensor token_embd.weight`);
  const {epsilon, ...rest} = Object.fromEntries(sizes) as Record<keyof typeof names, number>;
  const token = (name: string) => {
    const id = metadata.get(`tokenizer.ggml.${name}_token_id`);
    return id === undefined ? undefined : number(`tokenizer.ggml.${name}_token_id`, id);
  };
  const eos = token('eos');
  const config: MambaConfig = {
    ...rest,
    epsilon,
    vocabSize: table.shape[0],
    // llama.cpp's norms of the step size, B and C, of FalconMamba, have the ε of the others.
    ...(metadata.get(`${ARCHITECTURE}.ssm.dt_b_c_rms`) === true && {mixerEpsilon: epsilon}),
    convBias: tensors.has('backbone.layers.0.mixer.conv1d.bias'),
    tieEmbeddings: !tensors.has(head),
    eosTokenIds: eos === undefined ? [] : [eos],
    bosTokenId: token('bos'),
    padTokenId: token('padding'),
  };
  try {
    return resolveConfig(config);
  } catch (error) {
    throw new Error(`${file}: ${(error as Error).message}`, {cause: error});
  }
}

function renamedTensor(stored: string, tensor: StoredTensor): [string, StoredTensor] {
  const ends: Record<string, string> = {
    'token_embd.weight': embedding,
    'output_norm.weight': 'backbone.norm_f.weight',
    'output.weight': head,
  };
  const [, block, own] = /^blk\.(\d+)\.(.+)$/.exec(stored) ?? [];
  const inBlock = own !== undefined && Object.hasOwn(blockNames, own) ? blockNames[own] : undefined;
  const name = Object.hasOwn(ends, stored) ? ends[stored] : inBlock && `backbone.layers.${block}.${inBlock}`;
  if (name === undefined)
    throw new Error(`${tensor.file} has the tensor ${quote(stored)}, which a Mamba has no place for`);
  if (own === 'ssm_a') return [name, withoutExponential(tensor)];
  const {shape} = tensor;
  if (own === 'ssm_conv1d.weight' && shape.length === 2) return [name, {...tensor, shape: [shape[0], 1, shape[1]]}];
  return [name, tensor];
}

/** A_log of A. */
function withoutExponential(tensor: StoredTensor): StoredTensor {
  const {name, file, dtype} = tensor;
  if (dtype !== 'F32') throw new Error(`${file}: ${name} must be F32, but is ${dtype}`);
  return {
    ...tensor,
    async *pieces() {
      for await (const piece of tensor.pieces()) {
        const values = new Float32Array(piece.length / 4);
        decodeFloats('F32', piece, values, 0);
        for (let i = 0; i < values.length; i++) {
          if (!(values[i] < 0)) throw new Error(`${file}: ${name} must be negative, but has ${values[i]}`);
          values[i] = Math.log(-values[i]);
        }
        yield new Uint8Array(values.buffer);
      }
    },
  };
}
