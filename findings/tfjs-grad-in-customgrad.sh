#!/usr/bin/env bash
# TensorFlow.js 4.22.0: tf.grad called within the `gradFunc` of a tf.customGrad, which is how a layer is computed again in the backward
# pass to save memory, is right itself, but the gradient around it then raises "Cannot read properties of null (reading 'forEach')". With
# the derivative written out by hand, the same customGrad works.
#
# The engine keeps one list of recorded ops. An inner gradient that begins when the outer one has stopped recording replaces that list by
# its own and sets it to null in the end, where the outer one still needs it to clean up. Surprising, because gradients within gradients are
# supported: the very function that cannot be differentiated once can be differentiated twice, for then the outer gradient still records.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0
cat >run.cjs <<'JS'
const tf = require('@tensorflow/tfjs');
const cube = (x) => x.square().mul(x);
const custom = (derivative) =>
  tf.customGrad((x, save) => {
    save([x]);
    return {value: cube(x), gradFunc: (dy, [saved]) => derivative(saved, dy)};
  });
let inner;
const byHand = custom((x, dy) => dy.mul(x.square().mul(3)));
const recomputed = custom((x, dy) => {
  const dx = tf.grad(cube)(x, dy);
  inner = String(dx.arraySync());
  return dx;
});
(async () => {
  await tf.setBackend('cpu');
  const x = tf.tensor1d([1, 2]);
  const attempt = (run) => {
    try {
      return String(run().arraySync());
    } catch (error) {
      return `${error.name}: ${error.message}`;
    }
  };
  const seen = {
    'by hand': attempt(() => tf.grad(byHand)(x)),
    recomputed: attempt(() => tf.grad(recomputed)(x)),
    'the inner one': inner,
    'recomputed, second derivative': attempt(() => tf.grad((v) => tf.grad(recomputed)(v))(x)),
  };
  for (const [name, what] of Object.entries(seen)) console.log(`${name}: ${what}`);
  const isNull = seen.recomputed.startsWith('TypeError') && seen.recomputed.includes('null');
  if (seen['by hand'] !== '3,12' || !isNull || inner !== '3,12') throw new Error('this has changed');
  if (seen['recomputed, second derivative'] !== '6,12') throw new Error('the second derivative has changed');
})();
JS
node run.cjs 2>/dev/null
