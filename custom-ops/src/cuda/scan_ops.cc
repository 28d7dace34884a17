// The scan's CUDA kernels as kernels of TensorFlow for DEVICE_GPU. The ops are defined by tfjs_mamba_ops.so, which is
// loaded first; their inputs come in one list, and bit i of `present` says whether input i of the order is among them.
#include <cuda_runtime.h>

#include "tensorflow/core/framework/op_kernel.h"
#include "launch.h"

namespace tfjs_mamba {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
namespace errors = tensorflow::errors;

enum Input { kU, kDelta, kA, kB, kC, kD, kZ, kDeltaBias, kInitialState, kStates, kDy, kDFinalState, kInputs };

class ScanKernel : public OpKernel {
 public:
  explicit ScanKernel(OpKernelConstruction *context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("present", &present_));
    OP_REQUIRES_OK(context, context->GetAttr("delta_softplus", &softplus_));
  }

 protected:
  // Null if absent.
  const Tensor *input(OpKernelContext *context, int which) const {
    if (!(present_ >> which & 1)) return nullptr;
    int position = 0;
    for (int i = 0; i < which; ++i) position += present_ >> i & 1;
    return position < context->num_inputs() ? &context->input(position) : nullptr;
  }
  const float *data(OpKernelContext *context, int which) const {
    const Tensor *tensor = input(context, which);
    return tensor ? tensor->flat<float>().data() : nullptr;
  }

  // The problem, every shape checked; the context fails if one is wrong.
  ScanProblem read(OpKernelContext *context) const {
    ScanProblem p{};
    const auto fail = [&](const char *what) { context->CtxFailure(errors::InvalidArgument(name(), ": ", what)); };
    for (int required : {kU, kDelta, kA, kB, kC})
      if (!input(context, required)) return fail("an input is missing"), p;
    const TensorShape &u = input(context, kU)->shape(), &A = input(context, kA)->shape();
    if (u.dims() != 3 || A.dims() != 2 || u.num_elements() == 0 || A.num_elements() == 0)
      return fail("u must have rank 3 and A rank 2, and neither be empty"), p;
    p.batch = u.dim_size(0), p.length = u.dim_size(1), p.channels = u.dim_size(2), p.states = A.dim_size(1);
    const auto has = [&](int which, const TensorShape &shape) {
      return !input(context, which) || input(context, which)->shape() == shape;
    };
    const TensorShape state({p.batch, p.channels, p.states}), vector({p.channels});
    if (!has(kDelta, u) || !has(kZ, u) || !has(kDy, u) || A.dim_size(0) != p.channels || !has(kD, vector) ||
        !has(kDeltaBias, vector) || !has(kInitialState, state) || !has(kDFinalState, state) || !has(kStates, saved(p)))
      return fail("the shapes of the inputs do not fit together"), p;
    const auto groups = [&](int which, bool *constant) -> int64_t {
      const TensorShape &shape = input(context, which)->shape();
      *constant = shape.dims() == 2;
      if (*constant) return shape == A ? 1 : 0;
      if (shape.dims() != 4 || shape.dim_size(2) == 0 || p.channels % shape.dim_size(2) != 0) return 0;
      return shape == TensorShape({p.batch, p.length, shape.dim_size(2), p.states}) ? shape.dim_size(2) : 0;
    };
    p.groupsB = groups(kB, &p.constantB), p.groupsC = groups(kC, &p.constantC);
    if (!p.groupsB || !p.groupsC) return fail("B and C must be [B,L,G,N] or [D,N]"), p;
    p.softplus = softplus_;
    p.u = data(context, kU), p.delta = data(context, kDelta), p.A = data(context, kA), p.B = data(context, kB);
    p.C = data(context, kC), p.D = data(context, kD), p.z = data(context, kZ);
    p.deltaBias = data(context, kDeltaBias), p.initialState = data(context, kInitialState);
    return p;
  }

