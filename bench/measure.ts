/** How the benchmarks measure: wall time until the result is there, the GPU's own clock where there is one, launches and bytes. */
import * as tf from '@tensorflow/tfjs';

export interface Measured {
  /** Median wall time of a call, in ms. */
  ms: number;
  /** Time on the GPU's clock, in ms, if it has one. */
  gpuMs?: number;
  /** WebGPU dispatches of a call. */
  dispatches?: number;
  /** Bytes of all buffers that its dispatches bind, in MB: what would move if each were read or written once. */
  megabytes?: number;
}

type Device = Pick<GPUDevice, 'createBindGroup'>;

function currentDevice(): Device | undefined {
  return (tf.backend() as unknown as {device?: Device}).device;
}

/** Counts what `work` sends to a WebGPU device: every dispatch has a bind group of its own. */
export function countDispatches(work: () => void): Pick<Measured, 'dispatches' | 'megabytes'> {
  const device = currentDevice();
  if (!device) {
    work();
    return {};
  }
  let dispatches = 0;
  let bytes = 0;
  const create = device.createBindGroup;
  device.createBindGroup = function (descriptor) {
    dispatches++;
    for (const {resource} of descriptor.entries) {
      bytes += (resource as GPUBufferBinding).buffer.size;
    }
    return create.call(device, descriptor);
  };
  try {
    work();
  } finally {
    device.createBindGroup = create;
  }
  return {dispatches, megabytes: bytes / 1e6};
}

/** Runs `call` until it has run `runs` times or for `seconds`, after one run that is not counted. Its tensors are disposed. */
export async function measure(call: () => tf.Tensor[], runs: number, seconds = 20): Promise<Measured> {
  const settle = async (tensors: tf.Tensor[]) => {
    await tensors[0].data();
    tf.dispose(tensors);
  };
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
  return {ms: times[Math.floor(times.length / 2)], ...counted, ...(await gpuTime(call, times.length))};
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
