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

/** Answers the page from now on; to be called once, when the worker's file has imported and set up its backends. */
export function serve(port: Port = globalThis as unknown as Port): void {
  answer(port, methods);
}
