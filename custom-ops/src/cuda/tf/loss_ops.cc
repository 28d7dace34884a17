// TfjsMambaCrossEntropy and TfjsMambaCrossEntropyGrad on DEVICE_GPU.
#include "../../arguments/loss.h"

#include "gpu_op.h"

namespace tfjs_mamba {
namespace gpu {
namespace {

const char *launchEntropy(const EntropyForward &p, GpuCall &call) {
  return cuda::launchCrossEntropy(p, call.stream());
}

const char *launchEntropyGrad(const EntropyBackward &p, GpuCall &call) {
  return cuda::launchCrossEntropyGrad(p, call.workspace(cuda::kCrossEntropyGradWorkspace), call.stream());
}

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name(CrossEntropyOp::kName).Device(DEVICE_GPU), GpuKernel<CrossEntropyOp, launchEntropy>);
REGISTER_KERNEL_BUILDER(Name(CrossEntropyGradOp::kName).Device(DEVICE_GPU),
                        GpuKernel<CrossEntropyGradOp, launchEntropyGrad>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
