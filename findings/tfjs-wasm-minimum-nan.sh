#!/usr/bin/env bash
# TensorFlow.js 4.22.0, backend wasm: tf.minimum and tf.maximum give the number where the *second* operand is NaN, and NaN where the
# first is; clipByValue turns NaN into its lower bound. The backend cpu of the same release gives NaN in all these cases, as IEEE
# arithmetic and NumPy's minimum do.
#
# Surprising, because the result depends on the order of two operands of a symmetric function, and because a guard such as
# "scale = minimum(1, limit / norm)", common in gradient clipping, turns a diverged norm of NaN into a harmless 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0 @tensorflow/tfjs-backend-wasm@4.22.0
cat >run.cjs <<'JS'
const tf = require('@tensorflow/tfjs');
require('@tensorflow/tfjs-backend-wasm');
const one = () => tf.tensor1d([1]);
const nan = () => tf.tensor1d([NaN]);
(async () => {
  const seen = {};
  for (const backend of ['cpu', 'wasm']) {
    await tf.setBackend(backend);
    if (tf.getBackend() !== backend) throw new Error(`${backend} does not start`);
    const results = [tf.minimum(one(), nan()), tf.minimum(nan(), one()), tf.maximum(one(), nan()), tf.clipByValue(nan(), -1, 1)];
    seen[backend] = (await Promise.all(results.map((t) => t.data()))).map(([x]) => String(x)).join(' ');
    console.log(`${backend}: minimum(1, NaN), minimum(NaN, 1), maximum(1, NaN), clipByValue(NaN, -1, 1) = ${seen[backend]}`);
  }
  if (seen.cpu !== 'NaN NaN NaN NaN' || seen.wasm !== '1 NaN 1 -1') throw new Error('this has changed');
})();
JS
node run.cjs 2>/dev/null
