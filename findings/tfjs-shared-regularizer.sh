#!/usr/bin/env bash
# TensorFlow.js 4.22.0: a layer that a model uses k times pays the penalty on its weights k times. One dense layer with an l2 regularizer,
# applied once, twice and three times in a row, gives a model with one kernel and one, two and three regularization losses, each the
# same number, and the loss that training reports grows by that number with each use.
#
# Surprising, because the penalty belongs to the weight, of which there is one however often it is used: trainable weights of a shared
# layer are listed once, and Keras, whose layers these are, counts its penalty once. Sharing a layer therefore makes its penalty stronger
# in silence, by a factor that nobody chose.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0
cat >run.cjs <<'JS'
const tf = require('@tensorflow/tfjs');
const width = 3;
(async () => {
  await tf.setBackend('cpu');
  const changed = [];
  for (const uses of [1, 2, 3]) {
    const shared = tf.layers.dense({
      units: width,
      useBias: false,
      kernelInitializer: 'identity',
      kernelRegularizer: tf.regularizers.l2({l2: 1}),
    });
    const input = tf.input({shape: [width]});
    let output = input;
    for (let use = 0; use < uses; use++) output = shared.apply(output);
    const model = tf.model({inputs: input, outputs: output});
    model.compile({loss: 'meanSquaredError', optimizer: tf.train.sgd(0)});
    // Zeros in and zeros out, so that the penalty is all of the loss; that of the identity is the number of its ones.
    const history = await model.fit(tf.zeros([1, width]), tf.zeros([1, width]), {epochs: 1, verbose: 0});
    const loss = history.history.loss[0];
    const [weights, penalties] = [model.trainableWeights.length, model.calculateLosses().length];
    console.log(`used ${uses} times: ${weights} weight, ${penalties} regularization losses, loss ${loss}; its penalty is ${width}`);
    if (weights !== 1 || penalties !== uses || Math.abs(loss - uses * width) > 1e-5) changed.push(uses);
  }
  if (changed.length > 0) throw new Error(`this has changed for uses: ${changed.join()}`);
})();
JS
node run.cjs 2>/dev/null
