// TfjsMambaCausalConv1d and TfjsMambaCausalConv1dGrad on DEVICE_GPU. x [B,D], a step of decoding, is a sequence of
// length 1.
#include "gpu_op.h"

namespace tfjs_mamba {
namespace gpu {
namespace {

enum { kX, kWeight, kBias, kInitialState, kDy, kDFinalState };
#define CONV_INPUTS "x", "weight", "bias", "initialState"

ConvProblem readConv(const NamedInputs &in, bool silu) {
  const TensorShape &x = in.shape(kX);
  const bool step = x.dims() == 2;
  in.requireRank(kX, step ? 2 : 3), in.requireRank(kWeight, 2);
  require(x.num_elements() > 0, "x must not be empty");
  ConvProblem p{};
  p.batch = x.dim_size(0), p.length = step ? 1 : x.dim_size(1), p.channels = x.dim_size(x.dims() - 1);
  p.taps = in.shape(kWeight).dim_size(1), p.silu = silu;
  in.requireShape(kWeight, TensorShape({p.channels, p.taps})), in.requireShape(kBias, TensorShape({p.channels}));
  in.requireShape(kInitialState, TensorShape({p.batch, p.taps - 1, p.channels}));
  p.x = in.data(kX), p.weight = in.data(kWeight), p.bias = in.data(kBias), p.initialState = in.data(kInitialState);
  return p;
}

class CausalConv1d {
 public:
  explicit CausalConv1d(OpKernelConstruction *c)
      : present_(attribute<int64_t>(c, "present")), silu_(attribute<bool>(c, "silu")) {}

  const char *compute(Call &call) {
    const NamedInputs in(call, present_, {CONV_INPUTS});
    ConvForward p{};
    static_cast<ConvProblem &>(p) = readConv(in, silu_);
    p.y = call.output(0, in.shape(kX));
    p.finalState = call.output(1, TensorShape({p.batch, p.taps - 1, p.channels}));
    return cuda::launchCausalConv1d(p, multiprocessors(), call.stream());
  }

 private:
  int64_t present_;
  bool silu_;
};

class CausalConv1dGrad {
 public:
  explicit CausalConv1dGrad(OpKernelConstruction *c)
      : present_(attribute<int64_t>(c, "present")), silu_(attribute<bool>(c, "silu")) {}

  const char *compute(Call &call) {
    const NamedInputs in(call, present_, {CONV_INPUTS, "dy", "dFinalState"});
    ConvBackward p{};
    static_cast<ConvProblem &>(p) = readConv(in, silu_);
    for (int input : {kDy, kDFinalState}) in.shape(input);
    in.requireShape(kDy, in.shape(kX));
    in.requireShape(kDFinalState, TensorShape({p.batch, p.taps - 1, p.channels}));
    p.dy = in.data(kDy), p.dFinalState = in.data(kDFinalState);
    int next = 0;
    const auto gradient = [&](int input) { return in.has(input) ? call.output(next++, in.shape(input)) : nullptr; };
    p.dx = gradient(kX), p.dWeight = gradient(kWeight), p.dBias = gradient(kBias);
    p.dInitialState = gradient(kInitialState);
    const int count = multiprocessors();
    float *space = call.workspace(cuda::causalConv1dGradWorkspace(p, count));
    return cuda::launchCausalConv1dGrad(p, count, space, call.stream());
  }

 private:
  int64_t present_;
  bool silu_;
};

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name("TfjsMambaCausalConv1d").Device(DEVICE_GPU), Kernel<CausalConv1d>);
REGISTER_KERNEL_BUILDER(Name("TfjsMambaCausalConv1dGrad").Device(DEVICE_GPU), Kernel<CausalConv1dGrad>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
