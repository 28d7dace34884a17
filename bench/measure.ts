/** How the benchmarks measure: wall time until the result is there, the GPU's own clock where there is one, launches and bytes. */
import * as tf from '@tensorflow/tfjs';

export interface Measured {
  /** Median wall time of a call, in ms. */
  ms: number;
  /** That of the fastest call: on a machine shared with other work, the more telling of the two. */
  best: number;
  /** Time on the GPU's clock, in ms, if it has one. */
  gpuMs?: number;
  /** WebGPU dispatches of a call. */
  dispatches?: number;
  /** Bytes of all buffers that its dispatches bind, in MB: what would move if each were read or written once. */
  megabytes?: number;
}

/** What has been sent to the device since {@link watchDevice}. */
const sent = {dispatches: 0, bytes: 0};
let watched = false;

/** Counts from now on what is sent to the WebGPU device, if there is one. To be called before any work: bind groups are used again. */
export function watchDevice(): void {
  const {device} = tf.backend() as unknown as {device?: GPUDevice};
  if (!device) return;
  watched = true;
  const bytes = new WeakMap<GPUBindGroup, number>();
  const createBindGroup = device.createBindGroup.bind(device);
  device.createBindGroup = (descriptor) => {
    const group = createBindGroup(descriptor);
    const sizes = [...descriptor.entries].map(({resource}) => (resource as GPUBufferBinding).buffer.size);
    bytes.set(
      group,
      sizes.reduce((a, b) => a + b, 0),
    );
    return group;
  };
  const pass = GPUComputePassEncoder.prototype;
  const {setBindGroup, dispatchWorkgroups} = pass;
  let bound = 0;
  pass.setBindGroup = function (this: GPUComputePassEncoder, ...args: unknown[]) {
    bound = bytes.get(args[1] as GPUBindGroup) ?? 0;
    return Reflect.apply(setBindGroup, this, args);
  } as typeof setBindGroup;
  pass.dispatchWorkgroups = function (...counts) {
    sent.dispatches++;
    sent.bytes += bound;
    return dispatchWorkgroups.apply(this, counts);
  };
}

/** Dispatches since {@link watchDevice}. */
export function sentSoFar(): number {
  return sent.dispatches;
}

/** Counts what `work` sends to the device. */
export function countDispatches(work: () => void): Pick<Measured, 'dispatches' | 'megabytes'> {
  const before = {...sent};
  work();
  if (!watched) return {};
  return {dispatches: sent.dispatches - before.dispatches, megabytes: (sent.bytes - before.bytes) / 1e6};
}

/** Waits until a result is there: by one number of it, as fetching all of it may take longer than computing it. */
async function settle(tensors: tf.Tensor[]): Promise<void> {
  const one = tf.tidy(() => tf.slice(tensors[0].flatten(), 0, 1));
  await one.data();
  tf.dispose([one, tensors]);
}

/**
 * Runs `call` until it has run `runs` times or for `seconds`, after one run that is not counted. Its tensors are disposed. The GPU's
 * clock is read for every dispatch by itself, which takes minutes where there are thousands.
 */
export async function measure(call: () => tf.Tensor[], runs: number, seconds = 20, clocked = true): Promise<Measured> {
  await settle(call());
  let first: tf.Tensor[] = [];
  const counted = countDispatches(() => (first = call()));
  await settle(first);
  const times: number[] = [];
  const end = performance.now() + 1000 * seconds;
  while (times.length < runs && (times.length === 0 || performance.now() < end)) {
    const start = performance.now();
    await settle(call());
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const clock = clocked ? await gpuTime(call, times.length) : {};
  return {ms: times[Math.floor(times.length / 2)], best: times[0], ...counted, ...clock};
}

async function gpuTime(call: () => tf.Tensor[], runs: number): Promise<Pick<Measured, 'gpuMs'>> {
  if (tf.getBackend() !== 'webgpu') return {};
  const times: number[] = [];
  for (let run = 0; run < Math.min(runs, 5); run++) {
    const {kernelMs} = (await tf.time(() => tf.dispose(call()))) as tf.TimingInfo & {kernelMs: number};
    times.push(kernelMs);
  }
  return {gpuMs: Math.min(...times)};
}

/** A row of numbers in columns. */
export function row(label: string, {ms, gpuMs, dispatches, megabytes}: Measured, more = ''): string {
  const columns = [
    label.padEnd(46),
    `${ms.toFixed(2)} ms`.padStart(12),
    (gpuMs === undefined ? '' : `${gpuMs.toFixed(3)} ms on the GPU`).padStart(22),
    (dispatches === undefined ? '' : `${dispatches} dispatches`).padStart(18),
    (megabytes === undefined ? '' : `${megabytes.toFixed(1)} MB bound`).padStart(18),
  ];
  return `${columns.join('')}  ${more}`.trimEnd();
}
