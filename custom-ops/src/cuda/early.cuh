// Kernels that begin before the one ahead of them has ended ("programmatic dependent launch"), so that a short one's launch, its
// first reads of what has long been there, and what it has to work out for itself take no time of their own.
#pragma once

#include <cuda_runtime.h>

#include "functions.cuh"

namespace tfjs_mamba {
namespace cuda {

// To be called in a kernel that is launched early, before it reads what the kernels ahead have written, or writes what they read.
__device__ inline void awaitLast() {
#if __CUDA_ARCH__ >= 900
  cudaGridDependencySynchronize();
#endif
}

// To be called in the kernel ahead: as soon as all its blocks have, those of the next may take the room that is left.
__device__ inline void letNextBegin() {
#if __CUDA_ARCH__ >= 900
  cudaTriggerProgrammaticLaunchCompletion();
#endif
}

inline bool canLaunchEarly() {
  int device = 0, major = 0;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
  return major >= 9;
}

template <typename... Parameters, typename... Arguments>
void launchEarly(void (*kernel)(Parameters...), unsigned blocks, unsigned threads, size_t bytes, cudaStream_t stream,
                 Arguments... arguments) {
  cudaLaunchAttribute attribute{};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config{};
  config.gridDim = blocks, config.blockDim = threads, config.dynamicSmemBytes = bytes, config.stream = stream;
  config.attrs = &attribute, config.numAttrs = canLaunchEarly() ? 1 : 0;
  cudaLaunchKernelEx(&config, kernel, arguments...);
}

}  // namespace cuda
}  // namespace tfjs_mamba
