// The groups of ops that library.cc registers, and what their definitions share.
#pragma once

#include "op.h"

namespace tfjs_mamba {

void registerScanOps();
void registerSsdOps();
void registerConvOps();
void registerNormOps();
void registerLossOps();
void registerOptimizerOps();
void registerDecodeOps();
void registerDecoderOps();
void registerPackedOps();
void registerBundleOps();
void registerDrawOps();

// A gradient op gives one output per input, but for the last `extra` inputs.
template <int extra>
void gradientShapes(TF_ShapeInferenceContext *context, TF_Status *status) {
  const int64_t outputs = TF_ShapeInferenceContextNumInputs(context) - extra;
  for (int i = 0; i < outputs && TF_GetCode(status) == TF_OK; ++i) setSameShape(context, i, i, status);
}

}  // namespace tfjs_mamba
