/** The kernels of every backend, and the composed forms for any other; importing this registers them. */
import './composed';
import './cpu';
import './tensorflow';
import './wasm';
import './webgl';
import './webgpu';
