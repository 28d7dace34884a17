// From TensorFlow's C kernel API to plain C++: an op is a class with a constructor that reads attributes and a method
// that computes; it throws OpError on a wrong call, which arrives in JavaScript as an exception with that message.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <exception>
#include <initializer_list>
#include <string>
#include <vector>

#include "tensorflow_c.h"

namespace tfjs_mamba {

class OpError : public std::exception {
 public:
  explicit OpError(const char *format, ...) __attribute__((format(printf, 2, 3))) {
    va_list args;
    va_start(args, format);
    std::vsnprintf(message_, sizeof message_, format, args);
    va_end(args);
  }
  const char *what() const noexcept override { return message_; }

 private:
  char message_[512];
};

class Status {
 public:
  Status() : status_(TF_NewStatus()) {}
  ~Status() { TF_DeleteStatus(status_); }
  Status(const Status &) = delete;
  Status &operator=(const Status &) = delete;
  operator TF_Status *() { return status_; }
  void check() {
    if (TF_GetCode(status_) != TF_OK) throw OpError("%s", TF_Message(status_));
  }

 private:
  TF_Status *status_;
};

using Shape = std::vector<int64_t>;

std::string show(const Shape &shape);

// Reads attributes while TensorFlow makes a kernel.
class Attributes {
 public:
  explicit Attributes(TF_OpKernelConstruction *construction) : construction_(construction) {}
  int64_t integer(const char *name);
  float number(const char *name);
  bool flag(const char *name);

 private:
  TF_OpKernelConstruction *construction_;
};

// One call of a kernel. Tensors handed out live as long as it does.
class Call {
 public:
  explicit Call(TF_OpKernelContext *context) : context_(context) {}
  ~Call();
  Call(const Call &) = delete;
  Call &operator=(const Call &) = delete;

  int inputs() { return TF_NumInputs(context_); }
  Shape shape(int input);
  template <typename T = float>
  const T *data(int input) {
    return static_cast<const T *>(TF_TensorData(tensor(input)));
  }
  float *output(int index, const Shape &shape);

 private:
  TF_Tensor *tensor(int input);
  TF_OpKernelContext *context_;
  std::vector<TF_Tensor *> tensors_, outputs_;
};

// Inputs of an op whose optional ones may be missing. All present inputs come in one list; bit i of the attribute
// `present` says whether input i of `names` is among them.
class NamedInputs {
 public:
  NamedInputs(Call &call, const char *op, std::initializer_list<const char *> names, int64_t present)
      : NamedInputs(call, op, names, present, 0, call.inputs()) {}
  // Of the inputs from `first` on, which are `count`.
  NamedInputs(Call &call, const char *op, std::initializer_list<const char *> names, int64_t present, int first,
              int count);

  bool has(int input) const { return position_[input] >= 0; }
  const Shape &shape(int input) const { return shapes_[input]; }
  // Null if absent.
  const float *data(int input) { return has(input) ? call_.data(position_[input]) : nullptr; }
  // As data, of a matrix that will be streamed again and again.
  const float *weight(int input);
  int count() const { return count_; }

  void require(int input) const;
  void requireRank(int input, size_t rank) const;
  // Passes if absent.
  void requireShape(int input, const Shape &shape) const;

 private:
  Call &call_;
  const char *op_;
  std::vector<const char *> names_;
  std::vector<int> position_;
  std::vector<Shape> shapes_;
  int count_ = 0;
};

// Shape functions, for whoever puts the ops in a graph. `shapes` lists, for each output, which input's shape it has.
using ShapeFunction = void (*)(TF_ShapeInferenceContext *, TF_Status *);
void setSameShape(TF_ShapeInferenceContext *context, int output, int input, TF_Status *status);

struct OpSpec {
  const char *name;
  std::initializer_list<const char *> inputs, outputs, attributes;
  ShapeFunction shapes;
};

void registerDefinition(const OpSpec &spec);
void registerKernel(const char *name, void *(*create)(TF_OpKernelConstruction *),
                    void (*compute)(void *, TF_OpKernelContext *), void (*remove)(void *));

template <typename Op>
void registerCpuOp(const OpSpec &spec) {
  registerDefinition(spec);
  registerKernel(
      spec.name,
      [](TF_OpKernelConstruction *construction) -> void * {
        try {
          Attributes attributes(construction);
          return new Op(attributes);
        } catch (const std::exception &error) {
          Status status;
          TF_SetStatus(status, TF_INVALID_ARGUMENT, error.what());
          TF_OpKernelConstruction_Failure(construction, status);
          return nullptr;
        }
      },
      [](void *op, TF_OpKernelContext *context) {
        try {
          Call call(context);
          static_cast<Op *>(op)->compute(call);
        } catch (const std::exception &error) {
          Status status;
          TF_SetStatus(status, dynamic_cast<const OpError *>(&error) ? TF_INVALID_ARGUMENT : TF_INTERNAL, error.what());
          TF_OpKernelContext_Failure(context, status);
        }
      },
      [](void *op) { delete static_cast<Op *>(op); });
}

}  // namespace tfjs_mamba
