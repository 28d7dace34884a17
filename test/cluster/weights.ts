/** The weights of a file of safetensors that holds float32 alone, read without the library. */
import {readFileSync} from 'node:fs';

export function openSafetensors(path: string): {bytes: Buffer; weights: Map<string, Float32Array>} {
  const bytes = readFileSync(path);
  const start = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, start)) as Record<string, {data_offsets: [number, number]}>;
  const weights = new Map<string, Float32Array>();
  for (const [name, {data_offsets: offsets}] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [begin, end] = offsets.map((offset) => start + offset);
    weights.set(name, new Float32Array(bytes.buffer.slice(bytes.byteOffset + begin, bytes.byteOffset + end)));
  }
  return {bytes, weights};
}
