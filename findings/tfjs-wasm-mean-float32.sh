#!/usr/bin/env bash
# TensorFlow.js 4.22.0, backend wasm: the mean of five million float32 values of 0.1 is 0.09565, 4 % off, and their sum 478,275 in
# place of 500,000. The backend cpu gives 0.1 and 500,000.
#
# The sum runs on in a single float32 accumulator from the first element to the last: near 2^18 each further 0.1 is rounded to a multiple of
# 1/32. Surprising, because the same library on another backend is right to the last digit, and because a mean over a few million
# elements (a loss over a long batch, a norm over the weights of a small model) is an everyday size.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0
cat >run.cjs <<'JS'
const tf = require('@tensorflow/tfjs');
require('@tensorflow/tfjs-backend-wasm');
(async () => {
  const off = {};
  for (const backend of ['cpu', 'wasm']) {
    await tf.setBackend(backend);
    if (tf.getBackend() !== backend) throw new Error(`${backend} does not start`);
    const x = tf.fill([5_000_000], 0.1);
    const [[mean], [sum]] = await Promise.all([x.mean().data(), x.sum().data()]);
    console.log(`${backend}: mean ${mean}, sum ${sum}`);
    off[backend] = Math.abs(mean - 0.1) / 0.1;
  }
  if (!(off.cpu < 1e-6 && off.wasm > 0.01)) throw new Error('this has changed');
})();
JS
node run.cjs 2>/dev/null
