#!/usr/bin/env bash
# TensorFlow.js 4.22.0: tf.train.adam().setWeights() does not dispose the slots that the optimizer had, so that two tensors per variable are
# lost at every call; and each getWeights() makes a new tensor `iter` that belongs to nobody.
#
# Surprising, because these are the two calls by which a program saves and restores an optimizer, as model.save({includeOptimizer:
# true}) does, and because weights that getWeights() hands out otherwise stay the optimizer's own: disposing them all would break it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0
cat >run.cjs <<'JS'
const tf = require('@tensorflow/tfjs');
(async () => {
  await tf.setBackend('cpu');
  const v = tf.variable(tf.tensor1d([1, 2, 3]));
  const optimizer = tf.train.adam(0.1);
  tf.dispose(optimizer.minimize(() => v.square().sum(), true));
  const grown = async (call) => {
    const before = tf.memory().numTensors;
    await call();
    return tf.memory().numTensors - before;
  };
  const weights = await optimizer.getWeights();
  const calls = 5;
  const set = await grown(async () => {
    for (let i = 0; i < calls; i++) await optimizer.setWeights(weights);
  });
  const get = await grown(async () => {
    for (let i = 0; i < calls; i++) await optimizer.getWeights();
  });
  console.log(`after ${calls} calls: setWeights left ${set} tensors, getWeights ${get}, for one variable`);
  if (set !== 2 * calls || get !== calls) throw new Error('this has changed');
})();
JS
node run.cjs 2>/dev/null
