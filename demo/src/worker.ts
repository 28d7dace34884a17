/** The worker's file: the backends that it may run on, and the package, answering the page. */
import {setWasmPaths} from '@tensorflow/tfjs-backend-wasm';
import plain from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import simd from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import threaded from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-threaded-simd.wasm?url';
import {createWebGPUBackend} from 'tfjs-mamba/webgpu';
import {serve} from 'tfjs-mamba/worker/serve';
import {answerPage} from './device';

const here = (path: string) => new URL(path, self.location.href).href;
setWasmPaths({
  'tfjs-backend-wasm.wasm': here(plain),
  'tfjs-backend-wasm-simd.wasm': here(simd),
  'tfjs-backend-wasm-threaded-simd.wasm': here(threaded),
});

// Without a GPU the other backends are there.
serve({ready: createWebGPUBackend().catch(() => undefined)});
answerPage();
