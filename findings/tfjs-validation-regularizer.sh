#!/usr/bin/env bash
# TensorFlow.js 4.22.0: the loss of fit holds the regularization penalty, that of evaluate and of validation does not. On the very batch
# it trains on, with a learning rate of zero, a model with an l2 regularizer reports a loss of 3 as "loss" and of 0 as "val_loss" and from
# evaluate.
#
# Surprising, because both carry one name and are drawn as two curves of one figure, where their distance is read as overfitting: here
# validation looks better than training by the penalty. In Keras, whose interface this is, both hold it.
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
  const layer = tf.layers.dense({
    units: width,
    useBias: false,
    kernelInitializer: 'identity',
    kernelRegularizer: tf.regularizers.l2({l2: 1}),
    inputShape: [width],
  });
  const model = tf.sequential({layers: [layer]});
  model.compile({loss: 'meanSquaredError', optimizer: tf.train.sgd(0)});
  const [x, y] = [tf.zeros([1, width]), tf.zeros([1, width])];
  const {history} = await model.fit(x, y, {epochs: 1, validationData: [x, y], verbose: 0});
  const evaluated = model.evaluate(x, y).dataSync()[0];
  const [loss, validation] = [history.loss[0], history.val_loss[0]];
  console.log(`one batch, one set of weights: loss ${loss}, val_loss ${validation}, evaluate ${evaluated}`);
  if (Math.abs(loss - width) > 1e-5 || validation !== 0 || evaluated !== 0) throw new Error('this has changed');
})();
JS
node run.cjs 2>/dev/null
