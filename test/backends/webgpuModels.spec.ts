/** Models on `webgpu`: nothing is compiled after a warm-up, and nothing is read in a way that would stop the page. */
import * as tf from '@tensorflow/tfjs';
import {adamW, chosenFiles, fromPretrained, mambaLM, savePretrained, tokenWindows, trainer} from '../../src';
import type {MambaLM} from '../../src';
import {warmup} from '../../src/warmup';

interface WebGPUBackend extends tf.KernelBackend {
  device: GPUDevice;
}

const backend = () => tf.backend() as WebGPUBackend;

/** A model of a width that no other spec has, so that TensorFlow.js has made few of its programs before. */
const newModel = (seed = 3) => mambaLM({vocabSize: 11, dModel: 12, nLayer: 2, dState: 7}, {seed});

const ids = () => tf.tensor2d([[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]], undefined, 'int32');

async function weightsOf(model: MambaLM): Promise<number[][]> {
  return Promise.all(model.getWeights().map(async (weight) => [...(await weight.data())]));
}

async function trainOnce(model: MambaLM): Promise<void> {
  const x = ids();
  await model.trainOnBatch(x, x);
  x.dispose();
}

async function decode(model: MambaLM): Promise<void> {
  const prompt = ids();
  const {logits, state} = model.prefill(prompt);
  const next = model.step([1], state);
  await next.logits.data();
  tf.dispose([prompt, logits, state, next]);
}

/** The labels of the pipelines that are made while `work` runs. */
async function pipelinesMadeBy(work: () => Promise<void>): Promise<string[]> {
  const {device} = backend();
  const now = spyOn(device, 'createComputePipeline').and.callThrough();
  const later = spyOn(device, 'createComputePipelineAsync').and.callThrough();
  await work();
  const made = [...now.calls.allArgs(), ...later.calls.allArgs()].map(([{label}]) => label ?? 'TensorFlow.js');
  now.and.callThrough();
  return made;
}

describe('warmup', () => {
  let model: MambaLM;

  beforeEach(() => {
    model = newModel();
  });
  afterEach(() => {
    model.dispose();
  });

  it('are loaded to the GPU, weight by weight, and to nowhere else', async () => {
    const files: Record<string, Uint8Array<ArrayBuffer>> = {};
    const saved = newModel();
    await savePretrained(saved, {write: (name, bytes) => void (files[name] = bytes)});
    const source = chosenFiles(Object.entries(files).map(([name, bytes]) => new File([bytes], name)));
    const model = await fromPretrained(source);
    const {tensorMap} = tf.backend() as unknown as {tensorMap: {get(id: object): {values: unknown; resource: unknown}}};
    const places = model.getWeights().map(({dataId}) => tensorMap.get(dataId));
    expect(places.filter(({values, resource}) => values || !(resource instanceof GPUBuffer))).toEqual([]);
    expect(await weightsOf(model)).toEqual(await weightsOf(saved));
    model.dispose();
    saved.dispose();
  });

  it('makes every pipeline that a prompt and a step take', async () => {
    await warmup(model, {length: 10});
    expect(await pipelinesMadeBy(() => decode(model))).toEqual([]);
  });

  for (const [name, optimizer] of [
    ['adamW', () => adamW({learningRate: 0.01, clipNorm: 1})],
    ['a schedule of its own', () => adamW({learningRate: (step) => 0.01 / step})],
    ['adam', () => tf.train.adam(0.01)],
  ] as [string, () => tf.Optimizer][]) {
    it(`makes those of a training step by ${name} too, and changes neither weights nor memory`, async () => {
      model.compile({optimizer: optimizer(), metrics: ['accuracy']});
      const weights = await weightsOf(model);
      const before = tf.memory();
      await warmup(model, {length: 10});
      expect(tf.memory().numTensors).toBe(before.numTensors);
      expect(await weightsOf(model)).toEqual(weights);
      expect(await pipelinesMadeBy(() => trainOnce(model))).toEqual([]);
    });
  }

  it('leaves a training that is under way as it is', async () => {
    const trained = async (inBetween: (model: MambaLM) => Promise<void>) => {
      const fresh = newModel();
      fresh.compile({optimizer: adamW({learningRate: 0.01})});
      await trainOnce(fresh);
      await inBetween(fresh);
      await trainOnce(fresh);
      const weights = await weightsOf(fresh);
      fresh.dispose();
      return weights;
    };
    expect(await trained(warmup)).toEqual(await trained(async () => {}));
  });

  it('names an option that is wrong', async () => {
    await expectAsync(warmup(model, {length: 0})).toBeRejectedWithError(
      'warmup: length must be a positive whole number, but is 0',
    );
    await expectAsync(warmup(model, {rows: 1} as never)).toBeRejectedWithError(
      'warmup: unknown argument rows; expected batchSize, length',
    );
  });
});

