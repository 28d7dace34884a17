// The ops TfjsMambaMatVec and, for one token through all blocks of a model, TfjsMambaStep and TfjsMambaMamba2Step.
#include "../arguments/decode.h"
#include "../arguments/mamba2_step.h"

#include "blocks.h"
#include "huge_pages.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

void matVec(const MatVec &p) {
  moveToHugePages(p.weight, sizeof(float) * p.in * p.out);
  cpuKernels().matVec(p);
}

template <typename Step>
void step(const std::vector<Step> &blocks) {
  for (const Step &p : blocks) {
    prepareWeights(p);
    runBlock(p);
  }
}

}  // namespace

void prepareMatrix(const Matrix &w, int64_t in, int64_t out) {
  if (w.floats)
    moveToHugePages(w.floats, sizeof(float) * in * out);
  else
    moveToHugePages(w.words, (w.scales ? 1 : 2) * in * out);
}

void prepareWeights(const BlockStep &p) {
  prepareMatrix(p.inProj, p.model, 2 * p.inner);
  prepareMatrix(p.xProj, p.inner, p.rank + 2 * p.states);
  prepareMatrix(p.dtProj, p.rank, p.inner);
  prepareMatrix(p.outProj, p.inner, p.model);
}

void prepareWeights(const Mamba2Step &p) {
  prepareMatrix(p.inProj, p.model, p.projected());
  prepareMatrix(p.outProj, p.inner(), p.model);
}

void runBlock(const BlockStep &p) { cpuKernels().blockStep(p); }
void runBlock(const Mamba2Step &p) { cpuKernels().mamba2Step(p); }

void registerDecodeOps() {
  registerCpuOp<MatVecOp, matVec>({{"inputs: NI * float"},
                                   {"y: float"},
                                   {"NI: int >= 2", "present: int", "transpose_kernel: bool = false"},
                                   TF_ShapeInferenceContextSetUnknownShape});
  registerCpuOp<StepOp, step<BlockStep>>({{"inputs: NI * float", "words: NW * int32"},
                                          {"y: float", "conv: blocks * float", "ssm: blocks * float"},
                                          {"NI: int >= 1", "NW: int >= 0 = 0", "blocks: int >= 1", "present: int",
                                           "packed: int = 0", "epsilon: float", "mixer_epsilon: float = 0.0"},
                                          TF_ShapeInferenceContextSetUnknownShape});
  registerCpuOp<Mamba2StepOp, step<Mamba2Step>>(
      {{"inputs: NI * float", "words: NW * int32"},
       {"y: float", "conv: blocks * float", "ssm: blocks * float"},
       {"NI: int >= 1", "NW: int >= 0 = 0", "blocks: int >= 1", "present: int", "packed: int = 0", "norm_groups: int >= 1",
        "norm_before_gate: bool", "epsilon: float", "delta_min: float", "delta_max: float"},
       TF_ShapeInferenceContextSetUnknownShape});
}

}  // namespace tfjs_mamba
