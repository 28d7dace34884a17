/** Toggles of Dawn, Chromium's WebGPU, for Node and the browser alike. */

/**
 * The toggle of Dawn that leaves workgroup memory as it is found. Zeros there make SwiftShader compile some kernels for seconds, and
 * hide a kernel that reads what it has not written.
 */
export const noZeros = 'disable_workgroup_init';
