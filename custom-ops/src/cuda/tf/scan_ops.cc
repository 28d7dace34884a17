// TfjsMambaSelectiveScan, TfjsMambaSelectiveScanGrad and TfjsMambaSelectiveStateUpdate on DEVICE_GPU.
#include "../../arguments/scan.h"

#include "gpu_op.h"

namespace tfjs_mamba {

Shape keptStatesShape(const ScanProblem &p) { return {cuda::savedFloats(p)}; }

namespace gpu {
namespace {

const char *launchScan(const ScanForward &p, GpuCall &call) {
  const cuda::Pieces pieces = cuda::cutTime(p, call.multiprocessors(), false);
  return cuda::launchSelectiveScan(p, pieces, call.workspace(cuda::scanWorkspace(p, pieces)), call.stream());
}

const char *launchScanGrad(const ScanBackward &p, GpuCall &call) {
  const cuda::Pieces pieces = cuda::cutTime(p, call.multiprocessors(), true);
  return cuda::launchSelectiveScanGrad(p, pieces, call.workspace(cuda::scanGradWorkspace(p, pieces)), call.stream());
}

const char *launchStateUpdate(const StateUpdate &p, GpuCall &call) { return cuda::launchStateUpdate(p, call.stream()); }

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name(SelectiveScanOp::kName).Device(DEVICE_GPU), GpuKernel<SelectiveScanOp, launchScan>);
REGISTER_KERNEL_BUILDER(Name(SelectiveScanGradOp::kName).Device(DEVICE_GPU),
                        GpuKernel<SelectiveScanGradOp, launchScanGrad>);
REGISTER_KERNEL_BUILDER(Name(SelectiveStateUpdateOp::kName).Device(DEVICE_GPU),
                        GpuKernel<SelectiveStateUpdateOp, launchStateUpdate>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
