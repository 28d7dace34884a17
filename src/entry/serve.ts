/**
 * The worker's side of `tfjs-mamba/worker`: all of the package, answering the page. What the worker's file imports of backends
 * (`@tensorflow/tfjs-backend-wasm`, `tfjs-mamba/webgpu`) is what it can run on, besides webgl and cpu.
 *
 * @packageDocumentation
 */
import '../requireTfjs';
import '../kernels/all';
import {answer} from '../worker/host';
import type {Port} from '../worker/messages';
import {methods} from '../worker/methods';

/** How {@link serve} begins. */
export interface ServeOptions {
  /** What has to be there first, such as a backend that is being made; requests wait for it. */
  ready?: Promise<unknown>;
}

/**
 * Answers the page from now on. To be called once and at once, in the worker's file: what the page asks before somebody listens is
 * lost.
 */
export function serve({ready}: ServeOptions = {}): void {
  answer(globalThis as unknown as Port, methods, ready);
}
