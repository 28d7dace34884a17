// What TfjsMambaRmsNorm and TfjsMambaRmsNormGrad are given: checked, and with space for what they give. They work on
// the last axis of tensors of any rank.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

// What both passes read.
class NormOp {
 public:
  enum { kX, kWeight };

 protected:
  explicit NormOp(const Attributes &a) : present_(a.integer("present")), epsilon_(a.number("epsilon")) {}

  template <typename Problem>
  Problem read(const NamedInputs &in) const {
    in.require(kX), in.requireRank(kWeight, 1);
    const Shape &x = in.shape(kX), &weight = in.shape(kWeight);
    if (x.empty() || x.back() != weight[0])
      in.refuse(kX, "must have a last axis as long as weight, " + std::to_string(weight[0]) + ", but has shape " +
                        show(x));
    Problem p{};
    p.rows = sizeOf(x) / weight[0], p.width = weight[0], p.epsilon = epsilon_, p.weight = in.data(kWeight);
    return p;
  }

  int64_t present_;

 private:
  float epsilon_;
};

class RmsNormOp : NormOp {
 public:
  static constexpr const char *kName = "TfjsMambaRmsNorm";

  explicit RmsNormOp(const Attributes &a) : NormOp(a) {}

  NormForward problem(Call &call) const {
    enum { kResidual = 2 };
    const NamedInputs in(call, {"x", "weight", "residual"}, present_);
    NormForward p = read<NormForward>(in);
    in.requireShape(kResidual, in.shape(kX));
    p.x = in.data(kX), p.residual = in.data(kResidual);
    p.y = call.output(0, in.shape(kX));
    if (in.has(kResidual)) p.sum = call.output(1, in.shape(kX));
    return p;
  }
};

class RmsNormGradOp : NormOp {
 public:
  static constexpr const char *kName = "TfjsMambaRmsNormGrad";

  explicit RmsNormGradOp(const Attributes &a) : NormOp(a) {}

  NormBackward problem(Call &call) const {
    enum { kDy = 2, kDSum };
    const NamedInputs in(call, {"r", "weight", "dy", "dResidual"}, present_);
    NormBackward p = read<NormBackward>(in);
    in.require(kDy);
    for (int input : {kDy, kDSum}) in.requireShape(input, in.shape(kX));
    p.r = in.data(kX), p.dy = in.data(kDy), p.dSum = in.data(kDSum);
    p.dr = call.output(0, in.shape(kX));
    p.dWeight = call.output(1, in.shape(kWeight));
    return p;
  }
};

}  // namespace tfjs_mamba
