/** A model that a backend has no room for is refused before anything is allocated or read. */
import * as tf from '@tensorflow/tfjs';
import {blobFile} from '../../src/checkpoints/bytes';
import type {CheckpointSource} from '../../src/checkpoints/source';
import {setHostMemory} from '../../src/lm/memory';
import {mambaLM} from '../../src/lm/model';
import {fromPretrained} from '../../src/lm/pretrained';
import {smallConfig} from './smallModel';

/** What the backend holds, and what it is to say of it; a GPU backend knows only how large a tensor may be. */
const limits: Record<string, {host?: number; device?: number; says: RegExp}> = {
  cpu: {
    host: 10e9,
    says: /the weights take 11\.07 GB, but the cpu backend holds 10\.00 GB at most, of which \d\.\d\d GB/,
  },
  wasm: {says: /the weights take 11\.07 GB, but the wasm backend holds 3\.50 GB at most, of which \d\.\d\d GB/},
  tensorflow: {host: 10e9, says: /the weights take 11\.07 GB, but the tensorflow backend holds 10\.00 GB at most/},
  webgl: {device: 134e6, says: /the largest weight takes 0\.51 GB, but a tensor of this webgl device holds 0\.13 GB/},
  webgpu: {device: 134e6, says: /the largest weight takes 0\.51 GB, but a tensor of this webgpu device holds 0\.13 GB/},
};

/** The same object, but for some members. */
function withMembers<T extends object>(object: T, members: object): T {
  return new Proxy(object, {
    get(target, name) {
      if (name in members) return members[name as keyof typeof members] as unknown;
      const value = target[name as keyof T] as unknown;
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** Makes a device of those limits seem to be the backend's; one that there is goes on working. */
function pretendDevice(maxStorageBufferBindingSize: number, maxBufferSize: number): void {
  const backend = tf.backend() as unknown as {device?: {limits: object}};
  const real = Object.getOwnPropertyDescriptor(backend, 'device');
  const device = backend.device ?? {limits: {}};
  const limits = withMembers(device.limits, {maxStorageBufferBindingSize, maxBufferSize});
  Object.defineProperty(backend, 'device', {value: withMembers(device, {limits}), configurable: true});
  restore.push(() => {
    delete backend.device;
    if (real) Object.defineProperty(backend, 'device', real);
  });
}

let restore: Array<() => void> = [];

/** A checkpoint of which only the configuration can be read. */
function huge(config: object, opened: string[]): CheckpointSource {
  return {
    name: 'huge',
    open: async (file) => {
      opened.push(file);
      return file === 'config.json' ? blobFile(file, new Blob([JSON.stringify(config)])) : undefined;
    },
  };
}

const huggingFace = {model_type: 'mamba', vocab_size: 50280, hidden_size: 2560, num_hidden_layers: 64, state_size: 16};
const original = {d_model: 2560, n_layer: 64, vocab_size: 50277, ssm_cfg: {}};

describe('a model too large', () => {
  let before: tf.MemoryInfo;
  let says: RegExp;

  beforeEach(() => {
    before = {...tf.memory()};
    const limit = limits[tf.getBackend()];
    says = limit.says;
    if (limit.host !== undefined) setHostMemory(limit.host);
    if (limit.device !== undefined) pretendDevice(limit.device, limit.device);
  });
  afterEach(() => {
    restore.reverse().forEach((undo) => undo());
    restore = [];
    setHostMemory(Infinity);
    expect(tf.memory().numTensors).toBe(before.numTensors);
    expect(tf.memory().numBytes).toBe(before.numBytes);
  });

  it('is refused by mambaLM, naming the backend and the sizes', () => {
    expect(() => mambaLM('mamba-2.8b')).toThrowError(new RegExp(`^mambaLM: ${says.source}`));
  });

  it('is refused by fromPretrained before any weight file is looked for', async () => {
    for (const config of [huggingFace, original]) {
      const opened: string[] = [];
      await expectAsync(fromPretrained(huge(config, opened))).toBeRejectedWithError(
        new RegExp(`^fromPretrained: ${says.source}`),
      );
      expect(opened).toEqual(['config.json', 'generation_config.json']);
    }
  });

  it('is refused if there is no room beside what is in use, and not otherwise', () => {
    const used = spyOn(tf.engine(), 'memory').and.callFake(() => ({...before, numBytes: 9.9999999e9}));
    if (limits[tf.getBackend()].device === undefined) {
      expect(() => mambaLM(smallConfig)).toThrowError(
        /^mambaLM: .* of which 10\.00 GB are in use; use another backend/,
      );
    }
    used.and.callThrough();
    mambaLM(smallConfig).dispose();
  });

  it('is refused for one weight that is larger than a tensor of the device may be', () => {
    for (const [binding, buffer] of [
      [400, 1e9],
      [1e9, 400],
    ]) {
      pretendDevice(binding, buffer);
      expect(() => mambaLM(smallConfig)).toThrowError(
        /^mambaLM: the largest weight takes 0\.00 GB, but a tensor of this .* device holds .* createWebGPUBackend/,
      );
      restore.pop()!();
    }
    // vocabulary 16 · 6 < in_proj 2 · 12 · 6 values
    pretendDevice(4 * 2 * 12 * 6, 1e9);
    mambaLM(smallConfig).dispose();
  });
});
