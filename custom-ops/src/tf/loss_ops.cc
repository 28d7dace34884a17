// The ops TfjsMambaCrossEntropy and TfjsMambaCrossEntropyGrad.
#include "../cpu/kernels.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

void checkLabels(Call &call, const char *op, int64_t ignore) {
  const Shape logits = call.shape(0), labels = call.shape(1);
  if (logits.size() != 2 || logits[1] == 0 || labels != Shape{logits[0]})
    throw OpError("%s: logits must have shape [rows,classes] and labels [rows], but have %s and %s", op,
                  show(logits).c_str(), show(labels).c_str());
  const int32_t *label = call.data<int32_t>(1);
  for (int64_t i = 0; i < logits[0]; ++i)
    if (label[i] != ignore && (label[i] < 0 || label[i] >= logits[1]))
      throw OpError("%s: labels must lie in [0,%lld) or be %lld, but labels[%lld] is %d", op,
                    static_cast<long long>(logits[1]), static_cast<long long>(ignore), static_cast<long long>(i),
                    label[i]);
}

class CrossEntropy {
 public:
  static constexpr const char *kName = "TfjsMambaCrossEntropy";

  explicit CrossEntropy(Attributes &a) : ignore_(static_cast<int32_t>(a.integer("ignore_index"))) {}

  void compute(Call &call) {
    checkLabels(call, kName, ignore_);
    const Shape logits = call.shape(0);
    cpuKernels().crossEntropy({logits[0], logits[1], ignore_, call.data(0), call.data<int32_t>(1), call.output(0, {}),
                               call.output(1, {logits[0]})});
  }

 private:
  int32_t ignore_;
};

class CrossEntropyGrad {
 public:
  static constexpr const char *kName = "TfjsMambaCrossEntropyGrad";

  explicit CrossEntropyGrad(Attributes &a) : ignore_(static_cast<int32_t>(a.integer("ignore_index"))) {}

  void compute(Call &call) {
    checkLabels(call, kName, ignore_);
    const Shape logits = call.shape(0);
    if (call.shape(2) != call.shape(1) || !call.shape(3).empty())
      throw OpError("%s: logSumExp must have the shape of labels and dy be a scalar", kName);
    cpuKernels().crossEntropyGrad({logits[0], logits[1], ignore_, call.data(0), call.data(2), call.data(3),
                                   call.data<int32_t>(1), call.output(0, logits)});
  }

 private:
  int32_t ignore_;
};

}  // namespace

void registerLossOps() {
  registerCpuOp<CrossEntropy>({CrossEntropy::kName,
                               {"logits: float", "labels: int32"},
                               {"loss: float", "log_sum_exp: float"},
                               {"ignore_index: int = -100"},
                               [](TF_ShapeInferenceContext *context, TF_Status *status) {
                                 TF_ShapeInferenceContextSetUnknownShape(context, status);
                                 setSameShape(context, 1, 1, status);
                               }});
  registerCpuOp<CrossEntropyGrad>({CrossEntropyGrad::kName,
                                   {"logits: float", "labels: int32", "log_sum_exp: float", "dy: float"},
                                   {"dlogits: float"},
                                   {"ignore_index: int = -100"},
                                   [](TF_ShapeInferenceContext *context, TF_Status *status) {
                                     setSameShape(context, 0, 0, status);
                                   }});
}

}  // namespace tfjs_mamba
