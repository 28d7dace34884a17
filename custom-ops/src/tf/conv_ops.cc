// The ops TfjsMambaCausalConv1d and TfjsMambaCausalConv1dGrad.
#include "../arguments/conv.h"

#include "ops.h"

namespace tfjs_mamba {

void registerConvOps() {
  registerCpuOp<CausalConv1dOp, &CpuKernels::causalConv1d>(
      {{"inputs: NI * float", "sequence_ids: NQ * int32"},
       {"y: float", "final_state: float"},
       {"NI: int >= 2", "NQ: int >= 0 = 0", "present: int", "silu: bool = false"},
       [](TF_ShapeInferenceContext *context, TF_Status *status) {
         TF_ShapeInferenceContextSetUnknownShape(context, status);
         setSameShape(context, 0, ConvOp::kX, status);
       }});
  registerCpuOp<CausalConv1dGradOp, &CpuKernels::causalConv1dGrad>(
      {{"inputs: NI * float", "sequence_ids: NQ * int32"},
       {"gradients: NG * float"},
       {"NI: int >= 4", "NG: int >= 2", "NQ: int >= 0 = 0", "present: int", "silu: bool = false"},
       gradientShapes<2>});
}

}  // namespace tfjs_mamba
