#!/usr/bin/env bash
# TensorFlow.js 4.22.0: after a function that throws has been profiled with tf.profile, the engine goes on profiling. Every kernel from then
# on is noted in a list that only grows (here 100 sums, 100 notes), and an op that is called wrongly no longer throws what is wrong:
# tf.split with sizes that do not add up throws "Cannot read properties of undefined" in place of its message, which comes later, as a
# rejected promise that nobody holds.
#
# The engine sets a flag before it calls the function and takes it back after, with no finally; while it is set, kernels run inside the
# profiler's own promise. Surprising, because a caller who catches the error of one profiled call has every reason to think that profiling
# is over, and the errors of later, unrelated code are the ones that change.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
npm init -y >/dev/null
npm install --silent --no-audit --no-fund --ignore-scripts @tensorflow/tfjs@4.22.0
cat >run.cjs <<'JS'
const tf = require('@tensorflow/tfjs');
const unheld = [];
process.on('unhandledRejection', (error) => unheld.push(error.message));
const wrongSplit = () => {
  try {
    return tf.split(tf.ones([4]), [1, 1]);
  } catch (error) {
    return error.message;
  }
};
(async () => {
  await tf.setBackend('cpu');
  const before = wrongSplit();
  await tf.profile(() => {
    throw new Error('one bad call');
  }).catch(({message}) => console.log(`profiled, and caught: ${message}`));
  const noted = () => tf.engine().state.activeProfile.kernels.length;
  const start = noted();
  for (let i = 0; i < 100; i++) tf.tidy(() => tf.add(1, 2));
  const grown = noted() - start;
  const after = wrongSplit();
  await new Promise((resolve) => setTimeout(resolve, 10));
  console.log(`kernels noted since: ${grown}`);
  console.log(`a wrong split before: ${before}`);
  console.log(`a wrong split after: ${after}; as a promise that nobody holds: ${unheld}`);
  if (grown < 100 || !/sum of sizes/.test(before) || /sum of sizes/.test(after) || !/sum of sizes/.test(unheld)) throw new Error('this has changed');
})();
JS
node run.cjs 2>/dev/null
