// TfjsMambaSsd, TfjsMambaSsdGrad, TfjsMambaSsdStep, TfjsMambaGatedRmsNorm and TfjsMambaGatedRmsNormGrad on DEVICE_GPU.
#include "../../arguments/gated_norm.h"
#include "../../arguments/ssd.h"

#include "gpu_op.h"

namespace tfjs_mamba {

Shape keptSsdStatesShape(const SsdProblem &p) {
  return {p.batch, ssdChunkCount(p.length), p.heads, p.headDim, p.states};
}

namespace gpu {
namespace {

const char *launchScan(const SsdForward &p, GpuCall &call) {
  return cuda::launchSsd(p, call.workspace(cuda::ssdWorkspace(p)), call.stream());
}

const char *launchScanGrad(const SsdBackward &p, GpuCall &call) {
  return cuda::launchSsdGrad(p, call.workspace(cuda::ssdGradWorkspace(p)), call.stream());
}

const char *launchStep(const SsdStep &p, GpuCall &call) { return cuda::launchSsdStep(p, call.stream()); }

const char *launchNorm(const GatedNormForward &p, GpuCall &call) { return cuda::launchGatedRmsNorm(p, call.stream()); }

const char *launchNormGrad(const GatedNormBackward &p, GpuCall &call) {
  const int count = call.multiprocessors();
  return cuda::launchGatedRmsNormGrad(p, count, call.workspace(cuda::gatedRmsNormGradWorkspace(p, count)), call.stream());
}

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name(SsdOp::kName).Device(DEVICE_GPU), GpuKernel<SsdOp, launchScan>);
REGISTER_KERNEL_BUILDER(Name(SsdGradOp::kName).Device(DEVICE_GPU), GpuKernel<SsdGradOp, launchScanGrad>);
REGISTER_KERNEL_BUILDER(Name(SsdStepOp::kName).Device(DEVICE_GPU), GpuKernel<SsdStepOp, launchStep>);
REGISTER_KERNEL_BUILDER(Name(GatedRmsNormOp::kName).Device(DEVICE_GPU), GpuKernel<GatedRmsNormOp, launchNorm>);
REGISTER_KERNEL_BUILDER(Name(GatedRmsNormGradOp::kName).Device(DEVICE_GPU), GpuKernel<GatedRmsNormGradOp, launchNormGrad>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
