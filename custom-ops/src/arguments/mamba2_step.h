// What TfjsMambaMamba2Step, one token through all blocks of a Mamba-2 model, is given: checked, and with space for what it gives.
#pragma once

#include "../problem.h"
#include "chain.h"

namespace tfjs_mamba {

class Mamba2StepOp : public ChainOp<Mamba2StepOp, Mamba2Step> {
 public:
  static constexpr const char *kName = "TfjsMambaMamba2Step";
  static constexpr const char *kDecoderName = "TfjsMambaMamba2StepDecoder";
  static constexpr const char *kNames[] = {"conv",   "ssm",  "normWeight", "inProj",          "inProjBias", "convWeight", "convBias",
                                           "dtBias", "ALog", "D",          "gatedNormWeight", "outProj",    "outProjBias"};

  explicit Mamba2StepOp(const Attributes &a)
      : ChainOp(a),
        normGroups_(a.integer("norm_groups")),
        normBeforeGate_(a.flag("norm_before_gate")),
        epsilon_(a.number("epsilon")),
        deltaMin_(a.number("delta_min")),
        deltaMax_(a.number("delta_max")) {}

  Mamba2Step block(const NamedInputs &in, const Shape &x) const {
    enum { kConvState, kSsmState, kNorm, kInProj, kInBias, kConv, kConvBias, kDtBias, kALog, kD, kGatedNorm, kOutProj,
           kOutBias };
    in.requireRank(kSsmState, 4), in.requireRank(kConv, 2), in.requireRank(kD, 1);
    for (int i : {kConvState, kNorm, kDtBias, kALog}) in.require(i);
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
    in.requireShape(kConvState, convState(p));
    in.requireShape(kSsmState, ssmState(p));
    in.requireShape(kNorm, {p.model});
    in.requireShape(kInBias, {p.projected()});
    in.requireShape(kConvBias, {p.convWidth()});
    in.requireShape(kDtBias, {p.heads});
    in.requireShape(kALog, {p.heads});
    in.requireShape(kD, {p.heads * p.skipWidth});
    in.requireShape(kGatedNorm, {p.inner()});
    in.requireShape(kOutBias, {p.model});
    p.inProj = in.matrix(kInProj, p.model, p.projected()), p.outProj = in.matrix(kOutProj, p.inner(), p.model);
    p.convState = in.data(kConvState), p.ssmState = in.data(kSsmState), p.norm = in.data(kNorm);
    p.inBias = in.data(kInBias), p.conv = in.data(kConv), p.convBias = in.data(kConvBias);
    p.dtBias = in.data(kDtBias), p.ALog = in.data(kALog), p.D = in.data(kD), p.gatedNorm = in.data(kGatedNorm);
    p.outBias = in.data(kOutBias);
    return p;
  }

  static bool sameSizes(const Mamba2Step &a, const Mamba2Step &b) {
    return a.heads == b.heads && a.headDim == b.headDim && a.states == b.states && a.groups == b.groups &&
           a.taps == b.taps;
  }
  static Shape convState(const Mamba2Step &p) { return {p.batch, p.taps - 1, p.convWidth()}; }
  static Shape ssmState(const Mamba2Step &p) { return {p.batch, p.heads, p.headDim, p.states}; }

 private:
  int64_t normGroups_;
  bool normBeforeGate_;
  float epsilon_, deltaMin_, deltaMax_;
};

}  // namespace tfjs_mamba
