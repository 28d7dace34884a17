// TfjsMambaAdamW and TfjsMambaGlobalNorm on DEVICE_GPU. The scalars, which JavaScript computes anew for every step,
// stay in host memory; the clip factor, which the device computes, does not leave it.
#include "../../arguments/optimizer.h"

#include "gpu_op.h"

namespace tfjs_mamba {
namespace gpu {
namespace {

const char *launchAdamW(const AdamWTable &p, GpuCall &call) { return cuda::launchAdamW(p, p.scale, call.stream()); }

const char *launchGlobalNorm(const NormTable &p, GpuCall &call) {
  return cuda::launchGlobalNorm(p, call.workspace(cuda::globalNormWorkspace(p)), call.stream());
}

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name(AdamWOp::kName).Device(DEVICE_GPU).HostMemory("scalars"),
                        GpuKernel<AdamWOp, launchAdamW>);
REGISTER_KERNEL_BUILDER(Name(GlobalNormOp::kName).Device(DEVICE_GPU), GpuKernel<GlobalNormOp, launchGlobalNorm>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
