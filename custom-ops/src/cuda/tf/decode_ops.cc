// TfjsMambaMatVec and TfjsMambaStep on DEVICE_GPU, for decoding.
#include "../../arguments/decode.h"

#include "gpu_op.h"

namespace tfjs_mamba {
namespace gpu {
namespace {

const char *launchMatVec(const MatVec &p, GpuCall &call) { return cuda::launchMatVec(p, call.stream()); }

const char *launchStep(const std::vector<BlockStep> &blocks, GpuCall &call) {
  const BlockStep &p = blocks[0];  // they are alike
  if (!p.inProj.floats || !p.xProj.floats || !p.dtProj.floats || !p.outProj.floats)
    throw OpError("packed matrices are for the CPU only");
  float *workspace = call.workspace(cuda::blockStepWorkspace(blocks[0]));
  for (const BlockStep &p : blocks)
    if (const char *error = cuda::launchBlockStep(p, workspace, call.stream())) return error;
  return nullptr;
}

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name(MatVecOp::kName).Device(DEVICE_GPU), GpuKernel<MatVecOp, launchMatVec>);
REGISTER_KERNEL_BUILDER(Name(StepOp::kName).Device(DEVICE_GPU), GpuKernel<StepOp, launchStep>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
