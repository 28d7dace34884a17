// From the arguments of an op and the launch of its kernel to TensorFlow's C++ kernel API, which alone tells the stream
// to work on. The ops are defined by tfjs_mamba_ops.so, which is loaded first. A wrong call arrives in JavaScript as an
// exception.
#pragma once

#include <cuda_runtime.h>

#include <new>
#include <utility>
#include <vector>

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

// What TensorFlow said, to be passed on as it is.
class StatusError {
 public:
  explicit StatusError(tensorflow::Status status) : status(std::move(status)) {}
  const tensorflow::Status status;
};

inline void check(const tensorflow::Status &status) {
  if (!status.ok()) throw StatusError(status);
}
inline void check(cudaError_t error) {
  if (error != cudaSuccess) check(tensorflow::errors::Internal(cudaGetErrorString(error)));
}

// Makes the device that holds `data` the current one of this thread, on which kernels are launched, for as long as it
// lives. TensorFlow sees to that for its own devices; a pluggable one may be another, and number its GPUs in its own way.
class CurrentDevice {
 public:
  explicit CurrentDevice(const void *data) {
    check(cudaGetDevice(&before_));
    cudaPointerAttributes attributes{};
    // An input without elements lies nowhere.
    if (data) check(cudaPointerGetAttributes(&attributes, data));
    device_ = attributes.type == cudaMemoryTypeDevice ? attributes.device : before_;
    if (device_ != before_) check(cudaSetDevice(device_));
  }
  ~CurrentDevice() {
    if (device_ != before_) cudaSetDevice(before_);
  }
  CurrentDevice(const CurrentDevice &) = delete;
  CurrentDevice &operator=(const CurrentDevice &) = delete;

  int multiprocessors() const {
    int count = 1;
    check(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device_));
    return count;
  }

 private:
  int before_ = 0, device_ = 0;
};

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
  explicit GpuCall(OpKernelContext *context)
      : context_(context), device_(context->input(0).data()), stream_(context->op_device_context()->stream()) {}

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
  // One more piece of memory that lives as long as the call; TensorFlow gives it away again only to what comes later on
  // the same stream.
  float *workspace(size_t floats) {
    workspaces_.emplace_back();
    check(context_->allocate_temp(tensorflow::DT_FLOAT, TensorShape({static_cast<int64_t>(floats)}),
                                  &workspaces_.back()));
    return workspaces_.back().flat<float>().data();
  }
  int multiprocessors() const { return device_.multiprocessors(); }

  // Where kernels go. Null, CUDA's default stream, on a pluggable device: what its own stream is, only the plug-in knows.
  void *stream() const { return stream_->platform_specific_handle().stream; }
  // To be called around the launches. The default stream does not wait for a stream that TensorFlow has orders for, nor
  // that for it, so in its place the host does, both times.
  void begin() {
    if (!stream()) check(stream_->BlockHostUntilDone());
  }
  void end() {
    if (!stream()) check(cudaStreamSynchronize(nullptr));
  }

 private:
  const void *bytes(int input) override { return context_->input(input).data(); }

  OpKernelContext *context_;
  const CurrentDevice device_;
  stream_executor::Stream *stream_;
  std::vector<Tensor> workspaces_;
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
      const auto problem = op_.problem(call);
      call.begin();
      if (const char *error = launch(problem, call))
        context->CtxFailure(tensorflow::errors::Internal(type_string(), ": ", error));
      call.end();
    } catch (const StatusError &error) {
      context->CtxFailure(error.status);
    } catch (const OpError &error) {
      context->CtxFailure(tensorflow::errors::InvalidArgument(type_string(), ": ", error.what()));
    } catch (const std::bad_alloc &) {
      context->CtxFailure(tensorflow::errors::ResourceExhausted(type_string(), ": out of memory"));
    } catch (const std::exception &error) {
      context->CtxFailure(tensorflow::errors::Internal(type_string(), ": ", error.what()));
    }
  }

 private:
  Op op_;
};

}  // namespace gpu
}  // namespace tfjs_mamba
