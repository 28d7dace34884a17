// The ops TfjsMambaSelectiveScan, TfjsMambaSelectiveScanGrad and TfjsMambaSelectiveStateUpdate.
#include "../arguments/scan.h"

#include "ops.h"

namespace tfjs_mamba {

Shape keptStatesShape(const ScanProblem &p) { return {p.batch, chunkCount(p.length), p.states, p.channels}; }

namespace {

// [B,D,N] of the final state: the batch of u and the shape of A. The kept states are the backend's own affair.
void scanShapes(TF_ShapeInferenceContext *context, TF_Status *status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
  if (TF_GetCode(status) != TF_OK) return;
  setSameShape(context, 0, ScanOp::kU, status);
  TF_ShapeHandle *u = TF_NewShapeHandle(), *A = TF_NewShapeHandle(), *result = TF_NewShapeHandle();
  const auto ok = [&] { return TF_GetCode(status) == TF_OK; };
  if (ok()) TF_ShapeInferenceContextGetInput(context, ScanOp::kU, u, status);
  if (ok()) TF_ShapeInferenceContextWithRank(context, u, 3, u, status);
  if (ok()) TF_ShapeInferenceContextGetInput(context, ScanOp::kA, A, status);
  if (ok()) TF_ShapeInferenceContextWithRank(context, A, 2, A, status);
  if (ok()) TF_ShapeInferenceContextSubshape(context, u, 0, 1, result, status);
  if (ok()) TF_ShapeInferenceContextConcatenateShapes(context, result, A, result, status);
  if (ok()) TF_ShapeInferenceContextSetOutput(context, 1, result, status);
  TF_DeleteShapeHandle(u), TF_DeleteShapeHandle(A), TF_DeleteShapeHandle(result);
}

}  // namespace

void registerScanOps() {
  registerCpuOp<SelectiveScanOp, &CpuKernels::selectiveScan>(
      {{"inputs: NI * float", "sequence_ids: NQ * int32"},
       {"y: float", "final_state: float", "states: NS * float"},
       {"NI: int >= 5", "NS: int >= 0 = 0", "NQ: int >= 0 = 0", "present: int", "delta_softplus: bool = false"},
       scanShapes});
  registerCpuOp<SelectiveScanGradOp, &CpuKernels::selectiveScanGrad>(
      {{"inputs: NI * float", "sequence_ids: NQ * int32"},
       {"gradients: NG * float"},
       {"NI: int >= 8", "NG: int >= 5", "NQ: int >= 0 = 0", "present: int", "delta_softplus: bool = false"},
       gradientShapes<3>});
  registerCpuOp<SelectiveStateUpdateOp, &CpuKernels::selectiveStateUpdate>(
      {{"inputs: NI * float"},
       {"y: float", "new_state: float"},
       {"NI: int >= 6", "present: int", "delta_softplus: bool = false"},
       [](TF_ShapeInferenceContext *context, TF_Status *status) {
         setSameShape(context, 0, SelectiveStateUpdateOp::kU, status);
         setSameShape(context, 1, SelectiveStateUpdateOp::kState, status);
       }});
}

}  // namespace tfjs_mamba
