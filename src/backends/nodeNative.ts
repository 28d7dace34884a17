/**
 * Loads tfjs-node and the native op library, for Node. Each may be missing: then the reason is kept, to be told, and the program runs
 * on the backends it has.
 */
import {existsSync} from 'node:fs';
import {createRequire} from 'node:module';
import {dirname, join} from 'node:path';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs';
import type {NativeDecoders} from './tensorflow';

/** The addon `tfjs_mamba_loader.node`. */
export interface Loader extends NativeDecoders {
  load(opLibrary: string): void;
  info(): {tensorflow: string; simd: string; threads: number};
  openCluster(options: ClusterOptions): Promise<void>;
  /**
   * Gives the values of the result; `group` is TensorFlow's key of the `size` ranks that call together. A number is that of a bundle of
   * tensors (src/cluster/nodeBundle.ts), which then holds the result.
   */
  collective<T extends Float32Array | Int32Array | number>(
    kind: CollectiveKind,
    group: number,
    size: number,
    key: number,
    shape: readonly number[],
    data: T,
  ): Promise<T>;
}

/** A collective op of TensorFlow and its variant; `send` and `receive` are the two sides of a broadcast. */
export type CollectiveKind = 'sum' | 'mean' | 'max' | 'min' | 'gather' | 'send' | 'receive';

/** As custom-ops/loader/collectives.h has them. */
interface ClusterOptions {
  config: Uint8Array;
  serverDef: Uint8Array;
  job: string;
  peers: string[];
  rank: number;
  timeout: number;
  patience: number;
  communication: string;
}

/** What came of loading. */
export interface NativeState {
  /** The tfjs-node package that was loaded. */
  tfjsNode?: '@tensorflow/tfjs-node-gpu' | '@tensorflow/tfjs-node';
  /** Present when the op library is loaded. */
  loader?: Loader;
  /** Why something is missing, and what to do. */
  hint?: string;
}

let state: NativeState | undefined;

/** Loads what is there, once. Never throws. */
export function loadNative(): NativeState {
  if (!state) {
    const chosen = tf.engine().backendName as string | undefined;
    state = load();
    // tfjs-node makes itself the backend as it is loaded; a choice made before stands.
    if (chosen !== undefined) void tf.setBackend(chosen);
  }
  return state;
}

const setUp = 'Run `npx tfjs-mamba setup-native` to get it.';

function load(): NativeState {
  const require = createRequire(import.meta.url);
  restoreRemovedFunctions();
  const failures: string[] = [];
  const tfjsNode = (['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'] as const).find((name) => {
    if (!resolves(require, name)) return false;
    try {
      require(name);
      return true;
    } catch (error) {
      failures.push(`${name} could not be loaded: ${firstLine(error)}`);
      return false;
    }
  });
  if (tfjsNode === undefined) {
    const reason = failures.length > 0 ? failures.join('; ') : '@tensorflow/tfjs-node is not installed';
    return {hint: `${reason}. ${setUp}`};
  }
  const folder = join(dirname(require.resolve('tfjs-mamba/package.json')), 'native');
  if (!existsSync(join(folder, 'native.json'))) {
    return {tfjsNode, hint: `The native op library has not been built. ${setUp}`};
  }
  try {
    const loader = require(join(folder, 'tfjs_mamba_loader.node')) as Loader;
    loader.load(join(folder, 'tfjs_mamba_ops.so'));
    const cuda = join(folder, 'tfjs_mamba_cuda.so');
    if (existsSync(cuda)) loader.load(cuda);
    return {tfjsNode, loader};
  } catch (error) {
    return {tfjsNode, hint: `The native op library could not be loaded: ${firstLine(error)}. ${setUp}`};
  }
}

function resolves(require: NodeJS.Require, name: string): boolean {
  try {
    require.resolve(name);
    return true;
  } catch {
    return false;
  }
}

/** Without a full stop, for it goes on. */
function firstLine(error: unknown): string {
  const [line] = (error instanceof Error ? error.message : String(error)).split('\n');
  return line.trim().replace(/\.$/, '');
}

/** tfjs-node 4.22 calls two functions of `util` that Node 23 removed. */
function restoreRemovedFunctions(): void {
  const old = util as unknown as Record<string, unknown>;
  old['isNullOrUndefined'] ??= (value: unknown) => value === null || value === undefined;
  old['isArray'] ??= Array.isArray;
}
