/**
 * What the passes need of a device, and its loss. A browser may take the GPU away at any time: the context is lost, and with it every
 * tensor that was on it. TensorFlow.js does not look: commands then do nothing, `dataSync()` answers zeros, `data()` waits for ever, and a
 * context that the browser gives back is empty but looks well. So the loss is recorded: from then on kernels and reads throw.
 */
import {env} from '@tensorflow/tfjs';

type Read<T> = (dataId: object) => T;

/** What is watched of TensorFlow.js's webgl backend. */
export interface WatchedBackend {
  gpgpu: {gl: WebGL2RenderingContext; itemsToPoll: unknown[]};
  texData: {get(dataId: object): {values: unknown}};
  read: Read<Promise<unknown>>;
  readSync: Read<unknown>;
}

/** The contexts that are gone, and those that are watched. */
const lost = new WeakSet<WebGL2RenderingContext>();
const watched = new WeakSet<WatchedBackend>();

/** Whether the context has been lost at any time, even if the browser has given it back since. */
function isLost(gl: WebGL2RenderingContext): boolean {
  if (gl.isContextLost()) lost.add(gl);
  return lost.has(gl);
}

const lossError = (name: string) =>
  new Error(
    `${name}: the WebGL context was lost: the browser has taken the GPU away, and with it every tensor that was there. ` +
      'restartBackend() starts webgl anew; then load the model again, or have backupWeights write its weights back',
  );

/** Throws if the context is lost, or if the device cannot do what the passes need: WebGL2, and float32 textures for the sums they keep. */
export function checkDevice(name: string, backend: WatchedBackend): void {
  if (!watched.has(backend)) {
    watched.add(backend);
    guardReads(backend);
  }
  const flags = env();
  if (flags.getNumber('WEBGL_VERSION') !== 2) {
    throw new Error(`${name}: the webgl backend runs on WebGL 1 here, but the kernels need WebGL 2; use wasm`);
  }
  if (!flags.getBool('WEBGL_RENDER_FLOAT32_ENABLED')) {
    throw new Error(
      `${name}: this device has only half-float textures to write to, but the kernels need float32; use wasm`,
    );
  }
  checkContext(name, backend);
}

/** Throws if the context is lost. */
export function checkContext(name: string, {gpgpu}: WatchedBackend): void {
  if (isLost(gpgpu.gl)) throw lossError(name);
}

/** Lets no read answer after a loss, except what lies in JavaScript's memory. */
function guardReads(backend: WatchedBackend): void {
  const {gpgpu, texData} = backend;
  const {gl} = gpgpu;
  /** How to end the reads under way. A promise of the loss, raced against, would hold on to everything ever read. */
  const waiting = new Set<(error: Error) => void>();
  gl.canvas.addEventListener('webglcontextlost', () => {
    lost.add(gl);
    gpgpu.itemsToPoll = []; // fences that no one will ever reach
    waiting.forEach((reject) => reject(lossError('data')));
  });
  const isAtHand = (dataId: object) => Boolean(texData.get(dataId).values);

  const read = backend.read.bind(backend);
  backend.read = (dataId) =>
    new Promise((resolve, reject) => {
      if (isLost(gl) && !isAtHand(dataId)) throw lossError('data');
      waiting.add(reject);
      void read(dataId)
        .then(resolve, reject)
        .finally(() => waiting.delete(reject));
    });

  const readSync = backend.readSync.bind(backend);
  backend.readSync = (dataId) => {
    if (isAtHand(dataId)) return readSync(dataId);
    if (isLost(gl)) throw lossError('dataSync');
    const values = readSync(dataId);
    if (isLost(gl)) throw lossError('dataSync');
    return values;
  };
}
