/**
 * Kernels of the backend `cpu`, over typed arrays: what a language model and its
 * training run besides its layers. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../ops/adamW/typed';
import '../../ops/crossEntropy/typed';
import '../../ops/linear/composed';
import '../../ops/rmsNorm/typed';
import '../../ops/unpackRows/typed';
import '../../ops/unsortedSegmentSum/typed';
