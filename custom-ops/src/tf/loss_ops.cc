// The ops TfjsMambaCrossEntropy and TfjsMambaCrossEntropyGrad.
#include "../arguments/loss.h"

#include "ops.h"

namespace tfjs_mamba {

void registerLossOps() {
  registerCpuOp<CrossEntropyOp, &CpuKernels::crossEntropy>(
      {{"logits: float", "labels: int32"},
       {"loss: float", "log_sum_exp: float"},
       {"ignore_index: int = -100"},
       [](TF_ShapeInferenceContext *context, TF_Status *status) {
         TF_ShapeInferenceContextSetUnknownShape(context, status);
         setSameShape(context, 1, EntropyOp::kLabels, status);
       }});
  registerCpuOp<CrossEntropyGradOp, &CpuKernels::crossEntropyGrad>(
      {{"logits: float", "labels: int32", "log_sum_exp: float", "dy: float"},
       {"dlogits: float"},
       {"ignore_index: int = -100"},
       [](TF_ShapeInferenceContext *context, TF_Status *status) {
         setSameShape(context, 0, EntropyOp::kLogits, status);
       }});
}

}  // namespace tfjs_mamba
