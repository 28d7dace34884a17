#!/usr/bin/env bash
# TensorFlow.js 4.22.0: tf.split into one piece and tf.unstack of an axis of length one have values but no gradient: tf.grad raises "Pass
# at least one tensor to concat" and "Argument tensors passed to stack must be a `Tensor[]` or `TensorLike[]`". Two pieces and more have
# their gradients, and so have tf.concat and tf.stack of one tensor.
#
# Where an op has a single output, its gradient function is handed the one tensor in place of a list, and these two expect a list.
# Surprising, because the numbers of pieces (documents in a row, blocks, heads) are often data: a program that splits a row by its documents
# evaluates every row, trains on most, and raises on the first row that holds only one, with a message about an op it does not call.
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
  const expected = {
    'value of split [3]': '[1,2,3]',
    'split [3]': 'raises: Pass at least one tensor to concat',
    'split [1,2]': '[1,2,3]',
    'concat of one': '[1,2,3]',
    'value of unstack [1,3]': '[1,2,3]',
    'unstack [1,3]': 'raises: Argument tensors passed to stack must be a `Tensor[]` or `TensorLike[]`',
    'unstack [2,3]': '[[1,2,3],[0,0,0]]',
    'stack of one': '[1,2,3]',
  };
  const x = tf.tensor1d([1, 2, 3]);
  const row = x.reshape([1, 3]);
  const gradient = (op, shape) => tf.grad((v) => op(v).mul(x).sum())(tf.ones(shape));
  const calls = {
    'value of split [3]': () => tf.split(x, [3])[0],
    'split [3]': () => gradient((v) => tf.split(v, [3])[0], [3]),
    'split [1,2]': () => gradient((v) => tf.concat(tf.split(v, [1, 2])), [3]),
    'concat of one': () => gradient((v) => tf.concat([v]), [3]),
    'value of unstack [1,3]': () => tf.unstack(row)[0],
    'unstack [1,3]': () => gradient((v) => tf.unstack(v)[0], [1, 3]),
    'unstack [2,3]': () => gradient((v) => tf.unstack(v)[0], [2, 3]),
    'stack of one': () => gradient((v) => tf.stack([v]), [3]),
  };
  const changed = [];
  for (const [name, call] of Object.entries(calls)) {
    let seen;
    try {
      seen = JSON.stringify(call().arraySync());
    } catch (error) {
      seen = `raises: ${error.message}`;
    }
    console.log(`${name}: ${seen}`);
    if (seen !== expected[name]) changed.push(name);
  }
  if (changed.length > 0) throw new Error(`this has changed: ${changed.join()}`);
})();
JS
node run.cjs 2>/dev/null
