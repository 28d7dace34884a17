// TfjsMambaCrossEntropy and TfjsMambaCrossEntropyGrad on DEVICE_GPU. Unlike the CPU's they do not look whether labels
// are in range, for the labels are on the device: the loss is NaN if one is not.
#include "gpu_op.h"

namespace tfjs_mamba {
namespace gpu {
namespace {

void checkShapes(const TensorShape &logits, const TensorShape &labels) {
  if (logits.dims() != 2 || logits.dim_size(1) == 0 || labels != TensorShape({logits.dim_size(0)}))
    throw OpError("logits must have shape [rows,classes] and labels [rows], but have " + logits.DebugString() +
                  " and " + labels.DebugString());
}

class CrossEntropy {
 public:
  explicit CrossEntropy(OpKernelConstruction *c)
      : ignore_(static_cast<int32_t>(attribute<int64_t>(c, "ignore_index"))) {}

  const char *compute(Call &call) {
    const TensorShape &logits = call.shape(0);
    checkShapes(logits, call.shape(1));
    return cuda::launchCrossEntropy(
        {logits.dim_size(0), logits.dim_size(1), ignore_, call.data(0), call.data<int32_t>(1),
         call.output(0, TensorShape()), call.output(1, call.shape(1))},
        call.stream());
  }

 private:
  int32_t ignore_;
};

class CrossEntropyGrad {
 public:
  explicit CrossEntropyGrad(OpKernelConstruction *c)
      : ignore_(static_cast<int32_t>(attribute<int64_t>(c, "ignore_index"))) {}

  const char *compute(Call &call) {
    const TensorShape &logits = call.shape(0);
    checkShapes(logits, call.shape(1));
    require(call.shape(2) == call.shape(1) && call.shape(3).dims() == 0,
            "logSumExp must have the shape of labels and dy be a scalar");
    float *dLogits = call.output(0, logits), *space = call.workspace(cuda::kCrossEntropyGradWorkspace);
    return cuda::launchCrossEntropyGrad({logits.dim_size(0), logits.dim_size(1), ignore_, call.data(0), call.data(2),
                                         call.data(3), call.data<int32_t>(1), dLogits},
                                        space, call.stream());
  }

 private:
  int32_t ignore_;
};

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name("TfjsMambaCrossEntropy").Device(DEVICE_GPU), Kernel<CrossEntropy>);
REGISTER_KERNEL_BUILDER(Name("TfjsMambaCrossEntropyGrad").Device(DEVICE_GPU), Kernel<CrossEntropyGrad>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
