/**
 * Times llama.cpp, through node-llama-cpp, and says which tokens it chooses; a process of its own, as it brings its own threads.
 *
 *     node --import tsx llama.ts <file.gguf> <prompt: ids with commas> <new tokens> <threads, with commas>
 *
 * prints {"prefill": tokens/s, "decode": tokens/s, "best": tokens/s, "tokens": [...]}: prefill the best of several runs, decode by the median
 * token and by the best, each with the better number of threads.
 */
import {peerLlama} from './peers';

/** What is used of node-llama-cpp. */
interface Sequence {
  clearHistory(): Promise<void>;
  evaluateWithoutGeneratingNewTokens(tokens: number[]): Promise<void>;
  evaluate(tokens: number[], options: {temperature: number; yieldEogToken: boolean}): AsyncIterable<number>;
}
interface Llama {
  loadModel(options: {modelPath: string}): Promise<{
    createContext(options: {contextSize: number; batchSize: number; threads: number}): Promise<{
      getSequence(): Sequence;
      dispose(): Promise<void>;
    }>;
  }>;
}
type GetLlama = (options: Record<string, unknown>) => Promise<Llama>;

const [modelPath, ...rest] = process.argv.slice(2);
const [prompt, [count], threads] = rest.map((text) => text.split(',').map(Number));

const {getLlama} = (await import(peerLlama)) as {getLlama: GetLlama};
const llama = await getLlama({gpu: false, build: 'never', skipDownload: true, logLevel: 'error', progressLogs: false});
const model = await llama.loadModel({modelPath});
let prefill = Infinity;
let decode = Infinity;
let best = Infinity;
const tokens: number[] = [];
for (const n of threads) {
  const options = {contextSize: prompt.length + count + 8, batchSize: prompt.length, threads: n};
  const context = await model.createContext(options);
  const sequence = context.getSequence();
  for (let i = 0; i < 6; i++) {
    await sequence.clearHistory();
    const start = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(prompt);
    prefill = Math.min(prefill, performance.now() - start);
  }
  await sequence.clearHistory();
  tokens.length = 0;
  const times: number[] = [];
  let last: number | undefined;
  for await (const token of sequence.evaluate(prompt, {temperature: 0, yieldEogToken: true})) {
    const now = performance.now();
    if (last !== undefined) times.push(now - last); // the first holds the prefill
    last = now;
    if (tokens.push(token) === count) break;
  }
  times.sort((a, b) => a - b);
  decode = Math.min(decode, times[times.length >> 1]);
  best = Math.min(best, times[0]);
  await context.dispose();
}
console.log(JSON.stringify({prefill: (1e3 * prompt.length) / prefill, decode: 1e3 / decode, best: 1e3 / best, tokens}));
process.exit(0);