  static TensorShape saved(const ScanProblem &p) {
    return TensorShape({p.batch, cuda::savedStates(p.length), p.states, p.channels});
  }
  static float *output(OpKernelContext *context, int index, const TensorShape &shape) {
    Tensor *tensor = nullptr;
    const auto status = context->allocate_output(index, shape, &tensor);
    if (!status.ok()) return context->CtxFailure(status), nullptr;
    return tensor->flat<float>().data();
  }
  static float *workspace(OpKernelContext *context, size_t floats, Tensor *holder) {
    const auto status =
        context->allocate_temp(tensorflow::DT_FLOAT, TensorShape({static_cast<int64_t>(floats)}), holder);
    if (!status.ok()) return context->CtxFailure(status), nullptr;
    return holder->flat<float>().data();
  }
  static int multiprocessors() {
    int device = 0, count = 1;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
    return count;
  }
  static void *stream(OpKernelContext *context) { return context->eigen_device<Eigen::GpuDevice>().stream(); }

 private:
  tensorflow::int64 present_;
  bool softplus_;
};

class SelectiveScanGpu : public ScanKernel {
 public:
  explicit SelectiveScanGpu(OpKernelConstruction *context) : ScanKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("NS", &keep_));
  }
  void Compute(OpKernelContext *context) override {
    ScanForward p{};
    static_cast<ScanProblem &>(p) = read(context);
    if (!context->status().ok()) return;
    p.y = output(context, 0, input(context, kU)->shape());
    p.finalState = output(context, 1, TensorShape({p.batch, p.channels, p.states}));
    if (keep_) p.chunkStates = output(context, 2, saved(p));
    const cuda::Pieces pieces = cuda::cutTime(p, multiprocessors());
    Tensor holder;
    float *space = workspace(context, cuda::scanWorkspace(p, pieces), &holder);
    if (!context->status().ok()) return;
    const char *error = cuda::launchSelectiveScan(p, pieces, space, stream(context));
    OP_REQUIRES(context, !error, errors::Internal(name(), ": ", error));
  }

 private:
  tensorflow::int64 keep_;
};

class SelectiveScanGradGpu : public ScanKernel {
 public:
  using ScanKernel::ScanKernel;
  void Compute(OpKernelContext *context) override {
    ScanBackward p{};
    static_cast<ScanProblem &>(p) = read(context);
    if (!context->status().ok()) return;
    p.chunkStates = data(context, kStates), p.dy = data(context, kDy), p.dFinalState = data(context, kDFinalState);
    OP_REQUIRES(context, p.chunkStates && p.dy && p.dFinalState,
                errors::InvalidArgument(name(), ": states, dy and dFinalState are needed"));
    int next = 0;
    const auto gradient = [&](int which) -> float * {
      return input(context, which) ? output(context, next++, input(context, which)->shape()) : nullptr;
    };
    p.du = gradient(kU), p.ddelta = gradient(kDelta), p.dA = gradient(kA), p.dB = gradient(kB), p.dC = gradient(kC);
    p.dD = gradient(kD), p.dz = gradient(kZ), p.ddeltaBias = gradient(kDeltaBias);
    p.dInitialState = gradient(kInitialState);
    const cuda::Pieces pieces = cuda::cutTime(p, multiprocessors());
    Tensor holder;
    float *space = workspace(context, cuda::scanGradWorkspace(p, pieces), &holder);
    if (!context->status().ok()) return;
    const char *error = cuda::launchSelectiveScanGrad(p, pieces, space, stream(context));
    OP_REQUIRES(context, !error, errors::Internal(name(), ": ", error));
  }
};

REGISTER_KERNEL_BUILDER(Name("TfjsMambaSelectiveScan").Device(tensorflow::DEVICE_GPU), SelectiveScanGpu);
REGISTER_KERNEL_BUILDER(Name("TfjsMambaSelectiveScanGrad").Device(tensorflow::DEVICE_GPU), SelectiveScanGradGpu);

}  // namespace
}  // namespace tfjs_mamba
