// What TfjsMambaMamba2Step, one token through all blocks of a Mamba-2 model, is given: checked, and with space for what it gives.
#pragma once

#include "../problem.h"
#include "call.h"

namespace tfjs_mamba {

class Mamba2StepOp {
 public:
  static constexpr const char *kName = "TfjsMambaMamba2Step";

  explicit Mamba2StepOp(const Attributes &a)
      : present_(a.integer("present")),
        blocks_(static_cast<int>(a.integer("blocks"))),
        normGroups_(a.integer("norm_groups")),
        normBeforeGate_(a.flag("norm_before_gate")),
        epsilon_(a.number("epsilon")),
        deltaMin_(a.number("delta_min")),
        deltaMax_(a.number("delta_max")) {}

  // The blocks in their order, all of one size.
  std::vector<Mamba2Step> problem(Call &call) const {
    const Shape x = call.shape(0);
    if (x.size() != 2 || sizeOf(x) == 0)
      throw OpError("x must have rank 2 and not be empty, but has shape " + show(x));
    if ((call.inputs() - 1) % blocks_ != 0)
      throw OpError("attribute blocks is " + std::to_string(blocks_) + ", which does not divide " +
                    std::to_string(call.inputs() - 1) + " inputs");
    std::vector<Mamba2Step> steps;
    for (int i = 0; i < blocks_; ++i) {
      steps.push_back(block(call, x, i));
      if (!sameSizes(steps[i], steps[0]))
        throw OpError("block " + std::to_string(i) + " differs in size from the first");
    }
    float *y = call.output(0, x);
    for (int i = 0; i < blocks_; ++i) {
      Mamba2Step &p = steps[i];
      p.x = i == 0 ? call.data(0) : y, p.y = y;
      p.newConvState = call.output(1 + i, {p.batch, p.taps - 1, p.convWidth()});
      p.newSsmState = call.output(1 + blocks_ + i, {p.batch, p.heads, p.headDim, p.states});
    }
    return steps;
  }

 private:
  // All of block `index` but x and where its results go.
  Mamba2Step block(Call &call, const Shape &x, int index) const {
    enum { kConvState, kSsmState, kNorm, kInProj, kInBias, kConv, kConvBias, kDtBias, kALog, kD, kGatedNorm, kOutProj,
           kOutBias };
    const int count = (call.inputs() - 1) / blocks_;
    const NamedInputs in(call,
                         {"conv", "ssm", "normWeight", "inProj", "inProjBias", "convWeight", "convBias", "dtBias",
                          "ALog", "D", "gatedNormWeight", "outProj", "outProjBias"},
                         present_, 1 + index * count, count);
    in.requireRank(kSsmState, 4), in.requireRank(kConv, 2), in.requireRank(kD, 1);
    for (int i : {kConvState, kNorm, kInProj, kDtBias, kALog, kOutProj}) in.require(i);
    const Shape &state = in.shape(kSsmState);
    Mamba2Step p{};
    p.batch = x[0], p.model = x[1], p.heads = state[1], p.headDim = state[2], p.states = state[3];
    p.taps = in.shape(kConv)[1];
    const int64_t rest = in.shape(kConv)[0] - p.inner();  // of B and C, both of all groups
    p.groups = rest / (2 * p.states);
    if (p.groups < 1 || rest % (2 * p.states) != 0 || p.heads % p.groups != 0)
      in.refuse(kConv, "has " + std::to_string(in.shape(kConv)[0]) + " channels, which are not the " +
                           std::to_string(p.inner()) + " of ssm and those of B and C for groups of its heads");
    p.skipWidth = in.shape(kD)[0] == p.heads ? 1 : p.headDim;
    p.normGroups = normGroups_, p.normBeforeGate = normBeforeGate_;
    p.epsilon = epsilon_, p.deltaMin = deltaMin_, p.deltaMax = deltaMax_;
    if (in.has(kGatedNorm) && p.inner() % normGroups_ != 0)
      in.refuse(kGatedNorm, "has " + std::to_string(p.inner()) + " channels, which " + std::to_string(normGroups_) +
                                " groups do not divide");
    in.requireShape(kConvState, {p.batch, p.taps - 1, p.convWidth()});
    in.requireShape(kSsmState, {p.batch, p.heads, p.headDim, p.states});
    in.requireShape(kNorm, {p.model});
    in.requireShape(kInProj, {p.model, p.projected()});
    in.requireShape(kInBias, {p.projected()});
    in.requireShape(kConvBias, {p.convWidth()});
    in.requireShape(kDtBias, {p.heads});
    in.requireShape(kALog, {p.heads});
    in.requireShape(kD, {p.heads * p.skipWidth});
    in.requireShape(kGatedNorm, {p.inner()});
    in.requireShape(kOutProj, {p.inner(), p.model});
    in.requireShape(kOutBias, {p.model});
    p.convState = in.data(kConvState), p.ssmState = in.data(kSsmState), p.norm = in.data(kNorm);
    p.inProj = in.data(kInProj), p.inBias = in.data(kInBias), p.conv = in.data(kConv), p.convBias = in.data(kConvBias);
    p.dtBias = in.data(kDtBias), p.ALog = in.data(kALog), p.D = in.data(kD), p.gatedNorm = in.data(kGatedNorm);
    p.outProj = in.data(kOutProj), p.outBias = in.data(kOutBias);
    return p;
  }

  static bool sameSizes(const Mamba2Step &a, const Mamba2Step &b) {
    return a.heads == b.heads && a.headDim == b.headDim && a.states == b.states && a.groups == b.groups &&
           a.taps == b.taps;
  }

  int64_t present_;
  int blocks_;
  int64_t normGroups_;
  bool normBeforeGate_;
  float epsilon_, deltaMin_, deltaMax_;
};

}  // namespace tfjs_mamba
