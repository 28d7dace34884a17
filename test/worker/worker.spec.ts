/** The page's and the worker's end, with a message channel between them in place of a worker; test/tooling/demo.spec.ts has a real one. */
import * as tf from '@tensorflow/tfjs';
import {chosenFiles} from '../../src/checkpoints/chosenFiles';
import {fromPretrained} from '../../src/lm/pretrained';
import {characterTokenizer} from '../../src/lm/tokenizers';
import {mambaLM} from '../../src/lm/model';
import {modelWorker, type ModelWorker, type WorkerModel} from '../../src/worker/client';
import {answer} from '../../src/worker/host';
import {methods} from '../../src/worker/methods';

const config = {vocabSize: 27, dModel: 6, nLayer: 1, dState: 3};
const text = 'the quick brown fox jumps over the lazy dog '.repeat(12);
const tokenizer = characterTokenizer('abcdefghijklmnopqrstuvwxyz ');

describe('a model in a worker', () => {
  let worker: ModelWorker;
  let model: WorkerModel;
  let channel: MessageChannel;
  let before: number;

  beforeAll(async () => {
    before = tf.memory().numTensors;
    channel = new MessageChannel();
    answer(channel.port1, methods);
    channel.port1.start();
    channel.port2.start();
    worker = modelWorker(Object.assign(channel.port2, {terminate: () => channel.port2.close()}) as unknown as Worker);
    model = await worker.mambaLM(config, {seed: 5, tokenizer: JSON.parse(JSON.stringify(tokenizer)) as object});
  });
  afterAll(async () => {
    await model.dispose();
    expect(tf.memory().numTensors).toBe(before);
    worker.terminate();
    await expectAsync(worker.backend()).toBeRejectedWithError(/^modelWorker: the worker was terminated$/);
  });

  it('generates what the same model generates here, and tells how it ended', async () => {
    const options = {maxNewTokens: 12, seed: 3};
    const here = Object.assign(mambaLM(config, {seed: 5}), {tokenizer});
    const ends: unknown[] = [];
    const [given, wanted] = [[], []] as unknown[][];
    for await (const token of model.generate('the ', {...options, onEnd: (end) => ends.push(end)})) given.push(token);
    for await (const token of here.generate('the ', options)) wanted.push(token);
    expect(given).toEqual(wanted);
    expect(ends).toEqual([jasmine.objectContaining({reason: 'length', tokens: 12})]);
    expect(await model.decode(await model.encode('a fox'))).toBe('a fox');
    here.dispose();
  });

  it('stops when it is aborted or the loop is left, and keeps no tensor', async () => {
    const tensors = tf.memory().numTensors;
    const stop = new AbortController();
    let count = 0;
    const loop = async () => {
      for await (const {index} of model.generate('a', {maxNewTokens: 10_000, signal: stop.signal})) {
        count = index + 1;
        if (count === 3) stop.abort(new Error('enough'));
      }
    };
    await expectAsync(loop()).toBeRejectedWithError('enough');
    expect(count).toBeLessThan(10);
    for await (const {index} of model.generate('a', {maxNewTokens: 10_000})) if (index === 1) break;
    await model.encode('a'); // what came before has been answered
    expect(tf.memory().numTensors).toBe(tensors);
  });

  it('keeps histories there: they go on, fork and are taken back', async () => {
    const history = await model.stateHistory();
    const write = async (prompt: string, from = history) => {
      let all = '';
      const options = {history: from, maxNewTokens: 6, temperature: 0};
      for await (const {text} of model.generate(prompt, options)) all += text;
      return all;
    };
    const first = await write('the');
    expect((await history.ids()).length).toBe(9);
    const fork = await history.fork();
    const bytes = await history.save();
    const saved = await Promise.all(
      [bytes, bytes.buffer, new Blob([bytes])].map((source) => model.loadHistory(source)),
    );
    expect(bytes.length).withContext('left to whom they belong').toBeGreaterThan(0);
    const next = await write('');
    for (const one of [fork, ...saved]) expect(await write('', one)).toBe(next);
    expect((await history.rollBack(12)).length).toBe(12);
    expect(await write('')).toBe(first);
    for (const one of [history, fork, ...saved]) await one.dispose();
    await expectAsync(history.ids()).toBeRejectedWithError('modelWorker: the history has been disposed');
  });

  it('trains, tells of it, stops when aborted, and is saved', async () => {
    const losses: number[] = [];
    const stop = new AbortController();
    const fit = {data: text, batchSize: 2, length: 16, optimizer: {learningRate: 0.02}};
    const callbacks = {onStep: ({loss}: {loss: number}) => void losses.push(loss)};
    const own = await worker.mambaLM(config, {seed: 1, tokenizer: tokenizer.toJSON()});
    const validation = {data: text, every: 10, batches: 1};
    const result = await own.fit({...fit, steps: 20, callbacks, validation});
    expect(result).toEqual(jasmine.objectContaining({step: 20, ended: 'steps'}));
    expect(result.validation!.loss).toBeLessThan(losses[0]);
    expect(losses.length).toBe(20);
    expect(losses.at(-1)).toBeLessThan(losses[0]);
    const rest = {callbacks: {onStep: () => stop.abort()}, signal: stop.signal};
    expect((await own.fit({...fit, steps: 1000, ...rest})).ended).toBe('aborted');
    const files = await own.savePretrained();
    expect(Object.keys(files).sort()).toEqual(
      ['config.json', 'generation_config.json', 'model.safetensors', 'tokenizer.json'],
    ); // prettier-ignore
    // Node's files lose their names on the way to a worker.
    const again = await fromPretrained(
      chosenFiles(Object.entries(files).map(([name, bytes]) => new File([bytes], name))),
    );
    expect(again.config).toEqual(jasmine.objectContaining(config));
    expect(again.tokenizer!.decode([0, 1])).toBe(' a');
    await own.dispose();
    again.dispose();
  });

  it('ends an aborted training at once, though the worker is in the middle of a step, and lets what comes next wait', async () => {
    const {port1, port2} = new MessageChannel();
    const [finish, finished] = held<void>();
    const did: string[] = [];
    answer(port1, {
      mambaLM: () => ({handle: 1, config: {}, parameters: 0, hasTokenizer: false}),
      async fit({emit}) {
        emit('step', {step: 7});
        await finished;
        emit('step', {step: 8});
        did.push('fit');
        return {step: 8, ended: 'aborted'};
      },
      savePretrained: () => void did.push('savePretrained'),
    });
    port1.start();
    port2.start();
    const models = modelWorker(Object.assign(port2, {terminate: () => port2.close()}) as unknown as Worker);
    const own = await models.mambaLM(config);
    const stop = new AbortController();
    const told: number[] = [];
    const onStep = ({step}: {step: number}) => {
      told.push(step);
      stop.abort();
    };
    const options = {data: text, batchSize: 2, length: 16, steps: 10, optimizer: {learningRate: 0.02}};
    const result = await own.fit({...options, signal: stop.signal, callbacks: {onStep}});
    expect(result).toEqual(jasmine.objectContaining({step: 7, ended: 'aborted'}));
    expect(did).toEqual([]);
    const saving = own.savePretrained();
    finish();
    expect(await result.settled).toEqual({step: 8, ended: 'aborted'});
    await saving;
    expect(did).toEqual(['fit', 'savePretrained']);
    expect(told).toEqual([7]);
    models.terminate();
  }, 20_000);

  it("leaves a program's own messages alone, at either end", async () => {
    const heard: unknown[] = [];
    const listen = ({data}: MessageEvent) => void heard.push(data);
    channel.port2.addEventListener('message', listen);
    channel.port1.addEventListener('message', listen);
    const own = [null, 'text', {ask: 'memory'}];
    for (const message of own) {
      channel.port1.postMessage(message);
      channel.port2.postMessage(message);
    }
    expect(await model.decode(await model.encode('a fox'))).toBe('a fox');
    // Nothing was answered to them.
    const strange = heard.filter((message) => typeof (message as {id?: unknown} | null)?.id !== 'number');
    expect(strange).toEqual(jasmine.arrayWithExactContents([...own, ...own]));
    for (const port of [channel.port1, channel.port2]) port.removeEventListener('message', listen);
  });

  it('says what is wrong as it is said here', async () => {
    spyOn(tf.engine(), 'findBackendFactory').and.returnValue(null as never); // whatever else has been loaded here
    const some = {data: text, batchSize: 1, length: 4, steps: 1, optimizer: {learningRate: 1}};
    const calls: Array<[() => Promise<unknown>, RegExp]> = [
      [() => model.generate('a', {topk: 3} as object).next(), /^generate: unknown option topk; .*did you mean topK\?$/],
      [() => model.fit({data: 'a', batchSize: 1, length: 4, steps: 1, optimizer: {learningRate: 1}}), /^tokenWindows: tokens must/],
      [() => worker.backend('webgpu9'), /^modelWorker: the backend webgpu9 does not start here, or the worker does not import it$/],
      [() => worker.fromPretrained([]), /^chosenFiles: there are no files$/],
      [() => worker.fromPretrained([new File([], 'a.txt')]), /^the choice of files has no config\.json$/],
      [() => model.encode('É'), /^characterTokenizer: text has "É"/],
      [() => worker.fromPretrained(null as never), /^fromPretrained: source must be a URL, .* files that somebody chose, but is null$/],
      [() => worker.backend('wasm'), /^modelWorker: the backend wasm .*; its \.wasm files have to be found: setWasmPaths/],
      [() => model.generate('a', {history: {} as never}).next(), /^generate: history must be one in the worker, such as/],
      [() => model.fit(undefined as never), /^fit: optimizer must be an object with learningRate .*, but is undefined$/],
      [() => model.fit({...some, data: undefined as never}), /^fit: data must be a text or token ids, but is undefined$/],
      [() => model.fit({...some, lr: 1} as never), /^fit: unknown argument lr; expected data, .*callbacks/],
    ]; // prettier-ignore
    for (const [call, message] of calls) await expectAsync(call()).toBeRejectedWithError(message);
  });

  it('says of a model that is disposed under its work that it was, and is there for others', async () => {
    const gone = 'modelWorker: the model has been disposed';
    const [one, two] = [await worker.mambaLM(config), await worker.mambaLM(config)];
    const write = async () => {
      for await (const {index} of one.generate([1], {maxNewTokens: 100, stopTokens: []}))
        if (index === 2) await one.dispose();
    };
    await expectAsync(write()).toBeRejectedWithError(gone);
    const disposed: Array<Promise<void>> = [];
    const onStep = ({step}: {step: number}) => void (step === 2 && disposed.push(two.dispose()));
    const options = {data: [...Array(200).keys()].map((i) => i % 27), batchSize: 2, length: 16, steps: 100};
    await expectAsync(
      two.fit({...options, optimizer: {learningRate: 0.01}, callbacks: {onStep}}),
    ).toBeRejectedWithError(gone);
    await Promise.all(disposed);
    expect(await model.decode(await model.encode('a fox'))).toBe('a fox');
  });

  it('is told of a worker whose file cannot be loaded', async () => {
    const target = new EventTarget();
    const broken = modelWorker(Object.assign(target, {postMessage() {}, terminate() {}}) as unknown as Worker);
    const call = broken.backend();
    target.dispatchEvent(new Event('error'));
    await expectAsync(call).toBeRejectedWithError('modelWorker: the worker stopped: its file could not be loaded');
  });
});

/** A promise, and what resolves it. */
function held<T>(): [(value: T) => void, Promise<T>] {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((given) => (resolve = given));
  return [resolve, promise];
}
