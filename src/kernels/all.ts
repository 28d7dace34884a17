/** The kernels of every backend; importing this registers them. */
import './cpu';
import './tensorflow';
import './wasm';
import './webgl';
import './webgpu';
