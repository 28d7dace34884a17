// The ops TfjsMambaAdamW, one step over a whole list of variables, and TfjsMambaGlobalNorm of such a list. What changes from step to step comes as a
// tensor: TensorFlow keeps a kernel for every set of attribute values it has seen.
#include "../cpu/kernels.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

int64_t sizeOf(const Shape &shape) {
  int64_t size = 1;
  for (int64_t dim : shape) size *= dim;
  return size;
}

class AdamW {
 public:
  static constexpr const char *kName = "TfjsMambaAdamW";

  explicit AdamW(Attributes &a) : count_(static_cast<int>(a.integer("P"))) {}

  // scalars: beta1, 1 - beta1, beta2, 1 - beta2, epsilon, stepSize, rootScale, then for each variable what decay keeps.
  void compute(Call &call) {
    constexpr int kCommon = 7;
    const Shape scalars = call.shape(4 * count_ + 1);
    if (scalars != Shape{kCommon + count_} || !call.shape(4 * count_).empty())
      throw OpError("%s: grad_scale must be a scalar and scalars have shape [%d], but they have %s and %s", kName,
                    kCommon + count_, show(call.shape(4 * count_)).c_str(), show(scalars).c_str());
    const float *s = call.data(4 * count_ + 1);
    std::vector<AdamWTensor> tensors(count_);
    for (int i = 0; i < count_; ++i) {
      const Shape shape = call.shape(i);
      for (int part = 1; part < 4; ++part)
        if (call.shape(part * count_ + i) != shape)
          throw OpError("%s: gradient and moments of variable %d must have its shape, %s, but one has %s", kName, i,
                        show(shape).c_str(), show(call.shape(part * count_ + i)).c_str());
      tensors[i] = {sizeOf(shape),
                    call.data(i),
                    call.data(count_ + i),
                    call.data(2 * count_ + i),
                    call.data(3 * count_ + i),
                    call.output(i, shape),
                    call.output(count_ + i, shape),
                    call.output(2 * count_ + i, shape),
                    s[kCommon + i]};
    }
    cpuKernels().adamW({count_, tensors.data(), s[0], s[1], s[2], s[3], s[4], s[5], s[6], *call.data(4 * count_)});
  }

 private:
  int count_;
};

class GlobalNormOp {
 public:
  static constexpr const char *kName = "TfjsMambaGlobalNorm";

  explicit GlobalNormOp(Attributes &) {}

  void compute(Call &call) {
    std::vector<NormTensor> tensors(call.inputs());
    for (int i = 0; i < call.inputs(); ++i) tensors[i] = {sizeOf(call.shape(i)), call.data(i)};
    cpuKernels().globalNorm({call.inputs(), tensors.data(), call.output(0, {})});
  }
};

}  // namespace

void registerOptimizerOps() {
  registerCpuOp<AdamW>({AdamW::kName,
                        {"params: P * float", "grads: P * float", "m: P * float", "v: P * float", "grad_scale: float",
                         "scalars: float"},
                        {"new_params: P * float", "new_m: P * float", "new_v: P * float"},
                        {"P: int >= 1"},
                        [](TF_ShapeInferenceContext *context, TF_Status *status) {
                          const int count = static_cast<int>(TF_ShapeInferenceContextNumInputs(context) / 4);
                          for (int i = 0; i < 3 * count && TF_GetCode(status) == TF_OK; ++i)
                            setSameShape(context, i, i % count, status);
                        }});
  registerCpuOp<GlobalNormOp>({GlobalNormOp::kName,
                               {"tensors: P * float"},
                               {"norm: float"},
                               {"P: int >= 1"},
                               TF_ShapeInferenceContextSetUnknownShape});
}

}  // namespace tfjs_mamba
