// TfjsMambaAdamW and TfjsMambaGlobalNorm on DEVICE_GPU. The scalars, which JavaScript computes anew for every step,
// stay in host memory; the clip factor, which the device computes, does not leave it.
#include "gpu_op.h"

namespace tfjs_mamba {
namespace gpu {
namespace {

class AdamW {
 public:
  explicit AdamW(OpKernelConstruction *c) : count_(static_cast<int>(attribute<int64_t>(c, "P"))) {}

  // scalars: beta1, 1 - beta1, beta2, 1 - beta2, epsilon, stepSize, rootScale, then for each variable what decay keeps.
  const char *compute(Call &call) {
    constexpr int kCommon = 7;
    if (call.shape(4 * count_ + 1) != TensorShape({kCommon + count_}) || call.shape(4 * count_).dims() != 0)
      throw OpError("grad_scale must be a scalar and scalars have shape [" + std::to_string(kCommon + count_) +
                    "], but they have " + call.shape(4 * count_).DebugString() + " and " +
                    call.shape(4 * count_ + 1).DebugString());
    const float *s = call.data(4 * count_ + 1);
    std::vector<AdamWTensor> tensors(count_);
    for (int i = 0; i < count_; ++i) {
      const TensorShape &shape = call.shape(i);
      for (int part = 1; part < 4; ++part)
        if (call.shape(part * count_ + i) != shape)
          throw OpError("gradient and moments of variable " + std::to_string(i) + " must have its shape, " +
                        shape.DebugString() + ", but one has " + call.shape(part * count_ + i).DebugString());
      tensors[i] = {shape.num_elements(),
                    call.data(i),
                    call.data(count_ + i),
                    call.data(2 * count_ + i),
                    call.data(3 * count_ + i),
                    call.output(i, shape),
                    call.output(count_ + i, shape),
                    call.output(2 * count_ + i, shape),
                    s[kCommon + i]};
    }
    return cuda::launchAdamW({count_, tensors.data(), s[0], s[1], s[2], s[3], s[4], s[5], s[6], 1.0f},
                             call.data(4 * count_), call.stream());
  }

 private:
  int count_;
};

class GlobalNormOp {
 public:
  explicit GlobalNormOp(OpKernelConstruction *) {}

  const char *compute(Call &call) {
    std::vector<NormTensor> tensors(call.inputs());
    for (int i = 0; i < call.inputs(); ++i) tensors[i] = {call.shape(i).num_elements(), call.data(i)};
    const GlobalNorm p{call.inputs(), tensors.data(), call.output(0, TensorShape())};
    return cuda::launchGlobalNorm(p, call.workspace(cuda::globalNormWorkspace(p)), call.stream());
  }
};

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name("TfjsMambaAdamW").Device(DEVICE_GPU).HostMemory("scalars"), Kernel<AdamW>);
REGISTER_KERNEL_BUILDER(Name("TfjsMambaGlobalNorm").Device(DEVICE_GPU), Kernel<GlobalNormOp>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
