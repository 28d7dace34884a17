// The ops TfjsMambaPackedMatVec and TfjsMambaUnpackRows.
#include "../arguments/packed.h"

#include "huge_pages.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

void packedMatVec(const PackedMatVec &p) {
  moveToHugePages(p.words, (p.scales ? 1 : 2) * p.in * p.out);
  cpuKernels().packedMatVec(p);
}

}  // namespace

void registerPackedOps() {
  registerCpuOp<PackedMatVecOp, packedMatVec>({{"x: float", "words: int32", "scales: NS * float", "bias: NB * float"},
                                               {"y: float"},
                                               {"NS: int >= 0 = 1", "NB: int >= 0 = 0"},
                                               TF_ShapeInferenceContextSetUnknownShape});
  registerCpuOp<UnpackRowsOp, &CpuKernels::unpackRows>({{"words: int32", "scales: NS * float"},
                                                        {"rows: float"},
                                                        {"NS: int >= 0 = 1"},
                                                        TF_ShapeInferenceContextSetUnknownShape});
}

}  // namespace tfjs_mamba
