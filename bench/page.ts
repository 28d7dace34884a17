/**
 * `bench -- lm --backend wasm@chromium`, the page's half: the model that is served beside it, ours and wllama's in turns. Ours runs on the page's
 * own thread and wllama in its worker.
 */
import * as tf from '@tensorflow/tfjs';
import {fromPretrained} from '../src';
import type {Peer} from './peers/wllama';
import {openWllama} from './peers/wllama';

const TURNS = 2;
/** Of a turn; the first is not counted. */
const PREFILLS = 4;

/** Tokens a second: by the clock the best prefill, the median token and the best token, by processor time the best turn; and the tokens. */
export interface Rates {
  prefill: number;
  decode: number;
  best: number;
  prefillByCpu: number;
  decodeByCpu: number;
  tokens: number[];
}

/** @param threads How many threads wllama is given, each in a turn of its own; none where it is not installed. */
export async function measureModel(
  at: string,
  prompt: number[],
  count: number,
  threads: number[],
): Promise<Record<string, Rates>> {
  const measured: Record<string, Rates> = {};
  const turn = async (name: string, peer: Peer) => {
    const rates = await measure(at, peer, prompt.length);
    await peer.end();
    const before = measured[name] as Rates | undefined;
    const better = (what: keyof Omit<Rates, 'tokens'>) => Math.max(rates[what], before?.[what] ?? 0);
    const [prefill, decode, best] = [better('prefill'), better('decode'), better('best')];
    measured[name] = {
      prefill,
      decode,
      best,
      prefillByCpu: better('prefillByCpu'),
      decodeByCpu: better('decodeByCpu'),
      tokens: rates.tokens,
    };
  };
  for (let i = 0; i < TURNS; i++) {
    await turn('this package', await openOurs(at, prompt, count));
    for (const n of threads)
      await turn(`wllama, ${n} thread${n > 1 ? 's' : ''}`, await openWllama(at, n, prompt, count));
  }
  return measured;
}

async function openOurs(at: string, prompt: number[], count: number): Promise<Peer> {
  const model = await fromPretrained(at);
  return {
    async prefill() {
      const start = performance.now();
      const {logits, state} = model.prefill([prompt]);
      logits.dataSync();
      const took = performance.now() - start;
      tf.dispose([logits, state]);
      return took;
    },
    async decode(onToken) {
      const tokens: number[] = [];
      for await (const {id} of model.generate(prompt, {temperature: 0, maxNewTokens: count, stopTokens: []})) {
        onToken();
        tokens.push(id);
      }
      return tokens;
    },
    end: () => Promise.resolve(void model.dispose()),
  };
}

/** Milliseconds that this browser's processes have been given. */
const processorTime = async (at: string) => Number(await (await fetch(`${at}processorTime`)).text());

async function measure(at: string, peer: Peer, length: number): Promise<Rates> {
  await peer.prefill();
  let start = await processorTime(at);
  let prefill = Infinity;
  for (let i = 1; i < PREFILLS; i++) prefill = Math.min(prefill, await peer.prefill());
  const prefillCpu = ((await processorTime(at)) - start) / (PREFILLS - 1);

  const ends: number[] = [];
  start = await processorTime(at);
  const tokens = await peer.decode(() => ends.push(performance.now()));
  const decodeCpu = (await processorTime(at)) - start - prefillCpu;
  const times = ends.slice(1).map((end, i) => end - ends[i]); // the first holds the prefill
  times.sort((a, b) => a - b);
  return {
    prefill: (1e3 * length) / prefill,
    decode: 1e3 / times[times.length >> 1],
    best: 1e3 / times[0],
    prefillByCpu: (1e3 * length) / prefillCpu,
    decodeByCpu: (1e3 * times.length) / decodeCpu,
    tokens,
  };
}
