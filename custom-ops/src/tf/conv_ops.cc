// The ops TfjsMambaCausalConv1d and TfjsMambaCausalConv1dGrad. x [B,D], a step of decoding, is a sequence of length 1.
#include "../cpu/kernels.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

enum { kX, kWeight, kBias, kInitialState, kDy, kDFinalState };
#define CONV_INPUTS "x", "weight", "bias", "initialState"

ConvProblem readConv(NamedInputs &in, bool silu) {
  const bool step = in.has(kX) && in.shape(kX).size() == 2;
  in.requireRank(kX, step ? 2 : 3), in.requireRank(kWeight, 2);
  const Shape &x = in.shape(kX);
  ConvProblem p{};
  p.batch = x[0], p.length = step ? 1 : x[1], p.channels = x.back(), p.taps = in.shape(kWeight)[1], p.silu = silu;
  in.requireShape(kWeight, {p.channels, p.taps});
  in.requireShape(kBias, {p.channels});
  in.requireShape(kInitialState, {p.batch, p.taps - 1, p.channels});
  p.x = in.data(kX), p.weight = in.data(kWeight), p.bias = in.data(kBias), p.initialState = in.data(kInitialState);
  return p;
}

class CausalConv1d {
 public:
  static constexpr const char *kName = "TfjsMambaCausalConv1d";

  explicit CausalConv1d(Attributes &a) : present_(a.integer("present")), silu_(a.flag("silu")) {}

  void compute(Call &call) {
    NamedInputs in(call, kName, {CONV_INPUTS}, present_);
    ConvForward p{};
    static_cast<ConvProblem &>(p) = readConv(in, silu_);
    p.y = call.output(0, in.shape(kX));
    p.finalState = call.output(1, {p.batch, p.taps - 1, p.channels});
    cpuKernels().causalConv1d(p);
  }

 private:
  int64_t present_;
  bool silu_;
};

class CausalConv1dGrad {
 public:
  static constexpr const char *kName = "TfjsMambaCausalConv1dGrad";

  explicit CausalConv1dGrad(Attributes &a) : present_(a.integer("present")), silu_(a.flag("silu")) {}

  void compute(Call &call) {
    NamedInputs in(call, kName, {CONV_INPUTS, "dy", "dFinalState"}, present_);
    ConvBackward p{};
    static_cast<ConvProblem &>(p) = readConv(in, silu_);
    in.require(kDy), in.require(kDFinalState);
    in.requireShape(kDy, in.shape(kX));
    in.requireShape(kDFinalState, {p.batch, p.taps - 1, p.channels});
    p.dy = in.data(kDy), p.dFinalState = in.data(kDFinalState);
    int next = 0;
    const auto gradient = [&](int input) {
      return in.has(input) ? call.output(next++, in.shape(input)) : nullptr;
    };
    p.dx = gradient(kX), p.dWeight = gradient(kWeight), p.dBias = gradient(kBias);
    p.dInitialState = gradient(kInitialState);
    cpuKernels().causalConv1dGrad(p);
  }

 private:
  int64_t present_;
  bool silu_;
};

}  // namespace

void registerConvOps() {
  registerCpuOp<CausalConv1d>({CausalConv1d::kName,
                               {"inputs: NI * float"},
                               {"y: float", "final_state: float"},
                               {"NI: int >= 2", "present: int", "silu: bool = false"},
                               [](TF_ShapeInferenceContext *context, TF_Status *status) {
                                 TF_ShapeInferenceContextSetUnknownShape(context, status);
                                 setSameShape(context, 0, kX, status);
                               }});
  registerCpuOp<CausalConv1dGrad>({CausalConv1dGrad::kName,
                                   {"inputs: NI * float"},
                                   {"gradients: NG * float"},
                                   {"NI: int >= 4", "NG: int >= 2", "present: int", "silu: bool = false"},
                                   gradientShapes<2>});
}

}  // namespace tfjs_mamba
