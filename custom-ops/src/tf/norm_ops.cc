// The ops TfjsMambaRmsNorm and TfjsMambaRmsNormGrad, over the last axis of tensors of any rank.
#include "../cpu/kernels.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

enum { kX, kWeight, kResidual };
enum { kR, kNormWeight, kDy, kDSum };

void requireRows(const NamedInputs &in, const char *op, int x, int weight) {
  in.require(x), in.requireRank(weight, 1);
  const Shape &shape = in.shape(x);
  if (shape.empty() || shape.back() != in.shape(weight)[0])
    throw OpError("%s: the last axis of %s must have the length of weight, %lld", op, show(shape).c_str(),
                  static_cast<long long>(in.shape(weight)[0]));
}

int64_t rowsOf(const Shape &shape) {
  int64_t rows = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  return rows;
}

class RmsNorm {
 public:
  static constexpr const char *kName = "TfjsMambaRmsNorm";

  explicit RmsNorm(Attributes &a) : present_(a.integer("present")), epsilon_(a.number("epsilon")) {}

  void compute(Call &call) {
    NamedInputs in(call, kName, {"x", "weight", "residual"}, present_);
    requireRows(in, kName, kX, kWeight);
    const Shape &x = in.shape(kX);
    in.requireShape(kResidual, x);
    NormForward p{rowsOf(x), x.back(), epsilon_, in.data(kX), in.data(kWeight), in.data(kResidual), nullptr, nullptr};
    p.y = call.output(0, x);
    if (p.residual) p.sum = call.output(1, x);
    cpuKernels().rmsNorm(p);
  }

 private:
  int64_t present_;
  float epsilon_;
};

class RmsNormGrad {
 public:
  static constexpr const char *kName = "TfjsMambaRmsNormGrad";

  explicit RmsNormGrad(Attributes &a) : present_(a.integer("present")), epsilon_(a.number("epsilon")) {}

  void compute(Call &call) {
    NamedInputs in(call, kName, {"r", "weight", "dy", "dResidual"}, present_);
    requireRows(in, kName, kR, kNormWeight);
    const Shape &r = in.shape(kR);
    in.require(kDy);
    in.requireShape(kDy, r);
    in.requireShape(kDSum, r);
    NormBackward p{rowsOf(r),   r.back(),       epsilon_, in.data(kR), in.data(kNormWeight),
                   in.data(kDy), in.data(kDSum), nullptr,  nullptr};
    p.dr = call.output(0, r);
    p.dWeight = call.output(1, {r.back()});
    cpuKernels().rmsNormGrad(p);
  }

 private:
  int64_t present_;
  float epsilon_;
};

}  // namespace

void registerNormOps() {
  registerCpuOp<RmsNorm>({RmsNorm::kName,
                          {"inputs: NI * float"},
                          {"outputs: NO * float"},
                          {"NI: int >= 2", "NO: int >= 1", "present: int", "epsilon: float"},
                          [](TF_ShapeInferenceContext *context, TF_Status *status) {
                            setSameShape(context, 0, kX, status);
                            if (TF_ShapeInferenceContextNumInputs(context) > 2) setSameShape(context, 1, kX, status);
                          }});
  registerCpuOp<RmsNormGrad>({RmsNormGrad::kName,
                              {"inputs: NI * float"},
                              {"dr: float", "dweight: float"},
                              {"NI: int >= 3", "present: int", "epsilon: float"},
                              [](TF_ShapeInferenceContext *context, TF_Status *status) {
                                setSameShape(context, 0, kR, status);
                                setSameShape(context, 1, kNormWeight, status);
                              }});
}

}  // namespace tfjs_mamba
