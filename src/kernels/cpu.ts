/**
 * The kernels of the backend `cpu`, over typed arrays. Importing this registers them.
 *
 * @packageDocumentation
 */
import './cpu/lm';
import './cpu/mamba';
import './cpu/mamba2';
