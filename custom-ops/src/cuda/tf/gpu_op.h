// From TensorFlow's C++ kernel API, which alone tells the stream to work on, to what the op classes beside this file
// need. The ops are defined by tfjs_mamba_ops.so, which is loaded first. A kernel throws on a wrong call, which arrives
// in JavaScript as an exception with that message; values of tensors are never looked at here, for they are on the
// device.
#pragma once

#include <cuda_runtime.h>

#include <initializer_list>
#include <stdexcept>
#include <string>
#include <vector>

#include "../launch.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "xla/stream_executor/stream.h"

namespace tfjs_mamba {
namespace gpu {

using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

class OpError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

inline void require(bool holds, const char *what) {
  if (!holds) throw OpError(what);
}
inline void check(const tensorflow::Status &status) {
  if (!status.ok()) throw OpError(status.ToString());
}

inline int multiprocessors() {
  int device = 0, count = 1;
  cudaGetDevice(&device);
  cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
  return count;
}

// One call of a kernel.
class Call {
 public:
  explicit Call(OpKernelContext *context) : context_(context) {}

  int inputs() const { return context_->num_inputs(); }
  const TensorShape &shape(int input) const { return context_->input(input).shape(); }
  template <typename T = float>
  const T *data(int input) const {
    return context_->input(input).flat<T>().data();
  }
  float *output(int index, const TensorShape &shape) {
    Tensor *tensor = nullptr;
    check(context_->allocate_output(index, shape, &tensor));
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
  OpKernelContext *context_;
  Tensor workspace_;
};

// The inputs of an op whose optional ones may be missing: all that are present come in one list, and bit i of the
// attribute `present` says whether input i of `names` is among them.
class NamedInputs {
 public:
  NamedInputs(Call &call, int64_t present, std::vector<const char *> names)
      : NamedInputs(call, present, std::move(names), 0, call.inputs()) {}
  // Of the inputs from `first` on, which are `count`.
  NamedInputs(Call &call, int64_t present, std::vector<const char *> names, int first, int count)
      : call_(call), names_(std::move(names)) {
    int next = first;
    for (size_t i = 0; i < names_.size(); ++i) position_.push_back(present >> i & 1 ? next++ : -1);
    if (next != first + count)
      throw OpError("`present` names " + std::to_string(next - first) + " inputs, but there are " +
                    std::to_string(count));
  }
  bool has(int input) const { return position_[input] >= 0; }
  const TensorShape &shape(int input) const {
    if (!has(input)) throw OpError(std::string(names_[input]) + " is missing");
    return call_.shape(position_[input]);
  }
  // Null if absent.
  const float *data(int input) const { return has(input) ? call_.data(position_[input]) : nullptr; }

  void requireRank(int input, int rank) const {
    if (shape(input).dims() != rank)
      throw OpError(std::string(names_[input]) + " must have rank " + std::to_string(rank) + ", but has shape " +
                    shape(input).DebugString());
  }
  // Passes if absent.
  void requireShape(int input, const TensorShape &wanted) const {
    if (has(input) && shape(input) != wanted)
      throw OpError(std::string(names_[input]) + " must have shape " + wanted.DebugString() + ", but has " +
                    shape(input).DebugString());
  }

 private:
  Call &call_;
  std::vector<const char *> names_;
  std::vector<int> position_;
};

// A kernel whose Op reads its attributes as it is made and has `const char *compute(Call &)`, which returns null or
// what a launch said.
template <typename Op>
class Kernel : public tensorflow::OpKernel {
 public:
  explicit Kernel(OpKernelConstruction *context) : OpKernel(context), op_(context) {}

  void Compute(OpKernelContext *context) override {
    try {
      Call call(context);
      if (const char *error = op_.compute(call))
        context->CtxFailure(tensorflow::errors::Internal(type_string(), ": ", error));
    } catch (const OpError &error) {
      context->CtxFailure(tensorflow::errors::InvalidArgument(type_string(), ": ", error.what()));
    }
  }

 private:
  Op op_;
};

template <typename T>
T attribute(OpKernelConstruction *context, const char *name) {
  T value{};
  context->SetStatus(context->GetAttr(name, &value));
  return value;
}

}  // namespace gpu
}  // namespace tfjs_mamba
