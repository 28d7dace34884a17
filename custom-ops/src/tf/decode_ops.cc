// The ops TfjsMambaMatVec and, for one token through all blocks of a model, TfjsMambaStep and TfjsMambaMamba2Step.
#include "../arguments/decode.h"
#include "../arguments/mamba2_step.h"

#include "huge_pages.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

void prepare(const float *weight, int64_t rows, int64_t columns) {
  moveToHugePages(weight, sizeof(float) * rows * columns);
}

void matVec(const MatVec &p) {
  prepare(p.weight, p.in, p.out);
  cpuKernels().matVec(p);
}

void step(const std::vector<BlockStep> &blocks) {
  for (const BlockStep &p : blocks) {
    prepare(p.inProj, p.model, 2 * p.inner);
    prepare(p.xProj, p.inner, p.rank + 2 * p.states);
    prepare(p.dtProj, p.rank, p.inner);
    prepare(p.outProj, p.inner, p.model);
    cpuKernels().blockStep(p);
  }
}

void mamba2Step(const std::vector<Mamba2Step> &blocks) {
  for (const Mamba2Step &p : blocks) {
    prepare(p.inProj, p.model, p.projected());
    prepare(p.outProj, p.inner(), p.model);
    cpuKernels().mamba2Step(p);
  }
}

}  // namespace

void registerDecodeOps() {
  registerCpuOp<MatVecOp, matVec>({{"inputs: NI * float"},
                                   {"y: float"},
                                   {"NI: int >= 2", "present: int", "transpose_kernel: bool = false"},
                                   TF_ShapeInferenceContextSetUnknownShape});
  registerCpuOp<StepOp, step>({{"inputs: NI * float"},
                               {"y: float", "conv: blocks * float", "ssm: blocks * float"},
                               {"NI: int >= 12", "blocks: int >= 1", "present: int", "epsilon: float",
                                "mixer_epsilon: float = 0.0"},
                               TF_ShapeInferenceContextSetUnknownShape});
  registerCpuOp<Mamba2StepOp, mamba2Step>({{"inputs: NI * float"},
                                           {"y: float", "conv: blocks * float", "ssm: blocks * float"},
                                           {"NI: int >= 10", "blocks: int >= 1", "present: int", "norm_groups: int >= 1",
                                            "norm_before_gate: bool", "epsilon: float", "delta_min: float", "delta_max: float"},
                                           TF_ShapeInferenceContextSetUnknownShape});
}

}  // namespace tfjs_mamba
