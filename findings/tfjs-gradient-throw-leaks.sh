#!/usr/bin/env bash
# TensorFlow.js 4.22.0: a function that throws while tf.variableGrads records it leaves tensors behind, although the call stands in
# tf.tidy: five after a square, an exponential, a product and a sum. Without the exception none is left.
#
# The engine keeps copies of what the gradient will need, outside every tidy scope, and forgets them without disposing them when the
# function throws. Surprising, because tf.tidy is documented to dispose what is made within it, and does so for exceptions elsewhere: a
# training loop that catches the error of one bad batch and goes on loses memory with each.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0
cat >run.cjs <<'JS'
const tf = require('@tensorflow/tfjs');
const left = (run) => {
  const before = tf.memory().numTensors;
  try {
    tf.tidy(run);
  } catch (error) {
    if (error.message !== 'bad batch') throw error;
  }
  return tf.memory().numTensors - before;
};
(async () => {
  await tf.setBackend('cpu');
  const v = tf.variable(tf.tensor1d([1, 2, 3]));
  const loss = () => v.square().mul(v.exp()).sum();
  const bad = () => {
    loss();
    throw new Error('bad batch');
  };
  const counts = {plain: left(bad), fine: left(() => tf.dispose(tf.variableGrads(loss, [v]))), recorded: left(() => tf.variableGrads(bad, [v]))};
  console.log(`left behind: thrown in tidy ${counts.plain}, gradients in tidy ${counts.fine}, thrown while recording in tidy ${counts.recorded}`);
  if (counts.plain !== 0 || counts.fine !== 0 || counts.recorded === 0) throw new Error('this has changed');
})();
JS
node run.cjs 2>/dev/null
