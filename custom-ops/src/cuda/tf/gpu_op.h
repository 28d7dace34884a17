// From the arguments of an op and the launch of its kernel to TensorFlow's C++ kernel API, which alone tells the stream
// to work on. The ops are defined by tfjs_mamba_ops.so, which is loaded first. A wrong call arrives in JavaScript as an
// exception.
#pragma once

#include <cuda_runtime.h>

#include "../../arguments/call.h"
#include "../launch.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "xla/stream_executor/stream.h"

namespace tfjs_mamba {
namespace gpu {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

inline void check(const tensorflow::Status &status) {
  if (!status.ok()) throw OpError(status.ToString());
}

inline int multiprocessors() {
  int device = 0, count = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
  return count;
}

class GpuAttributes final : public Attributes {
 public:
  explicit GpuAttributes(OpKernelConstruction *construction) : construction_(construction) {}
  int64_t integer(const char *name) const override { return read<int64_t>(name); }
  float number(const char *name) const override { return read<float>(name); }
  bool flag(const char *name) const override { return read<bool>(name); }

 private:
  // Nothing may be thrown while TensorFlow makes a kernel.
  template <typename T>
  T read(const char *name) const {
    T value{};
    construction_->SetStatus(construction_->GetAttr(name, &value));
    return value;
  }

  OpKernelConstruction *construction_;
};

class GpuCall final : public Call {
 public:
  explicit GpuCall(OpKernelContext *context) : context_(context) {}

  int inputs() const override { return context_->num_inputs(); }
  Shape shape(int input) override {
    const auto dims = context_->input(input).shape().dim_sizes();
    return Shape(dims.begin(), dims.end());
  }
  bool valuesAtHand() const override { return false; }
  float *output(int index, const Shape &shape) override {
    Tensor *tensor = nullptr;
    check(context_->allocate_output(index, TensorShape(shape), &tensor));
    return tensor->flat<float>().data();
  }
  // Lives as long as the call; TensorFlow gives it away again only to what comes later on the same stream.
  float *workspace(size_t floats) {
    check(context_->allocate_temp(tensorflow::DT_FLOAT, TensorShape({static_cast<int64_t>(floats)}), &workspace_));
    return workspace_.flat<float>().data();
  }
  // Null, CUDA's default stream, on a pluggable device, whose stream TensorFlow does not tell.
  void *stream() const { return context_->op_device_context()->stream()->platform_specific_handle().stream; }

 private:
  const void *bytes(int input) override { return context_->input(input).data(); }

  OpKernelContext *context_;
  Tensor workspace_;
};

// Op, of src/arguments/, turns a call into a problem, and `launch` takes that and the call. It returns null or what
// went wrong.
template <typename Op, auto launch>
class GpuKernel : public tensorflow::OpKernel {
 public:
  explicit GpuKernel(OpKernelConstruction *context) : OpKernel(context), op_(GpuAttributes(context)) {}

  void Compute(OpKernelContext *context) override {
    try {
      GpuCall call(context);
      if (const char *error = launch(op_.problem(call), call))
        context->CtxFailure(tensorflow::errors::Internal(type_string(), ": ", error));
    } catch (const OpError &error) {
      context->CtxFailure(tensorflow::errors::InvalidArgument(type_string(), ": ", error.what()));
    }
  }

 private:
  Op op_;
};

}  // namespace gpu
}  // namespace tfjs_mamba
