/** The worker, started when it is first needed: the package's calls, and questions of the page's own beside them. */
import {modelWorker, type ModelWorker} from 'tfjs-mamba/worker';
import type {Answers} from './device';

let started: {worker: Worker; models: ModelWorker} | undefined;

function thread() {
  if (!started) {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {type: 'module'});
    started = {worker, models: modelWorker(worker)};
  }
  return started;
}

export const models = () => thread().models;

export function ask<K extends keyof Answers>(what: K): Promise<Answers[K]> {
  const {port1, port2} = new MessageChannel();
  thread().worker.postMessage({ask: what}, [port2]);
  return new Promise((resolve, reject) => {
    port1.onmessage = ({data}: MessageEvent<{value: Answers[K]} | {error: string}>) => {
      port1.close();
      if ('error' in data) reject(new Error(data.error));
      else resolve(data.value);
    };
  });
}
