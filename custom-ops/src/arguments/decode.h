// What TfjsMambaMatVec and, for one token through all blocks of a model, TfjsMambaStep are given: checked, and with
// space for what they give.
#pragma once

#include "../problem.h"
#include "chain.h"

namespace tfjs_mamba {

class MatVecOp {
 public:
  static constexpr const char *kName = "TfjsMambaMatVec";

  explicit MatVecOp(const Attributes &a) : present_(a.integer("present")), transposed_(a.flag("transpose_kernel")) {}

  MatVec problem(Call &call) const {
    enum { kX, kKernel, kBias };
    const NamedInputs in(call, {"x", "kernel", "bias"}, present_);
    in.requireRank(kX, 2), in.requireRank(kKernel, 2);
    MatVec p{};
    p.rows = in.shape(kX)[0], p.in = in.shape(kX)[1], p.transposed = transposed_;
    p.out = in.shape(kKernel)[transposed_ ? 0 : 1];
    in.requireShape(kKernel, transposed_ ? Shape{p.out, p.in} : Shape{p.in, p.out});
    in.requireShape(kBias, {p.out});
    p.x = in.data(kX), p.weight = in.data(kKernel), p.bias = in.data(kBias);
    p.y = call.output(0, {p.rows, p.out});
    return p;
  }

 private:
  int64_t present_;
  bool transposed_;
};

class StepOp : public ChainOp<StepOp, BlockStep> {
 public:
  static constexpr const char *kName = "TfjsMambaStep";
  static constexpr const char *kDecoderName = "TfjsMambaStepDecoder";
  static constexpr const char *kNames[] = {"conv",  "ssm",    "normWeight", "inProj", "inProjBias", "convWeight", "convBias",
                                           "xProj", "dtProj", "dtBias",     "ALog",   "D",          "outProj",    "outProjBias"};

  explicit StepOp(const Attributes &a) : ChainOp(a), epsilon_(a.number("epsilon")), mixerEpsilon_(a.number("mixer_epsilon")) {}

  BlockStep block(const NamedInputs &in, const Shape &x) const {
    enum { kConvState, kSsmState, kNorm, kInProj, kInBias, kConv, kConvBias, kXProj, kDtProj, kDtBias, kALog, kD,
           kOutProj, kOutBias };
    for (int i : {kALog, kConv}) in.requireRank(i, 2);
    for (int i : {kConvState, kSsmState, kNorm, kDtBias, kD}) in.require(i);
    BlockStep p{};
    p.batch = x[0], p.model = x[1], p.inner = in.shape(kALog)[0], p.states = in.shape(kALog)[1];
    p.taps = in.shape(kConv)[1], p.rank = in.sizesOf(kDtProj)[0], p.epsilon = epsilon_;
    p.mixerEpsilon = mixerEpsilon_;
    in.requireShape(kConvState, convState(p));
    in.requireShape(kSsmState, ssmState(p));
    in.requireShape(kNorm, {p.model});
    in.requireShape(kInBias, {2 * p.inner});
    in.requireShape(kConv, {p.inner, p.taps});
    in.requireShape(kConvBias, {p.inner});
    in.requireShape(kDtBias, {p.inner});
    in.requireShape(kD, {p.inner});
    in.requireShape(kOutBias, {p.model});
    p.inProj = in.matrix(kInProj, p.model, 2 * p.inner), p.xProj = in.matrix(kXProj, p.inner, p.rank + 2 * p.states);
    p.dtProj = in.matrix(kDtProj, p.rank, p.inner), p.outProj = in.matrix(kOutProj, p.inner, p.model);
    p.convState = in.data(kConvState), p.ssmState = in.data(kSsmState), p.norm = in.data(kNorm);
    p.inBias = in.data(kInBias), p.conv = in.data(kConv), p.convBias = in.data(kConvBias);
    p.dtBias = in.data(kDtBias), p.ALog = in.data(kALog), p.D = in.data(kD), p.outBias = in.data(kOutBias);
    return p;
  }

  static bool sameSizes(const BlockStep &a, const BlockStep &b) {
    return a.inner == b.inner && a.states == b.states && a.taps == b.taps && a.rank == b.rank;
  }
  static Shape convState(const BlockStep &p) { return {p.batch, p.taps - 1, p.inner}; }
  static Shape ssmState(const BlockStep &p) { return {p.batch, p.inner, p.states}; }

 private:
  float epsilon_, mixerEpsilon_;
};

}  // namespace tfjs_mamba
