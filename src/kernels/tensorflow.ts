/**
 * The kernels of the backend `tensorflow`, of the native library, once it is loaded. Importing this registers them.
 *
 * @packageDocumentation
 */
import './tensorflow/lm';
import './tensorflow/mamba';
import './tensorflow/mamba2';
