#!/usr/bin/env bash
# TensorFlow.js 4.22.0: the regularizers of recurrent layers do nothing. tf.layers.simpleRNN, gru and lstm take a kernelRegularizer and a
# recurrentRegularizer and keep them, but a model of such a layer has no regularization loss. In ten steps on zeros, where the only
# gradient is the penalty's, the kernels of dense, alone or in timeDistributed, shrink to a tenth; those of the recurrent layers stay.
#
# The penalty is added to the layer's cell, and no model asks a cell for its losses. Surprising, because the option is documented for
# these layers, an unknown regularizer is refused when the layer is made, and other layers heed it: training with the penalty and without
# it are the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0
cat >run.cjs <<'JS'
const tf = require('@tensorflow/tfjs');
const [time, features, units] = [4, 3, 2];
const penalty = () => tf.regularizers.l2({l2: 1});
const own = () => ({units, kernelRegularizer: penalty(), useBias: false});
const recurrent = () => ({...own(), recurrentRegularizer: penalty(), returnSequences: true});
const layers = {
  dense: [() => tf.layers.dense(own()), true],
  'timeDistributed dense': [() => tf.layers.timeDistributed({layer: tf.layers.dense(own())}), true],
  simpleRNN: [() => tf.layers.simpleRNN(recurrent()), false],
  gru: [() => tf.layers.gru(recurrent()), false],
  lstm: [() => tf.layers.lstm(recurrent()), false],
};
(async () => {
  await tf.setBackend('cpu');
  const changed = [];
  for (const [name, [make, isHeld]] of Object.entries(layers)) {
    const input = tf.input({shape: [time, features]});
    const model = tf.model({inputs: input, outputs: make().apply(input)});
    model.compile({loss: 'meanSquaredError', optimizer: tf.train.sgd(0.1)});
    const norm = () => model.getWeights()[0].norm().dataSync()[0];
    const before = norm();
    await model.fit(tf.zeros([1, time, features]), tf.zeros([1, time, units]), {epochs: 10, verbose: 0});
    const left = norm() / before;
    const losses = model.calculateLosses().length;
    console.log(`${name}: ${losses} regularization losses; norm of the kernel afterwards / before: ${left}`);
    const isAsSeen = isHeld ? losses === 1 && Math.abs(left - 0.8 ** 10) < 1e-3 : losses === 0 && left === 1;
    if (!isAsSeen) changed.push(name);
  }
  if (changed.length > 0) throw new Error(`this has changed: ${changed.join()}`);
})();
JS
node run.cjs 2>/dev/null
