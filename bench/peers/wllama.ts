/**
 * Times wllama, which is llama.cpp in WebAssembly, in a page, and says which tokens it chooses. Its pages and files are served at `at`: the package's
 * index.js and wllama.wasm, and the model as model.gguf, whose tokens have their numbers in angle brackets for text (gguf_file.py).
 */

/** What is used of @wllama/wllama. */
interface Completion {
  choices: Array<{text: string}>;
  timings?: {prompt_n: number; prompt_ms: number};
}
interface Wllama {
  loadModel(files: Blob[], options: Record<string, unknown>): Promise<void>;
  getNumThreads(): number;
  createCompletion(options: Record<string, unknown>): Promise<Completion>;
  exit(): Promise<void>;
}
interface Package {
  Wllama: new (paths: {default: string}, options: Record<string, unknown>) => Wllama;
}

/** What is measured of a model in a page. */
export interface Peer {
  /** Reads the prompt, and gives the milliseconds that it took by its own clock. */
  prefill(): Promise<number>;
  /** Reads the prompt and writes the tokens that come then. @param onToken called as each arrives in the page. */
  decode(onToken: () => void): Promise<number[]>;
  end(): Promise<void>;
}

export async function openWllama(at: string, threads: number, prompt: number[], count: number): Promise<Peer> {
  const {Wllama} = (await import(`${at}index.js`)) as Package;
  const silent = {debug() {}, log() {}, warn: console.warn, error: console.error};
  const wllama = new Wllama({default: `${at}wllama.wasm`}, {suppressNativeLog: true, logger: silent});
  const file = await (await fetch(`${at}model.gguf`)).blob();
  const context = {n_ctx: prompt.length + count + 8, n_batch: prompt.length, n_ubatch: prompt.length, n_parallel: 1};
  await wllama.loadModel([file], {...context, n_threads: threads, n_gpu_layers: 0, warmup: false});
  if (wllama.getNumThreads() !== threads)
    throw new Error(`wllama runs ${wllama.getNumThreads()} threads of ${threads}`);
  const text = prompt.map((id) => `<${id}>`).join('');
  const ask = (options: Record<string, unknown>) =>
    wllama.createCompletion({prompt: text, temperature: 0, cache_prompt: false, ignore_eos: true, ...options});

  return {
    async prefill() {
      const {timings} = await ask({max_tokens: 1});
      if (timings?.prompt_n !== prompt.length)
        throw new Error(`wllama read ${timings?.prompt_n} of ${prompt.length} tokens`);
      return timings.prompt_ms;
    },
    async decode(onToken) {
      let answer = '';
      const onData = ({choices: [choice]}: Completion) => {
        if (!choice?.text) return;
        onToken();
        answer += choice.text;
      };
      await ask({max_tokens: count, stream: true, onData});
      return Array.from(answer.matchAll(/<(\d+)>/g), ([, id]) => Number(id));
    },
    end: () => wllama.exit(),
  };
}
