// The ops TfjsMambaAdamW and TfjsMambaGlobalNorm.
#include "../arguments/optimizer.h"

#include "ops.h"

namespace tfjs_mamba {

void registerOptimizerOps() {
  registerCpuOp<AdamWOp, &CpuKernels::adamW>(
      {{"params: P * float", "grads: P * float", "m: P * float", "v: P * float", "grad_scale: float",
        "scalars: float"},
       {"new_params: P * float", "new_m: P * float", "new_v: P * float"},
       {"P: int >= 1"},
       [](TF_ShapeInferenceContext *context, TF_Status *status) {
         const int count = static_cast<int>(TF_ShapeInferenceContextNumInputs(context) / 4);
         for (int i = 0; i < 3 * count && TF_GetCode(status) == TF_OK; ++i)
           setSameShape(context, i, i % count, status);
       }});
  registerCpuOp<GlobalNormOp, &CpuKernels::globalNorm>({{"tensors: P * float"},
                                                        {"norm: float"},
                                                        {"P: int >= 1"},
                                                        TF_ShapeInferenceContextSetUnknownShape});
}

}  // namespace tfjs_mamba
