// The op TfjsMambaAdamW: one step of AdamW over a whole list of variables. What changes from step to step comes as a
// tensor: TensorFlow keeps a kernel for every set of attribute values it has seen.
#include "../cpu/kernels.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

class AdamW {
 public:
  static constexpr const char *kName = "TfjsMambaAdamW";

  explicit AdamW(Attributes &a) : count_(static_cast<int>(a.integer("P"))) {}

  // scalars: beta1, beta2, epsilon, 1 - beta1^step, 1 - beta2^step, gradient scale, then for each variable its
  // learning rate and its decay factor.
  void compute(Call &call) {
    const Shape scalars = call.shape(4 * count_);
    if (scalars != Shape{6 + 2 * count_})
      throw OpError("%s: scalars must have shape [%d], but has %s", kName, 6 + 2 * count_, show(scalars).c_str());
    const float *s = call.data(4 * count_);
    std::vector<AdamWTensor> tensors(count_);
    for (int i = 0; i < count_; ++i) {
      const Shape shape = call.shape(i);
      for (int part = 1; part < 4; ++part)
        if (call.shape(part * count_ + i) != shape)
          throw OpError("%s: gradient and moments of variable %d must have its shape, %s, but one has %s", kName, i,
                        show(shape).c_str(), show(call.shape(part * count_ + i)).c_str());
      AdamWTensor &t = tensors[i];
      t.size = 1;
      for (int64_t dim : shape) t.size *= dim;
      t.param = call.data(i), t.grad = call.data(count_ + i);
      t.m = call.data(2 * count_ + i), t.v = call.data(3 * count_ + i);
      t.newParam = call.output(i, shape);
      t.newM = call.output(count_ + i, shape), t.newV = call.output(2 * count_ + i, shape);
      t.learningRate = s[6 + 2 * i], t.decay = s[7 + 2 * i];
    }
    cpuKernels().adamW({count_, tensors.data(), s[0], s[1], s[2], s[3], s[4], s[5]});
  }

 private:
  int count_;
};

}  // namespace

void registerOptimizerOps() {
  registerCpuOp<AdamW>({AdamW::kName,
                        {"params: P * float", "grads: P * float", "m: P * float", "v: P * float", "scalars: float"},
                        {"new_params: P * float", "new_m: P * float", "new_v: P * float"},
                        {"P: int >= 1"},
                        [](TF_ShapeInferenceContext *context, TF_Status *status) {
                          const int count = static_cast<int>(TF_ShapeInferenceContextNumInputs(context) / 4);
                          for (int i = 0; i < 3 * count && TF_GetCode(status) == TF_OK; ++i)
                            setSameShape(context, i, i % count, status);
                        }});
}

}  // namespace tfjs_mamba
