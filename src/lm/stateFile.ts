/**
 * A state as a file: safetensors, a tensor for each part of each block (`layers.0.conv`, `layers.0.ssm`, …), as any tool of that format
 * reads it. The metadata has the fingerprint of the model, and for a history its ids and how many of them the state has read.
 */
import {blobFile, bytesFile, pieceBytes, ReadAhead, type ByteFile} from '../checkpoints/bytes';
import {maxJsonBytes} from '../checkpoints/json';
import {openSafetensors} from '../checkpoints/safetensors';
import {safetensorsHeader} from '../checkpoints/safetensorsWriter';
import {readFloats} from '../checkpoints/tensors';
import {describe} from '../ops/check';
import type {Fingerprint} from './fingerprint';

/** A part of the state of a block. */
export interface StoredPart {
  name: string;
  shape: number[];
  values: Float32Array;
}

/** All of a file. */
export interface StoredState {
  fingerprint: Fingerprint;
  parts: StoredPart[];
  /** Of a history. */
  history?: {ids: readonly number[]; count: number};
}

const FORMAT = 'tfjs-mamba state';
const VERSION = '1';

/** Writes a state. */
export function encodeState({fingerprint, parts, history}: StoredState): Uint8Array<ArrayBuffer> {
  const header = safetensorsHeader(parts, 'F32', {
    ...{format: FORMAT, version: VERSION, ...fingerprint},
    ...(history && {ids: JSON.stringify(history.ids).slice(1, -1), read: String(history.count)}),
  });
  if (header.length > maxJsonBytes) {
    throw new Error(`saveState: ${history?.ids.length} ids are too many for a file; save the state alone`);
  }
  const bytes = new Uint8Array(header.length + parts.reduce((sum, {values}) => sum + values.byteLength, 0));
  bytes.set(header);
  let at = header.length;
  for (const {values} of parts) {
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), at);
    at += values.byteLength;
  }
  return bytes;
}

/**
 * Reads a state of that model: nothing of the values before all else has been found right.
 *
 * @param shapes The parts that the model's state has, in order; null where a size is open.
 * @throws Error naming the file and what is wrong with it.
 */
export async function decodeState(
  op: string,
  file: ByteFile,
  fingerprint: Fingerprint,
  shapes: ReadonlyArray<readonly [name: string, shape: ReadonlyArray<number | null>]>,
): Promise<StoredState> {
  const reader = new ReadAhead(file);
  reader.aheadBytes = pieceBytes;
  const {tensors, metadata} = await openSafetensors(reader);
  const fail = (what: string): never => {
    throw new Error(`${op}: ${file.name} ${what}`);
  };
  if (metadata.get('format') !== FORMAT) return fail('is no state that saveState wrote');
  const version = metadata.get('version');
  if (version !== VERSION) return fail(`has version ${version}, but this release reads ${VERSION}`);
  if (metadata.get('sizes') !== fingerprint.sizes) return fail('is the state of another model, of other sizes');
  if (metadata.get('weights') !== fingerprint.weights) {
    return fail(
      'is the state of another model: the sizes are the same, but the weights differ; was it trained further?',
    );
  }
  if (tensors.size !== shapes.length) return fail(`must have ${shapes.length} tensors, but has ${tensors.size}`);
  const batch = tensors.get(shapes[0][0])?.shape[0];
  const stored = shapes.map(([name, shape]) => {
    const tensor = tensors.get(name) ?? fail(`lacks the tensor ${name}`);
    const expected = shape.map((size, axis) => (axis === 0 ? batch : size));
    const fits = tensor.shape.length === shape.length && expected.every((n, i) => n === null || n === tensor.shape[i]);
    if (!fits) return fail(`has ${name} of shape [${tensor.shape}], where [${expected}] was expected`);
    if (tensor.dtype !== 'F32') return fail(`has ${name} as ${tensor.dtype}, where F32 was expected`);
    return tensor;
  });
  const history = readHistory(metadata, fail);
  if (history && batch !== 1) return fail(`has ${batch} rows, but a history has one`);
  const parts: StoredPart[] = [];
  for (const tensor of stored) {
    parts.push({name: tensor.name, shape: [...tensor.shape], values: await readFloats(tensor)});
  }
  return {fingerprint, parts, history};
}

function readHistory(metadata: Map<string, string>, fail: (what: string) => never): StoredState['history'] {
  const text = metadata.get('ids');
  if (text === undefined) return undefined;
  const ids = parseIds(text);
  const count = Number(metadata.get('read'));
  if (!ids.every((id) => Number.isSafeInteger(id) && id >= 0)) return fail('has ids that are no list of ids');
  if (!Number.isInteger(count) || count < 1 || count >= ids.length) {
    return fail(`has read ${metadata.get('read')}, where a number from 1 to below its ${ids.length} ids was expected`);
  }
  return {ids, count};
}

/** As JSON, which takes a fifth of the time of taking a text of 100,000 ids apart; what is none is a list that is refused. */
function parseIds(text: string): number[] {
  try {
    return JSON.parse(`[${text}]`) as number[];
  } catch {
    return [NaN];
  }
}

/** Bytes, or a file that a user chose, as the readers take it. */
export function fileOf(op: string, source: Blob | ArrayBuffer | Uint8Array): ByteFile {
  if (source instanceof Blob) return blobFile((source as Partial<File>).name ?? 'the state', source);
  if (source instanceof ArrayBuffer) return bytesFile('the state', new Uint8Array(source));
  if (source instanceof Uint8Array) return bytesFile('the state', source);
  throw new Error(`${op}: source must be bytes, a Blob or a place, but is ${describe(source)}`);
}
