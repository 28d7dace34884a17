/**
 * Kernels of the backend `webgl`, fragment shaders: what a language model and its
 * training run besides its layers. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/adamW/webgl';
import '../../ops/crossEntropy/webgl';
import '../../ops/embedding/webgl';
import '../../ops/linear/composed';
import '../../ops/rmsNorm/webgl';
