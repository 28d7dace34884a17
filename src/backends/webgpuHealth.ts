/**
 * Errors on the GPU. A shader that does not compile, a binding that is not valid, a device that is gone: none of these throws where
 * it happens, and what a program should have written then holds whatever the recycled buffer held. So each backend has a record of
 * what went wrong: the next kernel throws it, and no `data()` hands out numbers after it.
 */

/** What is watched of a TensorFlow.js WebGPU backend. */
export interface WatchedBackend {
  device: GPUDevice;
  read(dataId: object): Promise<unknown>;
}

/** The labels of this package's GPU objects start with this, so that their errors can be told from those of other code. */
export const labelPrefix = 'tfjs-mamba ';

const AFTER_LOSS =
  'restartBackend() starts webgpu anew; then load the model again, or have backupWeights write its weights back';

/** A shader and the pipeline that is made of it. */
export interface Making<Pipeline> {
  module: GPUShaderModule;
  pipeline: Pipeline;
}

/** The state of one backend. */
export class Health {
  private failure: Error | undefined;
  /** Checks of pipelines whose result is not there yet. */
  private readonly pending = new Set<Promise<void>>();

  constructor(private readonly backend: WatchedBackend) {
    const {device} = backend;
    device.addEventListener('uncapturederror', ({error}) => {
      if (error.message.includes(labelPrefix)) {
        // What follows from a shader that is not valid says less than its own error, which takes longer.
        void this.afterPipelines(() => this.fail(new Error(`WebGPU error: ${error.message}`)));
      }
    });
    void device.lost.then(({reason, message}) => {
      this.fail(new Error(`The WebGPU device was lost (${reason || 'unknown reason'}): ${message} ${AFTER_LOSS}`));
    });
    this.guardReads(backend);
  }

  /** Throws what has gone wrong, if anything has. */
  check(): void {
    if (this.failure) {
      throw this.failure;
    }
  }

  /** Waits for the pipelines that are being made, and throws what has gone wrong. */
  async settled(): Promise<void> {
    await Promise.all(this.pending);
    this.check();
  }

  /** Makes a pipeline; should that fail, what comes next throws an error that names `name` and the first messages of the compiler. */
  watchPipeline(name: string, make: () => Making<GPUComputePipeline>): GPUComputePipeline {
    const {device} = this.backend;
    device.pushErrorScope('validation');
    const {module, pipeline} = make();
    const check = device.popErrorScope().then(async (error) => {
      if (error) this.fail(await invalid(name, module, error.message));
    });
    const done = check.finally(() => this.pending.delete(done));
    this.pending.add(done);
    return pipeline;
  }

  private async afterPipelines(then: () => void): Promise<void> {
    await Promise.all(this.pending);
    then();
  }

  /** @internal */
  fail(failure: Error): void {
    this.failure ??= failure;
  }

  private guardReads(backend: WatchedBackend): void {
    const read = backend.read.bind(backend);
    backend.read = async (dataId) => {
      const values = await read(dataId).catch((error: unknown) => {
        throw this.failure ?? error;
      });
      await this.settled();
      return values;
    };
  }
}

/** The error of a shader that does not compile. */
export async function invalid(name: string, module: GPUShaderModule, message: string): Promise<Error> {
  const {messages} = await module.getCompilationInfo();
  const details = messages.slice(0, 3).map(({lineNum, message: text}) => `\n  line ${lineNum}: ${text}`);
  return new Error(`${name}: its shader is not valid: ${message}${details.join('')}`);
}

const healths = new WeakMap<object, Health>();

/** The record of a backend, which is watched from the first time on. */
export function healthOf(backend: WatchedBackend): Health {
  let health = healths.get(backend);
  if (!health) {
    health = new Health(backend);
    healths.set(backend, health);
  }
  return health;
}
