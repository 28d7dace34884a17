/** A language model from nothing: trained on a text, saved in the Hugging Face layout, loaded again, and continued. */
import {mkdtemp} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join} from 'node:path';
import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-wasm';
import {
  adamW,
  byteTokenizer,
  fromPretrained,
  mambaLM,
  savePretrained,
  stateHistory,
  tokenWindows,
  trainer,
} from 'tfjs-mamba/node';

await tf.setBackend('wasm');
const model = mambaLM({vocabSize: 256, dModel: 32, nLayer: 2, dState: 8}, {seed: 1});
model.tokenizer = byteTokenizer();

const text = 'All happy families are alike; every unhappy family is unhappy in its own way. '.repeat(30);
const windows = tokenWindows(model.tokenizer.encode(text), {batchSize: 4, length: 48});
const {report} = await trainer(model, {optimizer: adamW({learningRate: 1e-2, clipNorm: 1})}).fit(windows, {steps: 60});
console.log(`loss ${report.loss.toFixed(3)}`);

const folder = await mkdtemp(join(tmpdir(), 'my-mamba-'));
await savePretrained(model, folder);
const loaded = await fromPretrained(folder);

const history = stateHistory();
let written = '';
for await (const token of loaded.generate('All happy', {history, maxNewTokens: 40, temperature: 0}))
  written += token.text;
// Not so: the last twelve tokens, which are bytes, again, drawn this time.
written = written.slice(0, -history.rollBack(12).length);
for await (const token of loaded.generate('', {history, maxNewTokens: 12, temperature: 0.5, seed: 1}))
  written += token.text;
console.log(`All happy${written}`);
