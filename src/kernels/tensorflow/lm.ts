/**
 * Kernels of the backend `tensorflow`, of the native library, once it is loaded, and the composed forms until then: what a language model and its
 * training run besides its layers. Importing this registers them.
 *
 * @packageDocumentation
 */
import '../../mixers/halves';
import '../../mixers/mamba1/decoder';
import '../../mixers/mamba1/fused';
import '../../mixers/mamba2/decoder';
import '../../mixers/mamba2/fused';
import '../../ops/adamW/tensorflow';
import '../../ops/crossEntropy/tensorflow';
import '../../ops/halves/tensorflow';
import '../../ops/linear/tensorflow';
import '../../ops/mamba2Step/tensorflow';
import '../../ops/mambaStep/tensorflow';
import '../../ops/packedLinear/tensorflow';
import '../../ops/rmsNorm/tensorflow';
import '../../ops/unpackRows/tensorflow';
import '../composed';
