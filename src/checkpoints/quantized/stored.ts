/**
 * Q8_0 in safetensors, which has no such type: a tensor `x.weight` [rows, width] is stored as `x.weight.q8_0`, U8 [rows, width / 32 · 34], the
 * blocks of each row one after the other, byte for byte as GGUF has them. The name says what the bytes are, so that no reader takes them
 * for anything else; `config.json` says it once more.
 */
import type {StoredTensor} from '../tensors';
import {Q8_0_BYTES, Q8_0_VALUES} from './q8_0';

/** What is appended to the name of a weight. */
export const SUFFIX = '.q8_0';

/** `quantization_config` of `config.json`. */
export const quantizationConfig = {
  quant_method: 'q8_0',
  block_size: Q8_0_VALUES,
  stored_as: `U8 tensors named *${SUFFIX}`,
};

/** The shape of the bytes of a weight. */
export function bytesShape(shape: readonly number[]): number[] {
  return [...shape.slice(0, -1), (shape[shape.length - 1] / Q8_0_VALUES) * Q8_0_BYTES];
}

/** Tensors under the names of their weights, those of bytes as what they stand for. */
export function withQuantized(tensors: ReadonlyMap<string, StoredTensor>): Map<string, StoredTensor> {
  const renamed = new Map<string, StoredTensor>();
  for (const [stored, tensor] of tensors) {
    const isQuantized = stored.endsWith(SUFFIX);
    const name = isQuantized ? stored.slice(0, -SUFFIX.length) : stored;
    if (renamed.has(name) || (isQuantized && tensors.has(name))) {
      throw new Error(`${tensor.file} has ${name} twice, as floats and as ${stored}`);
    }
    renamed.set(name, isQuantized ? quantized(name, tensor) : tensor);
  }
  return renamed;
}

function quantized(name: string, tensor: StoredTensor): StoredTensor {
  const {shape, dtype, file} = tensor;
  const bytes = shape[shape.length - 1] ?? 0;
  if (dtype !== 'U8' || bytes % Q8_0_BYTES !== 0) {
    throw new Error(
      `${file}: ${tensor.name} must be U8 with rows of blocks of ${Q8_0_BYTES} bytes, but is ${dtype} [${shape}]`,
    );
  }
  return {
    name,
    file,
    position: tensor.position,
    pieces: () => tensor.pieces(),
    dtype: 'Q8_0',
    shape: [...shape.slice(0, -1), (bytes / Q8_0_BYTES) * Q8_0_VALUES],
  };
}
