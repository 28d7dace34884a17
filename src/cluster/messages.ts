/**
 * The two messages that TensorFlow wants in protocol buffers' wire format. They have eight fields between them, of three kinds, so they
 * are written out here; the numbers are those of tensorflow/core/protobuf/{tensorflow_server,cluster,config}.proto.
 */

/** TensorFlow's job that all ranks belong to, or what its name begins with. */
export const JOB = 'worker';

/** Bytes in which TensorFlow takes a message to pieces for gRPC; 4096, its own, are a tenth slower. */
const CHUNK = 1 << 16;

/** ServerDef: the cluster, which of its tasks this process is, and who leads: rank 0 hands out the names of groups. */
export function serverDef(addresses: readonly string[], rank: number, name = JOB): Uint8Array {
  const tasks = addresses.map((address, i) => field(2, concat([number(1, i), text(2, address)])));
  const job = concat([text(1, name), ...tasks]); // JobDef: name, tasks by index
  const leader = text(1, `/job:${name}/replica:0/task:0`);
  const experimental = concat([leader, number(4, CHUNK)]); // collective_group_leader, recv_buf_max_chunk
  return concat([
    field(1, field(1, job)), // cluster: ClusterDef with one job
    text(2, name), // job_name
    number(3, rank), // task_index
    field(4, field(16, experimental)), // default_session_config.experimental
    text(5, 'grpc'), // protocol
  ]);
}

/** ConfigProto of the context in which collectives run: it takes a GPU only to send from it. */
export function contextConfig(useGpu: boolean): Uint8Array {
  return useGpu ? concat([]) : field(1, concat([text(1, 'GPU'), number(2, 0)])); // device_count
}

function number(id: number, value: number): Uint8Array {
  return Uint8Array.from([id << 3, ...varint(value)]);
}

function text(id: number, value: string): Uint8Array {
  return field(id, new TextEncoder().encode(value));
}

/** A field whose value has a length: a string or a message. */
function field(id: number, value: Uint8Array): Uint8Array {
  return concat([Uint8Array.from([...varint((id << 3) | 2), ...varint(value.length)]), value]);
}

/** Seven bits a byte, the lowest first; all but the last byte have the highest bit set. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)];
}

function concat(parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}
