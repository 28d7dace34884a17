/** Whether a GPU is one: browsers and drivers offer WebGL and WebGPU on the processor too, and say so only in the name. */

/** What is looked at of TensorFlow.js's backends: a WebGPU device, or a WebGL context. */
export interface MaybeGpuBackend {
  device?: {adapterInfo?: Partial<GPUAdapterInfo>};
  /** What TensorFlow.js keeps of the adapter, where the device does not show it. */
  adapterInfo?: {architecture?: string};
  gpgpu?: {gl: Pick<WebGL2RenderingContext, 'RENDERER' | 'getExtension' | 'getParameter'>};
}

/** SwiftShader is Chromium's, llvmpipe, softpipe and lavapipe (which calls itself llvmpipe) are Mesa's, the others Windows' and Apple's. */
const software = /swiftshader|llvmpipe|softpipe|lavapipe|basic render|software|\bwarp\b/i;

/** The name of the software that does the work of a GPU on this backend; undefined on a real one, and where there is none. */
export function softwareGpu({device, adapterInfo, gpgpu}: MaybeGpuBackend): string | undefined {
  if (device) {
    const {vendor, architecture, description, isFallbackAdapter} = device.adapterInfo ?? {};
    const name = [vendor, architecture ?? adapterInfo?.architecture, description].filter(Boolean).join(' ');
    return isFallbackAdapter || software.test(name) ? name || 'a fallback adapter' : undefined;
  }
  if (gpgpu) {
    const {gl} = gpgpu;
    const debug = gl.getExtension('WEBGL_debug_renderer_info');
    const name = String(gl.getParameter(debug ? debug.UNMASKED_RENDERER_WEBGL : gl.RENDERER));
    return software.test(name) ? name : undefined;
  }
  return undefined;
}
