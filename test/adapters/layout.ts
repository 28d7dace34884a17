/**
 * PEFT's layout, read a second time and by other code: names, shapes and numbers are checked against what `peft/tuners/lora` and
 * safetensors say, and against nothing in src.
 */

export interface LayoutTensor {
  name: string;
  shape: number[];
  values: number[];
}

export interface Layout {
  config: Record<string, unknown>;
  tensors: LayoutTensor[];
}

type Header = Record<string, {dtype: string; shape: number[]; data_offsets: [number, number]}>;

const module = String.raw`^base_model\.model\.(backbone\.layers\.\d+\.mixer\.\w+|backbone\.embeddings|lm_head)`;
const names = new RegExp(
  `${module}\\.(lora_[AB]\\.weight|lora_embedding_[AB]|lora_magnitude_vector|base_layer\\.weight)$`,
);

/** @param read Gives a file of the adapter's folder. */
export async function readLayout(read: (file: string) => Promise<Uint8Array>): Promise<Layout> {
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const config = JSON.parse(text(await read('adapter_config.json'))) as Record<string, unknown>;
  const bytes = await read('adapter_model.safetensors');
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const start = 8 + Number(view.getBigUint64(0, true));
  const header = JSON.parse(text(bytes.subarray(8, start))) as Header;
  const tensors = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(
      ([
        name,
        {
          dtype,
          shape,
          data_offsets: [from, to],
        },
      ]) => {
        if (dtype !== 'F32' || !names.test(name)) throw new Error(`${name} of ${dtype} is nothing that PEFT writes`);
        const rank = config['r'] as number;
        const rankAxis = /lora_(embedding_)?A/.test(name) ? 0 : 1;
        if (/lora_(embedding_)?[AB]/.test(name) && shape[rankAxis] !== rank)
          throw new Error(`${name} is of shape ${shape}`);
        const count = (to - from) / 4;
        const values = Array.from({length: count}, (_, i) => view.getFloat32(start + from + 4 * i, true));
        return {name, shape, values};
      },
    );
  return {config, tensors};
}
