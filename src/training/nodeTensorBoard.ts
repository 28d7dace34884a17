/**
 * What TensorBoard shows, written as TensorFlow writes it: a file of records (`tensorflow/core/lib/io/record_writer.cc`), each an `Event`
 * (`tensorflow/core/util/event.proto`), of which a scalar takes four fields. tfjs-node has a writer too, but only where its backend runs.
 */
import type {FileHandle} from 'node:fs/promises';
import {mkdir, open} from 'node:fs/promises';
import {hostname} from 'node:os';
import {join} from 'node:path';
import {describe} from '../ops/check';
import type {TrainerCallbacks} from './options';

/** See {@link tensorBoardLog}. */
export interface TensorBoardLog {
  /** What a fit tells of itself: `train/loss`, `train/gradient_norm`, `train/learning_rate`, `train/labels_per_second`, `validation/loss`. */
  readonly callbacks: Required<Pick<TrainerCallbacks, 'onStep' | 'onValidation'>>;
  /** Writes a number of your own. */
  scalar(tag: string, value: number, step: number): Promise<void>;
  /** Writes what is left and closes the file. */
  close(): Promise<void>;
}

/**
 * Opens a log for TensorBoard in a folder, which is made if need be: `tensorboard --logdir <the folder above it>`. Of a run that goes on,
 * opened again, steps that are done a second time take the place of the first.
 *
 * @throws Error naming the folder if it cannot be written to.
 */
export async function tensorBoardLog(folder: string): Promise<TensorBoardLog> {
  if (typeof folder !== 'string' || folder === '')
    throw new Error(`tensorBoardLog: folder must be a path, but is ${describe(folder)}`);
  const now = () => Date.now() / 1000;
  const name = `events.out.tfevents.${Math.floor(now())}.${hostname()}.${process.pid}`;
  const path = join(folder, name);
  let file: FileHandle;
  try {
    await mkdir(folder, {recursive: true});
    file = await open(path, 'a');
  } catch (error) {
    throw new Error(`tensorBoardLog: ${folder} cannot be written to: ${(error as Error).message}`, {cause: error});
  }
  const write = async (...fields: Uint8Array[]) => {
    try {
      await file.appendFile(record(joined([double(1, now()), ...fields])));
    } catch (error) {
      throw new Error(`tensorBoardLog: ${path} cannot be written to: ${(error as Error).message}`, {cause: error});
    }
  };
  await write(text(3, 'brain.Event:2'));
  let hasBegun = false;
  const scalar = async (tag: string, value: number, step: number) => {
    // TensorBoard forgets what earlier files have from this step on.
    if (!hasBegun) await write(integer(2, step), message(7, integer(1, SESSION_START)));
    hasBegun = true;
    await write(integer(2, step), message(5, message(1, joined([text(1, tag), float(2, value)]))));
  };
  return {
    callbacks: {
      onStep: async ({step, loss, gradientNorm, learningRate, tokensPerSecond}) => {
        await scalar('train/loss', loss, step);
        await scalar('train/gradient_norm', gradientNorm, step);
        if (learningRate !== undefined) await scalar('train/learning_rate', learningRate, step);
        await scalar('train/labels_per_second', tokensPerSecond, step);
      },
      onValidation: ({step, loss}) => scalar('validation/loss', loss, step),
    },
    scalar,
    close: () => file.close(),
  };
}

const SESSION_START = 1;

/** A record: its length, the data, and a checksum behind each. */
function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(data.length + 16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return bytes;
}

/** CRC-32C, turned and shifted, as checksums of what holds checksums are (`tensorflow/core/lib/hash/crc32c.h`). */
function maskedCrc(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  const whole = ~crc;
  return (((whole >>> 15) | (whole << 17)) + 0xa282ead8) >>> 0;
}

/** Fields of protocol buffers, by their numbers. */
function message(field: number, content: Uint8Array): Uint8Array {
  return joined([varint(8 * field + 2), varint(content.length), content]);
}

function text(field: number, value: string): Uint8Array {
  return message(field, new TextEncoder().encode(value));
}

function integer(field: number, value: number): Uint8Array {
  return joined([varint(8 * field), varint(value)]);
}

function float(field: number, value: number): Uint8Array {
  return joined([varint(8 * field + 5), new Uint8Array(Float32Array.of(value).buffer)]);
}

function double(field: number, value: number): Uint8Array {
  return joined([varint(8 * field + 1), new Uint8Array(Float64Array.of(value).buffer)]);
}

/** Seven bits a byte, the lowest first. */
function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) + 128);
  return Uint8Array.from([...bytes, rest]);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
