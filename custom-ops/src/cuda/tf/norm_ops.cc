// TfjsMambaRmsNorm and TfjsMambaRmsNormGrad on DEVICE_GPU, over the last axis of tensors of any rank.
#include "gpu_op.h"

namespace tfjs_mamba {
namespace gpu {
namespace {

// Rows and width of x, whose last axis must have the length of the weight.
struct Rows {
  int64_t count, width;

  Rows(const NamedInputs &in, int x, int weight) {
    const TensorShape &shape = in.shape(x);
    in.requireRank(weight, 1);
    width = in.shape(weight).dim_size(0);
    if (shape.dims() == 0 || shape.dim_size(shape.dims() - 1) != width || width == 0)
      throw OpError("the last axis of " + shape.DebugString() + " must have the length of weight, " +
                    std::to_string(width));
    count = shape.num_elements() / width;
  }
};

class RmsNorm {
 public:
  explicit RmsNorm(OpKernelConstruction *c)
      : present_(attribute<int64_t>(c, "present")), epsilon_(attribute<float>(c, "epsilon")) {}

  const char *compute(Call &call) {
    enum { kX, kWeight, kResidual };
    const NamedInputs in(call, present_, {"x", "weight", "residual"});
    const Rows rows(in, kX, kWeight);
    in.requireShape(kResidual, in.shape(kX));
    NormForward p{rows.count,       rows.width,         epsilon_, in.data(kX),
                  in.data(kWeight), in.data(kResidual), nullptr,  nullptr};
    p.y = call.output(0, in.shape(kX));
    if (p.residual) p.sum = call.output(1, in.shape(kX));
    return cuda::launchRmsNorm(p, call.stream());
  }

 private:
  int64_t present_;
  float epsilon_;
};

class RmsNormGrad {
 public:
  explicit RmsNormGrad(OpKernelConstruction *c)
      : present_(attribute<int64_t>(c, "present")), epsilon_(attribute<float>(c, "epsilon")) {}

  const char *compute(Call &call) {
    enum { kR, kWeight, kDy, kDSum };
    const NamedInputs in(call, present_, {"r", "weight", "dy", "dResidual"});
    const Rows rows(in, kR, kWeight);
    require(in.has(kDy), "dy is missing");
    in.requireShape(kDy, in.shape(kR)), in.requireShape(kDSum, in.shape(kR));
    NormBackward p{rows.count,   rows.width,     epsilon_, in.data(kR), in.data(kWeight),
                   in.data(kDy), in.data(kDSum), nullptr,  nullptr};
    p.dr = call.output(0, in.shape(kR));
    p.dWeight = call.output(1, in.shape(kWeight));
    const int count = multiprocessors();
    float *space = call.workspace(cuda::rmsNormGradWorkspace(p, count));
    return cuda::launchRmsNormGrad(p, count, space, call.stream());
  }

 private:
  int64_t present_;
  float epsilon_;
};

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name("TfjsMambaRmsNorm").Device(DEVICE_GPU), Kernel<RmsNorm>);
REGISTER_KERNEL_BUILDER(Name("TfjsMambaRmsNormGrad").Device(DEVICE_GPU), Kernel<RmsNormGrad>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
