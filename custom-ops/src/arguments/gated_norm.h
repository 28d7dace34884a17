// What TfjsMambaGatedRmsNorm and TfjsMambaGatedRmsNormGrad are given: checked, and with space for what they give.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

// What both passes read.
class GatedNormArguments {
 public:
  enum { kX, kWeight, kZ, kDy };

 protected:
  explicit GatedNormArguments(const Attributes &a)
      : present_(a.integer("present")),
        groups_(a.integer("groups")),
        normBeforeGate_(a.flag("norm_before_gate")),
        epsilon_(a.number("epsilon")) {}

  template <typename Problem>
  Problem read(const NamedInputs &in) const {
    in.require(kX), in.requireRank(kWeight, 1);
    const Shape &x = in.shape(kX), &weight = in.shape(kWeight);
    if (x.empty() || x.back() != weight[0])
      in.refuse(kX, "must have a last axis as long as weight, " + std::to_string(weight[0]) + ", but has shape " +
                        show(x));
    if (weight[0] % groups_ != 0)
      in.refuse(kX, "has " + std::to_string(weight[0]) + " channels, which " + std::to_string(groups_) +
                        " groups do not divide");
    in.requireShape(kZ, x);
    Problem p{};
    p.width = weight[0] / groups_, p.rows = sizeOf(x) / p.width, p.groups = groups_;
    p.normBeforeGate = normBeforeGate_, p.epsilon = epsilon_;
    p.x = in.data(kX), p.weight = in.data(kWeight), p.z = in.data(kZ);
    return p;
  }

  int64_t present_;

 private:
  int64_t groups_;
  bool normBeforeGate_;
  float epsilon_;
};

class GatedRmsNormOp : GatedNormArguments {
 public:
  static constexpr const char *kName = "TfjsMambaGatedRmsNorm";

  explicit GatedRmsNormOp(const Attributes &a) : GatedNormArguments(a) {}

  GatedNormForward problem(Call &call) const {
    const NamedInputs in(call, {"x", "weight", "z"}, present_);
    GatedNormForward p = read<GatedNormForward>(in);
    p.y = call.output(0, in.shape(kX));
    return p;
  }
};

class GatedRmsNormGradOp : GatedNormArguments {
 public:
  static constexpr const char *kName = "TfjsMambaGatedRmsNormGrad";

  explicit GatedRmsNormGradOp(const Attributes &a) : GatedNormArguments(a) {}

  GatedNormBackward problem(Call &call) const {
    const NamedInputs in(call, {"x", "weight", "z", "dy"}, present_);
    GatedNormBackward p = read<GatedNormBackward>(in);
    in.require(kDy), in.requireShape(kDy, in.shape(kX));
    p.dy = in.data(kDy);
    Gradients gradients(call, in);
    p.dx = gradients.of(kX), p.dWeight = gradients.of(kWeight), p.dz = gradients.of(kZ);
    return p;
  }
};

}  // namespace tfjs_mamba
