// What TfjsMambaSsd, TfjsMambaSsdGrad and TfjsMambaSsdStep are given: checked, and with space for what they give.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

// As keptStatesShape, for Mamba-2.
Shape keptSsdStatesShape(const SsdProblem &p);

// What all three read, from inputs of which u, z, delta, B and C may lack the axis of time.
class SsdArguments {
 public:
  enum { kU, kDelta, kA, kB, kC, kD, kZ, kDeltaBias, kInitialState, kStates, kDy, kDFinalState };

 protected:
  explicit SsdArguments(const Attributes &a)
      : present_(a.integer("present")),
        softplus_(a.flag("delta_softplus")),
        deltaMin_(a.number("delta_min")),
        deltaMax_(a.number("delta_max")) {}

  NamedInputs inputs(Call &call, std::vector<const char *> more) const {
    std::vector<const char *> names{"u", "delta", "A", "B", "C", "D", "z", "deltaBias", "initialState"};
    names.insert(names.end(), more.begin(), more.end());
    return NamedInputs(call, names, present_);
  }

  // `lead`: the axes before heads, [B,L] or [B].
  template <typename Problem>
  Problem read(const NamedInputs &in, size_t lead) const {
    in.requireRank(kU, lead + 2), in.requireRank(kB, lead + 2);
    for (int input : {kDelta, kA, kC}) in.require(input);
    const Shape &u = in.shape(kU), &B = in.shape(kB);
    Problem p{};
    p.batch = u[0], p.length = lead == 2 ? u[1] : 1, p.heads = u[lead], p.headDim = u[lead + 1];
    p.groups = B[lead], p.states = B[lead + 1];
    p.softplus = softplus_, p.deltaMin = deltaMin_, p.deltaMax = deltaMax_;
    const Shape outer(u.begin(), u.begin() + lead);
    const auto after = [&](std::initializer_list<int64_t> rest) {
      Shape shape = outer;
      shape.insert(shape.end(), rest);
      return shape;
    };
    in.requireShape(kDelta, after({p.heads}));
    in.requireShape(kA, {p.heads});
    in.requireShape(kB, after({p.groups, p.states}));
    in.requireShape(kC, B);
    if (p.heads % p.groups != 0)
      in.refuse(kB, "has " + std::to_string(p.groups) + " groups, which do not divide " + std::to_string(p.heads) +
                        " heads");
    p.skipWidth = in.has(kD) && in.shape(kD).size() == 2 && in.shape(kD)[1] == 1 ? 1 : p.headDim;
    in.requireShape(kD, {p.heads, p.skipWidth});
    in.requireShape(kZ, u);
    in.requireShape(kDeltaBias, {p.heads});
    in.requireShape(kInitialState, stateShape(p));
    p.u = in.data(kU), p.delta = in.data(kDelta), p.A = in.data(kA), p.B = in.data(kB), p.C = in.data(kC);
    p.D = in.data(kD), p.z = in.data(kZ), p.deltaBias = in.data(kDeltaBias), p.initialState = in.data(kInitialState);
    return p;
  }

  static Shape stateShape(const SsdProblem &p) { return {p.batch, p.heads, p.headDim, p.states}; }

 private:
  int64_t present_;
  bool softplus_;
  float deltaMin_, deltaMax_;
};

class SsdOp : SsdArguments {
 public:
  static constexpr const char *kName = "TfjsMambaSsd";

  explicit SsdOp(const Attributes &a) : SsdArguments(a), keep_(a.integer("NS") > 0) {}

  SsdForward problem(Call &call) const {
    const NamedInputs in = inputs(call, {});
    SsdForward p = read<SsdForward>(in, 2);
    p.y = call.output(0, in.shape(kU));
    p.finalState = call.output(1, stateShape(p));
    if (keep_) p.chunkStates = call.output(2, keptSsdStatesShape(p));
    return p;
  }

 private:
  bool keep_;
};

class SsdGradOp : SsdArguments {
 public:
  static constexpr const char *kName = "TfjsMambaSsdGrad";

  explicit SsdGradOp(const Attributes &a) : SsdArguments(a) {}

  SsdBackward problem(Call &call) const {
    const NamedInputs in = inputs(call, {"states", "dy", "dFinalState"});
    SsdBackward p = read<SsdBackward>(in, 2);
    for (int input : {kStates, kDy, kDFinalState}) in.require(input);
    in.requireShape(kStates, keptSsdStatesShape(p));
    in.requireShape(kDy, in.shape(kU));
    in.requireShape(kDFinalState, stateShape(p));
    p.chunkStates = in.data(kStates), p.dy = in.data(kDy), p.dFinalState = in.data(kDFinalState);
    Gradients gradients(call, in);
    p.du = gradients.of(kU), p.ddelta = gradients.of(kDelta), p.dA = gradients.of(kA), p.dB = gradients.of(kB);
    p.dC = gradients.of(kC), p.dD = gradients.of(kD), p.dz = gradients.of(kZ);
    p.ddeltaBias = gradients.of(kDeltaBias), p.dInitialState = gradients.of(kInitialState);
    return p;
  }
};

// The state comes as the initial state.
class SsdStepOp : SsdArguments {
 public:
  static constexpr const char *kName = "TfjsMambaSsdStep";

  explicit SsdStepOp(const Attributes &a) : SsdArguments(a) {}

  SsdStep problem(Call &call) const {
    const NamedInputs in = inputs(call, {});
    in.require(kInitialState);
    SsdStep p = read<SsdStep>(in, 1);
    p.y = call.output(0, in.shape(kU));
    p.newState = call.output(1, stateShape(p));
    return p;
  }
};

}  // namespace tfjs_mamba
