// TfjsMambaRmsNorm and TfjsMambaRmsNormGrad on DEVICE_GPU.
#include "../../arguments/norm.h"

#include "gpu_op.h"

namespace tfjs_mamba {
namespace gpu {
namespace {

const char *launchNorm(const NormForward &p, GpuCall &call) { return cuda::launchRmsNorm(p, call.stream()); }

const char *launchNormGrad(const NormBackward &p, GpuCall &call) {
  const int count = call.multiprocessors();
  return cuda::launchRmsNormGrad(p, count, call.workspace(cuda::rmsNormGradWorkspace(p, count)), call.stream());
}

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name(RmsNormOp::kName).Device(DEVICE_GPU), GpuKernel<RmsNormOp, launchNorm>);
REGISTER_KERNEL_BUILDER(Name(RmsNormGradOp::kName).Device(DEVICE_GPU), GpuKernel<RmsNormGradOp, launchNormGrad>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
