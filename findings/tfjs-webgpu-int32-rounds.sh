#!/usr/bin/env bash
# TensorFlow.js 4.22.0, backend webgpu: ops that only move int32 values round those above 2^24 to float32, without a word: of 16777217
# tf.gather, slice, concat, reverse and transpose make 16777216, and of 2000000001 they make 2000000000. The backends cpu and wasm keep
# every bit.
#
# The buffers on the GPU hold whole 32-bit integers (what is read back from one is exact), but the shaders read each as a float and write
# that. Surprising, because no arithmetic is asked for and the result says int32 (packed bits, hashes and seeds come out as others), and
# because the same call on the same tensor is right until another op has used the tensor: a small tensor whose values are still at hand is
# gathered on the processor.
# Needs a Vulkan driver, a GPU's or a software one (VK_ICD_FILENAMES names its description).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0 \
  @tensorflow/tfjs-backend-webgpu@4.22.0 webgpu@0.6.2
cat >run.mjs <<'JS'
import {create, globals} from 'webgpu';
Object.assign(globalThis, globals);
Object.defineProperty(globalThis, 'navigator', {value: {gpu: create([])}, configurable: true});
const {default: tf} = await import('@tensorflow/tfjs');
await import('@tensorflow/tfjs-backend-wasm');
await import('@tensorflow/tfjs-backend-webgpu');
const values = [16777217, 2000000001, -16777219, 7];
const moved = {
  gather: (x) => tf.gather(x, [0, 1, 2, 3]),
  slice: (x) => x.slice([0], [4]),
  concat: (x) => tf.concat([x, x]), // of which the first half is looked at
  reverse: (x) => x.reverse().reverse(),
  transpose: (x) => x.reshape([2, 2]).transpose().transpose(),
};
const use = (x) => x.square().dispose();
const read = async (t) => `${t.dtype} ${Array.from(await t.data()).slice(0, values.length).join()}`;
const exact = `int32 ${values.join()}`;
const rounded = `int32 ${Array.from(Float32Array.from(values)).join()}`;
const changed = [];
const expectSeen = (what, seen, expected) => {
  console.log(`${what}: ${seen}`);
  if (seen !== expected) changed.push(what);
};
for (const backend of ['cpu', 'wasm', 'webgpu']) {
  await tf.setBackend(backend);
  if (tf.getBackend() !== backend) throw new Error(`${backend} does not start`);
  for (const [op, move] of Object.entries(moved)) {
    const x = tf.tensor1d(values, 'int32');
    if (op === 'gather') expectSeen(`${backend}, gather of an unused tensor`, await read(move(x)), exact);
    use(x);
    expectSeen(`${backend}, ${op}`, await read(move(x)), backend === 'webgpu' ? rounded : exact);
    expectSeen(`${backend}, the tensor itself after ${op}`, await read(x), exact);
  }
}
if (changed.length > 0) throw new Error(`this has changed: ${changed.join('; ')}`);
process.exit(0);
JS
node run.mjs 2>/dev/null
