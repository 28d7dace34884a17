// What TfjsMambaAdamW, one step over a whole list of variables, and TfjsMambaGlobalNorm of such a list are given:
// checked, and with space for what they give. What changes from step to step comes as a tensor: TensorFlow keeps a
// kernel for every set of attribute values it has seen.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

// Problems together with the table of tensors that they point to: to be moved and not copied.
struct AdamWTable : AdamWProblem {
  std::vector<AdamWTensor> table;
  const float *scale;  // gradScale, where the kernel runs
};
struct NormTable : GlobalNorm {
  std::vector<NormTensor> table;
};

class AdamWOp {
 public:
  static constexpr const char *kName = "TfjsMambaAdamW";

  explicit AdamWOp(const Attributes &a) : count_(static_cast<int>(a.integer("P"))), givesMoments_(a.integer("M") > 0) {}

  // scalars: beta1, 1 - beta1, beta2, 1 - beta2, epsilon, stepSize, rootScale, then for each variable what decay keeps;
  // always at hand.
  AdamWTable problem(Call &call) const {
    constexpr int kCommon = 7;
    const int gradScale = 4 * count_, scalars = gradScale + 1;
    if (call.shape(scalars) != Shape{kCommon + count_} || !call.shape(gradScale).empty())
      throw OpError("grad_scale must be a scalar and scalars have shape " + show({kCommon + count_}) +
                    ", but they have " + show(call.shape(gradScale)) + " and " + show(call.shape(scalars)));
    const float *s = call.data(scalars);
    AdamWTable p{};
    p.table.resize(count_);
    for (int i = 0; i < count_; ++i) {
      const Shape shape = call.shape(i);
      for (int part = 1; part < 4; ++part)
        if (call.shape(part * count_ + i) != shape)
          throw OpError("gradient and moments of variable " + std::to_string(i) + " must have its shape, " +
                        show(shape) + ", but one has " + show(call.shape(part * count_ + i)));
      AdamWTensor &t = p.table[i];
      t.size = sizeOf(shape), t.kept = s[kCommon + i];
      t.param = call.data(i), t.grad = call.data(count_ + i);
      t.m = call.data(2 * count_ + i), t.v = call.data(3 * count_ + i);
      t.newParam = call.output(i, shape);
      // An element is read before it is written and no other is looked at, so moments may be written where they are.
      t.newM = givesMoments_ ? call.output(count_ + i, shape) : const_cast<float *>(t.m);
      t.newV = givesMoments_ ? call.output(2 * count_ + i, shape) : const_cast<float *>(t.v);
    }
    p.count = count_, p.tensors = p.table.data();
    p.beta1 = s[0], p.rest1 = s[1], p.beta2 = s[2], p.rest2 = s[3], p.epsilon = s[4], p.stepSize = s[5];
    p.rootScale = s[6], p.scale = call.data(gradScale), p.gradScale = call.valuesAtHand() ? *p.scale : 1;
    return p;
  }

 private:
  int count_;
  bool givesMoments_;  // else they are written in place
};

class GlobalNormOp {
 public:
  static constexpr const char *kName = "TfjsMambaGlobalNorm";

  explicit GlobalNormOp(const Attributes &) {}

  NormTable problem(Call &call) const {
    NormTable p{};
    for (int i = 0; i < call.inputs(); ++i) p.table.push_back({sizeOf(call.shape(i)), call.data(i)});
    p.count = call.inputs(), p.tensors = p.table.data(), p.norm = call.output(0, {});
    return p;
  }
};

}  // namespace tfjs_mamba
