// The ops TfjsMambaRmsNorm and TfjsMambaRmsNormGrad.
#include "../arguments/norm.h"

#include "ops.h"

namespace tfjs_mamba {

void registerNormOps() {
  registerCpuOp<RmsNormOp, &CpuKernels::rmsNorm>(
      {{"inputs: NI * float"},
       {"outputs: NO * float"},
       {"NI: int >= 2", "NO: int >= 1", "present: int", "epsilon: float"},
       [](TF_ShapeInferenceContext *context, TF_Status *status) {
         setSameShape(context, 0, NormOp::kX, status);
         if (TF_ShapeInferenceContextNumInputs(context) > 2) setSameShape(context, 1, NormOp::kX, status);
       }});
  registerCpuOp<RmsNormGradOp, &CpuKernels::rmsNormGrad>(
      {{"inputs: NI * float"},
       {"dr: float", "dweight: float"},
       {"NI: int >= 3", "present: int", "epsilon: float"},
       [](TF_ShapeInferenceContext *context, TF_Status *status) {
         setSameShape(context, 0, NormOp::kX, status);
         setSameShape(context, 1, NormOp::kWeight, status);
       }});
}

}  // namespace tfjs_mamba
