/** GGUF files in memory, well formed or not; the layout is that of ggml's `docs/gguf.md`, written a second time. */

export interface GgufTensor {
  name: string;
  /** Outermost first, as in PyTorch. */
  shape: number[];
  /** Number of the `ggml_type`. */
  type: number;
  bytes: Uint8Array;
  /** Where it is said to lie, if not where it does. */
  offset?: number;
}

export interface GgufContents {
  version?: number;
  tensorCount?: bigint;
  metadata: Record<string, string | number | string[] | undefined>;
  tensors: GgufTensor[];
}

class Writer {
  private readonly parts: Uint8Array[] = [];
  length = 0;

  add(part: Uint8Array): void {
    this.parts.push(part);
    this.length += part.length;
  }
  uint32(value: number): void {
    this.add(new Uint8Array(Uint32Array.of(value).buffer));
  }
  uint64(value: number | bigint): void {
    this.add(new Uint8Array(BigUint64Array.of(BigInt(value)).buffer));
  }
  text(value: string): void {
    const bytes = new TextEncoder().encode(value);
    this.uint64(bytes.length);
    this.add(bytes);
  }
  pad(): void {
    this.add(new Uint8Array((32 - (this.length % 32)) % 32));
  }
  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}

export function ggufBytes({version = 3, tensorCount, metadata, tensors}: GgufContents): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  writer.add(new TextEncoder().encode('GGUF'));
  writer.uint32(version);
  writer.uint64(tensorCount ?? tensors.length);
  const entries = Object.entries(metadata).filter(([, value]) => value !== undefined);
  writer.uint64(entries.length);
  for (const [key, value] of entries) {
    writer.text(key);
    if (typeof value === 'string') {
      writer.uint32(8);
      writer.text(value);
    } else if (Array.isArray(value)) {
      for (const number of [9, 8]) writer.uint32(number);
      writer.uint64(value.length);
      value.forEach((item) => writer.text(item));
    } else if (Number.isInteger(value)) {
      writer.uint32(4);
      writer.uint32(value!);
    } else {
      writer.uint32(6);
      writer.add(new Uint8Array(Float32Array.of(value!).buffer));
    }
  }
  let offset = 0;
  for (const tensor of tensors) {
    writer.text(tensor.name);
    writer.uint32(tensor.shape.length);
    for (const size of [...tensor.shape].reverse()) writer.uint64(size);
    writer.uint32(tensor.type);
    writer.uint64(tensor.offset ?? offset);
    offset += Math.ceil(tensor.bytes.length / 32) * 32;
  }
  writer.pad();
  tensors.forEach(({bytes}, i) => {
    writer.add(bytes);
    if (i < tensors.length - 1) writer.pad();
  });
  return writer.bytes();
}

/** One layer, 4 wide. */
export const metadataOfTiny: GgufContents['metadata'] = {
  'general.architecture': 'mamba',
  'mamba.embedding_length': 4,
  'mamba.block_count': 1,
  'mamba.ssm.conv_kernel': 3,
  'mamba.ssm.inner_size': 8,
  'mamba.ssm.state_size': 2,
  'mamba.ssm.time_step_rank': 1,
  'mamba.attention.layer_norm_rms_epsilon': 1.5e-5,
  'tokenizer.ggml.tokens': ['a', 'b', 'c', 'd', 'e'],
  'tokenizer.ggml.eos_token_id': 4,
};

export function tensorsOfTiny(): GgufTensor[] {
  const shapes: Record<string, number[]> = {
    'token_embd.weight': [5, 4],
    'blk.0.attn_norm.weight': [4],
    'blk.0.ssm_in.weight': [16, 4],
    'blk.0.ssm_conv1d.weight': [8, 3],
    'blk.0.ssm_conv1d.bias': [8],
    'blk.0.ssm_x.weight': [5, 8],
    'blk.0.ssm_dt.weight': [8, 1],
    'blk.0.ssm_dt.bias': [8],
    'blk.0.ssm_a': [8, 2],
    'blk.0.ssm_d': [8],
    'blk.0.ssm_out.weight': [4, 8],
    'output_norm.weight': [4],
  };
  return Object.entries(shapes).map(([name, shape]) => {
    const count = shape.reduce((a, b) => a * b, 1);
    const values = new Float32Array(count).fill(name.endsWith('ssm_a') ? -0.5 : 0.25);
    return {name, shape, type: 0, bytes: new Uint8Array(values.buffer)};
  });
}
