// What TfjsMambaSelectiveScan, TfjsMambaSelectiveScanGrad and TfjsMambaSelectiveStateUpdate are given: checked, and
// with space for what they give.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

// Of the states that the forward pass keeps for the backward pass. How they lie is the kernels' own affair, so each
// library defines this for its own, beside its registration of the ops.
Shape keptStatesShape(const ScanProblem &p);

// The groups of B or C of shape [lead..., groups, states], or 1 if it is the constant [channels, states].
inline int64_t groupsOf(const NamedInputs &in, int input, Shape lead, int64_t channels, int64_t states,
                        bool *constant) {
  in.require(input);
  *constant = in.shape(input).size() == 2;
  if (*constant) {
    in.requireShape(input, {channels, states});
    return 1;
  }
  in.requireRank(input, lead.size() + 2);
  const int64_t groups = in.shape(input)[lead.size()];
  lead.push_back(groups), lead.push_back(states);
  in.requireShape(input, lead);
  if (channels % groups != 0)
    in.refuse(input, "has " + std::to_string(groups) + " groups, which do not divide " + std::to_string(channels) +
                         " channels");
  return groups;
}

// What both passes read.
class ScanOp {
 public:
  enum { kU, kDelta, kA, kB, kC, kD, kZ, kDeltaBias, kInitialState, kStates, kDy, kDFinalState };

 protected:
  explicit ScanOp(const Attributes &a)
      : present_(a.integer("present")), ids_(a.integer("NQ")), softplus_(a.flag("delta_softplus")) {}

  NamedInputs inputs(Call &call, std::vector<const char *> more) const {
    std::vector<const char *> names{"u", "delta", "A", "B", "C", "D", "z", "deltaBias", "initialState"};
    names.insert(names.end(), more.begin(), more.end());
    return NamedInputs(call, names, present_, 0, call.inputs() - static_cast<int>(ids_));
  }

  template <typename Problem>
  Problem read(Call &call, const NamedInputs &in) const {
    in.requireRank(kU, 3), in.requireRank(kA, 2), in.require(kDelta);
    const Shape &u = in.shape(kU);
    Problem p{};
    p.batch = u[0], p.length = u[1], p.channels = u[2], p.states = in.shape(kA)[1], p.softplus = softplus_;
    in.requireShape(kDelta, u);
    in.requireShape(kA, {p.channels, p.states});
    in.requireShape(kD, {p.channels});
    in.requireShape(kZ, u);
    in.requireShape(kDeltaBias, {p.channels});
    in.requireShape(kInitialState, stateShape(p));
    p.groupsB = groupsOf(in, kB, {p.batch, p.length}, p.channels, p.states, &p.constantB);
    p.groupsC = groupsOf(in, kC, {p.batch, p.length}, p.channels, p.states, &p.constantC);
    p.u = in.data(kU), p.delta = in.data(kDelta), p.A = in.data(kA), p.B = in.data(kB), p.C = in.data(kC);
    p.D = in.data(kD), p.z = in.data(kZ), p.deltaBias = in.data(kDeltaBias), p.initialState = in.data(kInitialState);
    p.sequenceIds = sequenceIds(call, ids_, {p.batch, p.length});
    return p;
  }

  static Shape stateShape(const ScanProblem &p) { return {p.batch, p.channels, p.states}; }

 private:
  int64_t present_, ids_;
  bool softplus_;
};

class SelectiveScanOp : ScanOp {
 public:
  static constexpr const char *kName = "TfjsMambaSelectiveScan";

  explicit SelectiveScanOp(const Attributes &a) : ScanOp(a), keep_(a.integer("NS") > 0) {}

  ScanForward problem(Call &call) const {
    const NamedInputs in = inputs(call, {});
    ScanForward p = read<ScanForward>(call, in);
    p.y = call.output(0, in.shape(kU));
    p.finalState = call.output(1, stateShape(p));
    if (keep_) p.chunkStates = call.output(2, keptStatesShape(p));
    return p;
  }

 private:
  bool keep_;
};

class SelectiveScanGradOp : ScanOp {
 public:
  static constexpr const char *kName = "TfjsMambaSelectiveScanGrad";

  explicit SelectiveScanGradOp(const Attributes &a) : ScanOp(a) {}

  ScanBackward problem(Call &call) const {
    const NamedInputs in = inputs(call, {"states", "dy", "dFinalState"});
    ScanBackward p = read<ScanBackward>(call, in);
    for (int input : {kStates, kDy, kDFinalState}) in.require(input);
    in.requireShape(kStates, keptStatesShape(p));
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

class SelectiveStateUpdateOp {
 public:
  enum { kState, kU, kDelta, kA, kB, kC, kD, kZ, kDeltaBias };
  static constexpr const char *kName = "TfjsMambaSelectiveStateUpdate";

  explicit SelectiveStateUpdateOp(const Attributes &a)
      : present_(a.integer("present")), softplus_(a.flag("delta_softplus")) {}

  StateUpdate problem(Call &call) const {
    const NamedInputs in(call, {"state", "u", "delta", "A", "B", "C", "D", "z", "deltaBias"}, present_);
    in.requireRank(kState, 3);
    for (int input : {kU, kDelta, kA}) in.require(input);
    const Shape &state = in.shape(kState);
    StateUpdate p{};
    p.batch = state[0], p.channels = state[1], p.states = state[2], p.softplus = softplus_;
    for (int input : {kU, kDelta, kZ}) in.requireShape(input, {p.batch, p.channels});
    in.requireShape(kA, {p.channels, p.states});
    for (int input : {kD, kDeltaBias}) in.requireShape(input, {p.channels});
    p.groupsB = groupsOf(in, kB, {p.batch}, p.channels, p.states, &p.constantB);
    p.groupsC = groupsOf(in, kC, {p.batch}, p.channels, p.states, &p.constantC);
    p.state = in.data(kState), p.u = in.data(kU), p.delta = in.data(kDelta), p.A = in.data(kA), p.B = in.data(kB);
    p.C = in.data(kC), p.D = in.data(kD), p.z = in.data(kZ), p.deltaBias = in.data(kDeltaBias);
    p.y = call.output(0, {p.batch, p.channels});
    p.newState = call.output(1, state);
    return p;
  }

 private:
  int64_t present_;
  bool softplus_;
};

}  // namespace tfjs_mamba
