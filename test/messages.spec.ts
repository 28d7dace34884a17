/** What a new user is told who tries what everyone tries first: each message says what to do instead. */
import {spawnSync} from 'node:child_process';
import {readFileSync} from 'node:fs';
import * as tf from '@tensorflow/tfjs';
import * as ofWorkers from '../src/entry/worker';
import * as api from '../src/index';
import {
  addAdapter,
  adamW,
  layers,
  loadTokenizer,
  lossCurve,
  mambaLM,
  rmsNorm,
  tokenWindows,
  trainer,
  type MambaLM,
} from '../src/index';
import {didYouMean} from '../src/ops/suggest';
import {smallConfig, smallModel} from './lm/smallModel';

/** Code that is wrong in JavaScript and would not compile in TypeScript. */
type Untyped = never;

const ids = () => tf.tensor2d([[1, 2, 3]], [1, 3], 'int32');
const labels = (values: number[], dtype: 'int32' | 'float32' = 'float32') => tf.tensor2d([values], [1, 3], dtype);

describe('a message', () => {
  let model: MambaLM;

  beforeAll(() => {
    model = smallModel();
  });
  afterAll(() => model.dispose());
  beforeEach(() => tf.engine().startScope());
  afterEach(() => tf.engine().endScope());

  const config = (fields: object) => () => mambaLM({...smallConfig, ...fields});
  const cases: Array<[string, () => unknown, RegExp]> = [
    ['compile without an argument', () => model.compile(undefined as Untyped), /^compile: optimizer is missing; for instance compile\(\{optimizer: adamW\(/],
    ['compile without an optimizer', () => model.compile({} as Untyped), /^compile: optimizer is missing/],
    ['no configuration', () => mambaLM(undefined as Untyped), /^MambaConfig must be an object, but is undefined$/],
    ['a preset that is none', () => mambaLM('mamba-7b' as Untyped), /^MambaConfig must be one of mamba-130m, .*, but is "mamba-7b"$/],
    ['a missing size', () => mambaLM({dModel: 8} as Untyped), /^MambaConfig: vocabSize must be a positive integer, but is undefined$/],
    ['a size as text', config({dModel: '8'}), /^MambaConfig: dModel must be a positive integer, but is "8"$/],
    ['nLayers', config({nLayers: 2}), /^MambaConfig has no field nLayers; .* it has vocabSize, .*; did you mean nLayer\?$/],
    ['hidden_size', config({hidden_size: 2}), /; did you mean dModel\?$/],
    ['num_hidden_layers', config({num_hidden_layers: 2}), /; did you mean nLayer\?$/],
    ['state_size', config({state_size: 2}), /; did you mean dState\?$/],
    ['d_state', config({d_state: 2}), /; did you mean dState\?$/],
    ['tie_word_embeddings', config({tie_word_embeddings: true}), /; did you mean tieEmbeddings\?$/],
    ['hidden_size in place of dModel', () => mambaLM({vocabSize: 9, hidden_size: 8, nLayer: 1} as Untyped), /^MambaConfig has no field hidden_size; .*; did you mean dModel\?$/],
    ['n_layer in place of nLayer', () => mambaLM({vocabSize: 9, dModel: 8, n_layer: 1} as Untyped), /^MambaConfig has no field n_layer; .*; did you mean nLayer\?$/],
    ['vocab_size in place of vocabSize', () => mambaLM({vocab_size: 9, dModel: 8, nLayer: 1} as Untyped), /^MambaConfig has no field vocab_size; .*; did you mean vocabSize\?$/],
    ["d_model, as Python's layer has it", () => layers.mamba({d_model: 8} as Untyped), /^Mamba: unknown option d_model; .*; the layer keeps the width of its input: put/],
    ['units', () => layers.mamba({units: 8} as Untyped), /^Mamba: unknown option units; expected dState, .*; the layer keeps the width of its input: put tf\.layers\.dense\(\{units\}\) before/],
    ['an option as in a config.json', () => layers.mambaBlock({conv_kernel: 4} as Untyped), /^MambaBlock: unknown option conv_kernel; .*; did you mean dConv\?$/],
    ['an option in another case', () => layers.mamba({returnsequences: false} as Untyped), /; did you mean returnSequences\?$/],
    ['a dtype', () => layers.mamba({dtype: 'float16' as Untyped}), /^Mamba: dtype must be float32, but is "?float16"?$/],
    ['a kernel size as text', () => layers.causalConv1d({kernelSize: '4'} as Untyped), /^CausalConv1D: kernelSize must be a positive integer, but is "4"$/],
    ['integers', () => layers.mamba().apply(tf.ones([1, 4, 2], 'int32')), /^Mamba: input must have dtype float32, but has int32; toFloat\(\) casts it$/],
    ['no features', () => layers.mamba().apply(tf.input({shape: [8]})), /^Mamba: input must have shape \[batch, length, dModel\], but has \[null,8\]; expandDims\(-1\), or tf\.layers\.reshape/],
    ['a trainer without an optimizer', () => trainer(model, {} as Untyped), /^trainer: optimizer must be a tf\.Optimizer, such as adamW makes$/],
    ['a weight decay under another name', () => adamW({learningRate: 1, weight_decay: 0.1} as Untyped), /^adamW: unknown argument weight_decay; .*; did you mean weightDecay\?$/],
    ['a learning rate as PyTorch has it', () => adamW({lr: 1} as Untyped), /^adamW: unknown argument lr; .*; did you mean learningRate\?$/],
    ["a rank as PEFT has it", () => addAdapter(model, {r: 4} as Untyped), /^addAdapter: unknown argument r; .*; did you mean rank\?$/],
    ['a length under another name', () => tokenWindows([1, 2], {seq_len: 1, batchSize: 1} as Untyped), /; did you mean length\?$/],
    ['a rate as text', () => adamW({learningRate: '1'} as Untyped), /^adamW: learningRate must be .*, but is "1"$/],
    ['an order of windows', () => tokenWindows([1, 2], {length: 1, batchSize: 1, order: 'x'} as Untyped), /, but is "x"$/],
    ['a seed as text', () => mambaLM(smallConfig, {seed: '1'} as Untyped), /^mambaLM: seed must be a number, but is "1"$/],
    ['a tensor in place of the arguments', () => rmsNorm(tf.ones([2, 3]) as Untyped), /^rmsNorm: the argument must be an object with x, weight, .*, but is Tensor$/],
    ['a number in place of the options', () => layers.mamba(8 as Untyped), /^Mamba: the options are an object with dState, .*, but 8 was given$/],
    ['what fit gives, to draw', () => lossCurve({step: 4, ended: 'steps', report: {step: 4, loss: 1}} as Untyped), /^lossCurve: history is what fit gives, .* onStep is told each$/],
  ]; // prettier-ignore
  for (const [name, run, message] of cases) {
    it(`helps with ${name}`, () => {
      expect(run).toThrowError(message);
    });
  }

  const windows = () => tokenWindows([1, 2, 3, 4], {length: 2, batchSize: 1});
  const fit = (options: object) => () =>
    trainer(model, {optimizer: adamW({learningRate: 1})}).fit(windows(), options as Untyped);
  const write =
    (prompt: unknown, options = {}) =>
    () =>
      model.generate(prompt as Untyped, options).next();
  const later: Array<[string, () => Promise<unknown>, RegExp]> = [
    ['epochs in place of steps', fit({epochs: 1}), /^trainer: unknown argument epochs; .*; did you mean steps\?$/],
    ['a folder in place of checkpoints', fit({steps: 1, checkpoint: './run'}), /^trainer: checkpoint must be \{target, every\}, but is "\.\/run"; target: folderCheckpoints\("\.\/run"\)$/],
    ['a temperature as text', write([1], {temperature: '1'}), /^generate: temperature must be a number of 0 or more, but is "1"$/],
    ['no prompt', write(undefined), /^generate: prompt must be a list of token ids, .*an int32 tensor.*, or a text, but is undefined$/],
    ['a typed array as a prompt', write(Int32Array.of(1)), /^generate: prompt must be .*, but is Int32Array$/],
    ['nothing to load a tokenizer from', () => loadTokenizer(undefined), /^loadTokenizer: source must be a path, a URL, a Hub id or the parsed content of a tokenizer\.json, but is undefined$/],
    ['another file than a tokenizer', () => loadTokenizer({}), /^loadTokenizer: json must be the content of a tokenizer\.json/],
  ]; // prettier-ignore
  for (const [name, run, message] of later) {
    it(`helps with ${name}`, async () => {
      await expectAsync(run()).toBeRejectedWithError(message);
    });
  }

  it('suggests what is near, in another case or elsewhere the name of the same, and nothing else', () => {
    const known = ['maxNewTokens', 'temperature', 'topK', 'topP'];
    const meant: Record<string, string> = {
      topk: 'topK',
      max_new_tokens: 'maxNewTokens',
      maxNewToken: 'maxNewTokens',
      temprature: 'temperature',
      temp: 'temperature',
      limit: 'maxNewTokens',
    };
    for (const [name, other] of Object.entries(meant)) {
      expect(didYouMean(name, known, {limit: 'maxNewTokens'})).toBe(`; did you mean ${other}?`);
    }
    for (const name of ['top', 'beams', 'k', '', 'constructor']) expect(didYouMean(name, known)).toBe('');
    expect(didYouMean('limit', ['a'], {limit: 'maxNewTokens'})).toBe('');
  });

  it('is not needed for a loss by the name that everyone tries, nor for whole labels in float32', async () => {
    const loss = async (name: string | undefined, dtype: 'int32' | 'float32') => {
      model.compile({optimizer: tf.train.sgd(0), loss: name});
      const result = model.evaluate(ids(), labels([2, 3, -100], dtype)) as tf.Scalar;
      return (await result.data())[0];
    };
    const expected = await loss(undefined, 'int32');
    expect(expected).toBeGreaterThan(0);
    expect(await loss('sparseCategoricalCrossentropy', 'int32')).toBe(expected);
    expect(await loss('sparseCategoricalCrossentropy', 'float32')).toBe(expected);
    const dataset = (ys: () => tf.Tensor) => ({
      iterator: async () => {
        const items = [{xs: ids(), ys: ys()}].map((value) => ({done: false as const, value}));
        return {next: async () => items.pop() ?? {done: true as const, value: undefined}};
      },
    });
    const learner = trainer(model, {optimizer: adamW({learningRate: 0.1})});
    const evaluated = await learner.evaluate(dataset(() => labels([2, 3, -100])));
    expect(evaluated.loss).toBeCloseTo(expected, 5);
    const broken = () => labels([2, 1.5, 3]);
    await expectAsync(learner.evaluate(dataset(broken))).toBeRejectedWithError(
      /^trainer: labels must hold integers, but has 1\.5$/,
    );
    expect(() => model.evaluate(ids(), broken())).toThrowError(/^MambaLM: labels must hold integers, but has 1\.5$/);
  });
});

describe('a function of the package', () => {
  /** That no argument has to be given to; some would change the backend of the other specs. */
  const free = 'autoBackend backendInfo byteTokenizer joinCluster memoryCheckpoints restartBackend stateHistory'.split(
    ' ',
  );
  const isClass = (value: unknown) => String(value).startsWith('class');
  const functions = Object.entries({...api, ...ofWorkers} as Record<string, unknown>).filter(
    ([name, value]) => typeof value === 'function' && !isClass(value) && !free.includes(name),
  ) as Array<[string, (...args: unknown[]) => unknown]>;

  it('says by its name what is missing', async () => {
    expect(functions.length).toBeGreaterThan(40);
    for (const [name, call] of functions) {
      for (const args of [[], [{}]]) {
        const message = await (async () => call(...args))().then(
          () => 'nothing',
          (error: Error) => error.message,
        );
        expect(message)
          .withContext(`${name}(${args.map(() => '{}').join()})`)
          .toMatch(new RegExp(`^(${name}:|MambaConfig[: ])(?!.*undefined undefined)`));
      }
    }
  });
});

describe("the package's command", () => {
  const {version} = JSON.parse(readFileSync('package.json', 'utf8')) as {version: string};
  const cases: Array<[string[], number, {stdout?: RegExp; stderr?: RegExp}]> = [
    [['--help'], 0, {stdout: /^Usage: tfjs-mamba <command>/}],
    [['setup-native', '--help'], 0, {stdout: /^Usage: tfjs-mamba setup-native/}],
    [['--version'], 0, {stdout: new RegExp(`^${version.replaceAll('.', '\\.')}\\n$`)}],
    [[], 2, {stderr: /^tfjs-mamba: a command is missing; tfjs-mamba --help lists what there is\n$/}],
    [['setup'], 2, {stderr: /^tfjs-mamba: unknown command 'setup'; tfjs-mamba --help lists what there is\n$/}],
    [['--cuda'], 2, {stderr: /^tfjs-mamba: unknown option '--cuda'; tfjs-mamba --help lists what there is\n$/}],
    [['setup-native', '--cude'], 2, {stderr: /^tfjs-mamba setup-native: Unknown option .--cude./}],
  ];

  it('answers to --help and --version, and says what it does not know', () => {
    for (const [args, code, {stdout = /^$/, stderr = /^$/}] of cases) {
      const ended = spawnSync(process.execPath, ['bin/tfjs-mamba.js', ...args], {encoding: 'utf8'});
      expect(ended.status).withContext(args.join(' ')).toBe(code);
      expect(ended.stdout).withContext(args.join(' ')).toMatch(stdout);
      expect(ended.stderr).withContext(args.join(' ')).toMatch(stderr);
    }
  });
});
