// What TfjsMambaCausalConv1d and TfjsMambaCausalConv1dGrad are given: checked, and with space for what they give.
// x [B,D], a step of decoding, is a sequence of length 1.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

// What both passes read.
class ConvOp {
 public:
  enum { kX, kWeight, kBias, kInitialState, kDy, kDFinalState };

 protected:
  explicit ConvOp(const Attributes &a)
      : present_(a.integer("present")), ids_(a.integer("NQ")), silu_(a.flag("silu")) {}

  NamedInputs inputs(Call &call, std::vector<const char *> more) const {
    std::vector<const char *> names{"x", "weight", "bias", "initialState"};
    names.insert(names.end(), more.begin(), more.end());
    return NamedInputs(call, names, present_, 0, call.inputs() - static_cast<int>(ids_));
  }

  template <typename Problem>
  Problem read(Call &call, const NamedInputs &in) const {
    in.require(kX);
    const Shape &x = in.shape(kX);
    const bool step = x.size() == 2;
    in.requireRank(kX, step ? 2 : 3), in.requireRank(kWeight, 2);
    Problem p{};
    p.batch = x[0], p.length = step ? 1 : x[1], p.channels = x.back(), p.taps = in.shape(kWeight)[1], p.silu = silu_;
    in.requireShape(kWeight, {p.channels, p.taps});
    in.requireShape(kBias, {p.channels});
    in.requireShape(kInitialState, stateShape(p));
    p.x = in.data(kX), p.weight = in.data(kWeight), p.bias = in.data(kBias), p.initialState = in.data(kInitialState);
    p.sequenceIds = sequenceIds(call, ids_, {p.batch, p.length});
    return p;
  }

  static Shape stateShape(const ConvProblem &p) { return {p.batch, p.taps - 1, p.channels}; }

 private:
  int64_t present_, ids_;
  bool silu_;
};

class CausalConv1dOp : ConvOp {
 public:
  static constexpr const char *kName = "TfjsMambaCausalConv1d";

  explicit CausalConv1dOp(const Attributes &a) : ConvOp(a) {}

  ConvForward problem(Call &call) const {
    const NamedInputs in = inputs(call, {});
    ConvForward p = read<ConvForward>(call, in);
    p.y = call.output(0, in.shape(kX));
    p.finalState = call.output(1, stateShape(p));
    return p;
  }
};

class CausalConv1dGradOp : ConvOp {
 public:
  static constexpr const char *kName = "TfjsMambaCausalConv1dGrad";

  explicit CausalConv1dGradOp(const Attributes &a) : ConvOp(a) {}

  ConvBackward problem(Call &call) const {
    const NamedInputs in = inputs(call, {"dy", "dFinalState"});
    ConvBackward p = read<ConvBackward>(call, in);
    for (int input : {kDy, kDFinalState}) in.require(input);
    in.requireShape(kDy, in.shape(kX));
    in.requireShape(kDFinalState, stateShape(p));
    p.dy = in.data(kDy), p.dFinalState = in.data(kDFinalState);
    Gradients gradients(call, in);
    p.dx = gradients.of(kX), p.dWeight = gradients.of(kWeight), p.dBias = gradients.of(kBias);
    p.dInitialState = gradients.of(kInitialState);
    return p;
  }
};

}  // namespace tfjs_mamba
