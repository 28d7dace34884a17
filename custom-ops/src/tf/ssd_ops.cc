// The ops of Mamba-2: TfjsMambaSsd, TfjsMambaSsdGrad, TfjsMambaSsdStep, TfjsMambaGatedRmsNorm and its gradient.
#include "../arguments/gated_norm.h"
#include "../arguments/ssd.h"
#include "ops.h"

namespace tfjs_mamba {

Shape keptSsdStatesShape(const SsdProblem &p) {
  return {p.batch, ssdChunkCount(p.length), p.heads, p.states, p.headDim};
}

void registerSsdOps() {
  registerCpuOp<SsdOp, &CpuKernels::ssd>(
      {{"inputs: NI * float"},
       {"y: float", "final_state: float", "states: NS * float"},
       {"NI: int >= 5", "NS: int >= 0 = 0", "present: int", "delta_softplus: bool", "delta_min: float",
        "delta_max: float"},
       [](TF_ShapeInferenceContext *context, TF_Status *status) {
         TF_ShapeInferenceContextSetUnknownShape(context, status);
         if (TF_GetCode(status) == TF_OK) setSameShape(context, 0, SsdArguments::kU, status);
       }});
  registerCpuOp<SsdGradOp, &CpuKernels::ssdGrad>({{"inputs: NI * float"},
                                                  {"gradients: NG * float"},
                                                  {"NI: int >= 8", "NG: int >= 5", "present: int",
                                                   "delta_softplus: bool", "delta_min: float", "delta_max: float"},
                                                  gradientShapes<3>});
  registerCpuOp<SsdStepOp, &CpuKernels::ssdStep>(
      {{"inputs: NI * float"},
       {"y: float", "new_state: float"},
       {"NI: int >= 6", "present: int", "delta_softplus: bool", "delta_min: float", "delta_max: float"},
       [](TF_ShapeInferenceContext *context, TF_Status *status) {
         setSameShape(context, 0, SsdArguments::kU, status);
         // The state is the last input.
         const int last = static_cast<int>(TF_ShapeInferenceContextNumInputs(context)) - 1;
         if (TF_GetCode(status) == TF_OK) setSameShape(context, 1, last, status);
       }});
  registerCpuOp<GatedRmsNormOp, &CpuKernels::gatedRmsNorm>(
      {{"inputs: NI * float"},
       {"y: float"},
       {"NI: int >= 2", "present: int", "groups: int >= 1", "norm_before_gate: bool", "epsilon: float"},
       [](TF_ShapeInferenceContext *context, TF_Status *status) {
         setSameShape(context, 0, GatedNormArguments::kX, status);
       }});
  registerCpuOp<GatedRmsNormGradOp, &CpuKernels::gatedRmsNormGrad>(
      {{"inputs: NI * float"},
       {"gradients: NG * float"},
       {"NI: int >= 3", "NG: int >= 2", "present: int", "groups: int >= 1", "norm_before_gate: bool",
        "epsilon: float"},
       gradientShapes<1>});
}

}  // namespace tfjs_mamba
