// One call of an op, the same for the CPU and for CUDA: what a kernel is made with and given, where its results go, and
// the checks that the files beside this one are made of. src/tf/ implements the two interfaces over TensorFlow's C API,
// src/cuda/tf/ over its C++ API.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "../problem.h"

namespace tfjs_mamba {

using Shape = std::vector<int64_t>;

constexpr int64_t kGroupOfPacked = 32;  // integers with one scale, in eight words

std::string show(const Shape &shape);
int64_t sizeOf(const Shape &shape);

// A wrong call: arrives in JavaScript as an exception with the op's name and this message.
class OpError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Attributes {
 public:
  virtual int64_t integer(const char *name) const = 0;
  virtual float number(const char *name) const = 0;
  virtual bool flag(const char *name) const = 0;

 protected:
  ~Attributes() = default;
};

class Call {
 public:
  virtual int inputs() const = 0;
  virtual Shape shape(int input) = 0;
  template <typename T = float>
  const T *data(int input) {
    return static_cast<const T *>(bytes(input));
  }
  // Whether the values of an input can be checked: those on a GPU could only be looked at by waiting for it.
  virtual bool valuesAtHand() const = 0;
  // Space for a result, for as long as the call lasts.
  virtual float *output(int index, const Shape &shape) = 0;

 protected:
  ~Call() = default;

 private:
  virtual const void *bytes(int input) = 0;
};

// The inputs of an op whose optional ones may be missing. All present inputs come in one list; bit i of the attribute
// `present` says whether input i of `names` is among them.
class NamedInputs {
 public:
  NamedInputs(Call &call, std::vector<const char *> names, int64_t present)
      : NamedInputs(call, std::move(names), present, 0, call.inputs()) {}
  // In place of all inputs, `count` of them from `first` on. Bit i of `packed` says that input i is a packed matrix, whose words come in
  // their order from input `firstWord` on, and whose scales are input i, if it is present.
  NamedInputs(Call &call, std::vector<const char *> names, int64_t present, int first, int count, int64_t packed = 0,
              int firstWord = 0);

  bool has(int input) const { return position_[input] >= 0; }
  // Empty if absent.
  const Shape &shape(int input) const { return shapes_[input]; }
  // Null if absent.
  const float *data(int input) const { return has(input) ? call_.data(position_[input]) : nullptr; }

  [[noreturn]] void refuse(int input, const std::string &why) const;
  void require(int input) const;
  // Of that rank, and not empty.
  void requireRank(int input, size_t rank) const;
  // Passes if absent.
  void requireShape(int input, const Shape &expected) const;
  // A matrix [in,out] in the form in which it is given: floats, or packed with outputs as rows; floats of a table are [out,in].
  Matrix matrix(int input, int64_t in, int64_t out, bool isTable = false) const;
  // The rows and columns that a matrix has in whatever form, [in,out].
  Shape sizesOf(int input, bool isTable = false) const;

 private:
  bool isPacked(int input) const { return words_[input] >= 0; }

  Call &call_;
  std::vector<const char *> names_;
  std::vector<int> position_, words_;
  std::vector<Shape> shapes_;
};

// The ids of packed documents [B,L], `count` of them (none or one) at the end of the inputs; null if there are none.
const int32_t *sequenceIds(Call &call, int64_t count, const Shape &expected);

// The outputs of a gradient op: one for every present input, in the order of the inputs.
class Gradients {
 public:
  Gradients(Call &call, const NamedInputs &in) : call_(call), in_(in) {}

  // Of the next input; null if it is absent.
  float *of(int input) { return in_.has(input) ? call_.output(next_++, in_.shape(input)) : nullptr; }

 private:
  Call &call_;
  const NamedInputs &in_;
  int next_ = 0;
};

}  // namespace tfjs_mamba
