// The ops TfjsMambaAdamW and TfjsMambaGlobalNorm.
#include "../arguments/optimizer.h"

#include "ops.h"

namespace tfjs_mamba {

void registerOptimizerOps() {
  registerCpuOp<AdamWOp, &CpuKernels::adamW>(
      {{"params: P * float", "grads: P * float", "m: P * float", "v: P * float", "grad_scale: float",
        "scalars: float"},
       {"new_params: P * float", "new_m: M * float", "new_v: M * float"},
       {"P: int >= 1", "M: int >= 0"},  // M is P, or 0 for moments that are written in place
       TF_ShapeInferenceContextSetUnknownShape});
  registerCpuOp<GlobalNormOp, &CpuKernels::globalNorm>({{"tensors: P * float"},
                                                        {"norm: float"},
                                                        {"P: int >= 1"},
                                                        TF_ShapeInferenceContextSetUnknownShape});
}

}  // namespace tfjs_mamba
