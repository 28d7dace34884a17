/**
 * The kernels of the backend `webgl`, fragment shaders. Importing this registers them.
 *
 * @packageDocumentation
 */
import './webgl/lm';
import './webgl/mamba';
import './webgl/mamba2';
