/**
 * The forms of all ops made of TensorFlow.js ops, for a backend without kernels of its own: right on any backend, and slow. Importing this
 * makes them known; that of `embedding`, which is as fast as there is, comes with the op, and that of `linear` with the kernels of `cpu` and `webgl`
 * too.
 *
 * @packageDocumentation
 */
import '../ops/adamW/composed';
import '../ops/causalConv1d/composed';
import '../ops/causalConv1dUpdate/composed';
import '../ops/crossEntropy/composed';
import '../ops/gatedRmsNorm/composed';
import '../ops/linear/composed';
import '../ops/rmsNorm/composed';
import '../ops/selectiveScan/composed';
import '../ops/selectiveStateUpdate/composed';
import '../ops/ssd/composed';
import '../ops/ssdStep/composed';
