// TfjsMambaCausalConv1d and TfjsMambaCausalConv1dGrad on DEVICE_GPU.
#include "../../arguments/conv.h"

#include "gpu_op.h"

namespace tfjs_mamba {
namespace gpu {
namespace {

const char *launchConv(const ConvForward &p, GpuCall &call) {
  return cuda::launchCausalConv1d(p, call.multiprocessors(), call.stream());
}

const char *launchConvGrad(const ConvBackward &p, GpuCall &call) {
  const int count = call.multiprocessors();
  return cuda::launchCausalConv1dGrad(p, count, call.workspace(cuda::causalConv1dGradWorkspace(p, count)),
                                      call.stream());
}

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name(CausalConv1dOp::kName).Device(DEVICE_GPU), GpuKernel<CausalConv1dOp, launchConv>);
REGISTER_KERNEL_BUILDER(Name(CausalConv1dGradOp::kName).Device(DEVICE_GPU),
                        GpuKernel<CausalConv1dGradOp, launchConvGrad>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
