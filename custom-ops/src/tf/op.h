// From the arguments of an op and its kernel to TensorFlow's C kernel API: the definition of the op, and its
// registration for the CPU. A wrong call arrives in JavaScript as an exception.
#pragma once

#include <initializer_list>
#include <stdexcept>
#include <type_traits>

#include "../arguments/call.h"
#include "../cpu/kernels.h"
#include "tensorflow_c.h"

namespace tfjs_mamba {

// What TensorFlow said, to be passed on with its code.
class StatusError : public std::runtime_error {
 public:
  StatusError(TF_Code code, const char *message) : std::runtime_error(message), code(code) {}
  const TF_Code code;
};

class Status {
 public:
  Status() : status_(TF_NewStatus()) {}
  ~Status() { TF_DeleteStatus(status_); }
  Status(const Status &) = delete;
  Status &operator=(const Status &) = delete;
  operator TF_Status *() { return status_; }
  void check() {
    if (TF_GetCode(status_) != TF_OK) throw StatusError(TF_GetCode(status_), TF_Message(status_));
  }

 private:
  TF_Status *status_;
};

class CpuAttributes final : public Attributes {
 public:
  explicit CpuAttributes(TF_OpKernelConstruction *construction) : construction_(construction) {}
  int64_t integer(const char *name) const override;
  float number(const char *name) const override;
  bool flag(const char *name) const override;

 private:
  TF_OpKernelConstruction *construction_;
};

// Tensors handed out live as long as the call does.
class CpuCall final : public Call {
 public:
  explicit CpuCall(TF_OpKernelContext *context) : context_(context), tensors_(TF_NumInputs(context)) {}
  ~CpuCall();
  CpuCall(const CpuCall &) = delete;
  CpuCall &operator=(const CpuCall &) = delete;

  int inputs() const override { return static_cast<int>(tensors_.size()); }
  Shape shape(int input) override;
  bool valuesAtHand() const override { return true; }
  float *output(int index, const Shape &shape) override;
  // The same without a wish for huge pages.
  float *plainOutput(int index, const Shape &shape);
  // The tensors behind what inputs were given as, which whoever takes them is to delete.
  std::vector<TF_Tensor *> takeInputs();
  // Makes a tensor an output, whose memory it shares, and deletes it.
  void give(int index, TF_Tensor *tensor);

 private:
  const void *bytes(int input) override;
  TF_Tensor *tensor(int input);

  TF_OpKernelContext *context_;
  std::vector<TF_Tensor *> tensors_, outputs_;
};

// For whoever puts the ops in a graph.
using ShapeFunction = void (*)(TF_ShapeInferenceContext *, TF_Status *);
void setSameShape(TF_ShapeInferenceContext *context, int output, int input, TF_Status *status);

struct OpSpec {
  std::initializer_list<const char *> inputs, outputs, attributes;
  ShapeFunction shapes;
};

void registerDefinition(const char *name, const OpSpec &spec);
void registerKernel(const char *name, void *(*create)(TF_OpKernelConstruction *),
                    void (*compute)(void *, TF_OpKernelContext *), void (*remove)(void *));

// A status for what was thrown in that op.
void setStatus(Status &status, const char *op, const std::exception &error);

// Op, of src/arguments/, turns a call into the problem that `kernel` takes: a member of CpuKernels, or a function, which may take the call
// as well.
template <typename Op, auto kernel>
void registerCpuOp(const OpSpec &spec) {
  registerDefinition(Op::kName, spec);
  registerKernel(
      Op::kName,
      [](TF_OpKernelConstruction *construction) -> void * {
        try {
          return new Op(CpuAttributes(construction));
        } catch (const std::exception &error) {
          Status status;
          setStatus(status, Op::kName, error);
          TF_OpKernelConstruction_Failure(construction, status);
          return nullptr;
        }
      },
      [](void *op, TF_OpKernelContext *context) {
        try {
          CpuCall call(context);
          const auto problem = static_cast<const Op *>(op)->problem(call);
          if constexpr (std::is_member_pointer_v<decltype(kernel)>)
            (cpuKernels().*kernel)(problem);
          else if constexpr (std::is_invocable_v<decltype(kernel), decltype(problem), CpuCall &>)
            kernel(problem, call);
          else
            kernel(problem);
        } catch (const std::exception &error) {
          Status status;
          setStatus(status, Op::kName, error);
          TF_OpKernelContext_Failure(context, status);
        }
      },
      [](void *op) { delete static_cast<Op *>(op); });
}

}  // namespace tfjs_mamba