describe('a step of training', () => {
  /** The labels of the bind groups, and the numbers of uploads and dispatches, of the last of some steps. */
  async function stepsOf(nLayer: number): Promise<{groups: string[]; uploads: number; dispatches: number}> {
    const model = mambaLM({vocabSize: 11, dModel: 12, nLayer, dState: 7}, {seed: 3});
    const optimizer = adamW({learningRate: 0.01, clipNorm: 1});
    const {device} = backend();
    const {createBindGroup, createBuffer} = device;
    const group = jasmine.createSpy('createBindGroup', createBindGroup.bind(device)).and.callThrough();
    const buffer = jasmine.createSpy('createBuffer', createBuffer.bind(device)).and.callThrough();
    Object.assign(device, {createBindGroup: group, createBuffer: buffer});
    let groups: string[] = [];
    let uploads = 0;
    let dispatches = 0;
    const {prototype} = GPUComputePassEncoder;
    const {dispatchWorkgroups} = prototype;
    const dispatch = jasmine.createSpy('dispatchWorkgroups', dispatchWorkgroups).and.callThrough();
    Object.assign(prototype, {dispatchWorkgroups: dispatch});
    const onStep = () => {
      groups = group.calls.allArgs().map(([{label}]) => label ?? '');
      uploads = buffer.calls.allArgs().filter(([{mappedAtCreation}]) => mappedAtCreation).length;
      dispatches = dispatch.calls.count();
      for (const spy of [group, buffer, dispatch]) spy.calls.reset();
    };
    const data = tokenWindows(
      Array.from({length: 99}, (_, i) => (i * i) % 11),
      {batchSize: 2, length: 9},
    );
    await trainer(model, {optimizer}).fit(data, {steps: 12, callbacks: {onStep}, verbose: 0});
    Object.assign(device, {createBindGroup, createBuffer});
    Object.assign(prototype, {dispatchWorkgroups});
    optimizer.dispose();
    model.dispose();
    return {groups, uploads, dispatches};
  }

  it('finds its bind groups as those before left them, uploads no more for more blocks, and takes under 25 dispatches for each', async () => {
    const [one, eight] = [await stepsOf(1), await stepsOf(8)];
    // The numbers of AdamW are others in each step.
    const made = new Set(eight.groups.filter((label) => label.startsWith('tfjs-mamba')));
    expect([...made]).toEqual(['tfjs-mamba AdamW']);
    expect(eight.uploads).toBe(one.uploads);
    expect((eight.dispatches - one.dispatches) / 7).toBeLessThan(25);
    expect(one.dispatches).withContext('counted at all').toBeGreaterThan(25);
  });
});

describe('a prefill', () => {
  it('finds its bind groups as those before left them', async () => {
    const model = mambaLM({vocabSize: 11, dModel: 12, nLayer: 8, dState: 7}, {seed: 3});
    const made: number[] = [];
    const create = spyOn(backend().device, 'createBindGroup').and.callThrough();
    for (let i = 0; i < 5; i++) {
      create.calls.reset();
      const {logits, state} = model.prefill([Array.from({length: 150}, (_, t) => t % 11)]);
      await logits.data();
      made.push(create.calls.allArgs().filter(([{label}]) => label?.startsWith('tfjs-mamba')).length);
      tf.dispose([logits, state]);
    }
    expect(made[0]).toBeGreaterThan(0);
    expect(made.slice(-2)).toEqual([0, 0]);
    model.dispose();
  });
});

describe('a synchronous read', () => {
  /** TensorFlow.js itself reads this way where the GPU is to give a value at once. */
  beforeEach(() => {
    spyOn(backend() as unknown as {readSync(): unknown}, 'readSync').and.throwError('a synchronous read');
  });

  it('would be seen', async () => {
    const x = tf.ones([3]).add(1);
    expect(() => x.dataSync()).toThrowError('a synchronous read');
    expect([...(await x.data())]).toEqual([2, 2, 2]);
    x.dispose();
  });

  it('is nowhere in fit', async () => {
    const model = newModel();
    model.compile({optimizer: adamW({learningRate: 0.01, clipNorm: 1}), metrics: ['accuracy']});
    const x = tf.tensor2d(
      [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [9, 10, 0, 1],
      ],
      undefined,
      'int32',
    );
    const {history} = await model.fit(x, x, {epochs: 3, batchSize: 2, validationData: [x, x], verbose: 0});
    const [first, , last] = history['loss'] as number[];
    expect(last).toBeLessThan(first);
    x.dispose();
    model.dispose();
  });

  it('is nowhere in generate', async () => {
    const model = newModel();
    const tokens: number[] = [];
    for await (const {id} of model.generate(
      [
        [1, 2],
        [3, 4, 5],
      ],
      {maxNewTokens: 4, seed: 1, topK: 5, topP: 0.9},
    ))
      tokens.push(id);
    for await (const {id} of model.generate([1, 2], {maxNewTokens: 4, temperature: 0})) tokens.push(id);
    expect(tokens.length).toBe(12);
    model.dispose();
  });
});
