#!/usr/bin/env bash
# TensorFlow.js 4.22.0, backend webgpu: tf.cumsum(…, reverse = true) is right for the first length that a process asks for, and wrong
# for every other: after a row of 13 ones, whose sums are right, the reversed sums of [1,2,3,4,5] come out other than 15,14,12,9,5. In a
# process of its own the same row is right. Forward sums are right throughout.
#
# The length of the axis stands in the text of the shader for the reversed direction, but not in the key under which the compiled
# shader is kept, so the first one serves all. Surprising, because each call alone, as a test would make it, is right.
# Needs a Vulkan driver, a GPU's or a software one (VK_ICD_FILENAMES names its description).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-webgpu@4.22.0 webgpu@0.6.2
cat >run.mjs <<'JS'
import {create, globals} from 'webgpu';
Object.assign(globalThis, globals);
Object.defineProperty(globalThis, 'navigator', {value: {gpu: create([])}, configurable: true});
const {default: tf} = await import('@tensorflow/tfjs');
await import('@tensorflow/tfjs-backend-webgpu');
await tf.setBackend('webgpu');
if (tf.getBackend() !== 'webgpu') throw new Error('webgpu does not start');
tf.env().set('WEBGPU_CPU_FORWARD', false); // small tensors would be summed on the processor
const sums = async (x, reverse) => Array.from(await tf.tensor1d(x).cumsum(0, false, reverse).data()).join();
const row = [1, 2, 3, 4, 5];
const first = process.argv[2] === 'after' ? await sums(new Array(13).fill(1), true) : '';
const seen = {first, reversed: await sums(row, true), forward: await sums(row, false)};
console.log(process.argv[2], JSON.stringify(seen));
if (first !== '' && first !== '13,12,11,10,9,8,7,6,5,4,3,2,1') throw new Error('the first length is wrong: this has changed');
if (seen.forward !== '1,3,6,10,15') throw new Error('forward sums are wrong: this has changed');
if ((seen.reversed === '15,14,12,9,5') !== (process.argv[2] === 'alone')) throw new Error('this has changed');
process.exit(0);
JS
node run.mjs alone 2>/dev/null
node run.mjs after 2>/dev/null
