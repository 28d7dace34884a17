// What TfjsMambaMatVec and, for one token through all blocks of a model, TfjsMambaStep are given: checked, and with
// space for what they give.
#pragma once

#include "../problem.h"
#include "call.h"

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

class StepOp {
 public:
  static constexpr const char *kName = "TfjsMambaStep";

  explicit StepOp(const Attributes &a)
      : present_(a.integer("present")),
        blocks_(static_cast<int>(a.integer("blocks"))),
        epsilon_(a.number("epsilon")),
        mixerEpsilon_(a.number("mixer_epsilon")) {}

  // The blocks in their order, all of one size.
  std::vector<BlockStep> problem(Call &call) const {
    const Shape x = call.shape(0);
    if (x.size() != 2 || sizeOf(x) == 0)
      throw OpError("x must have rank 2 and not be empty, but has shape " + show(x));
    if ((call.inputs() - 1) % blocks_ != 0)
      throw OpError("attribute blocks is " + std::to_string(blocks_) + ", which does not divide " +
                    std::to_string(call.inputs() - 1) + " inputs");
    std::vector<BlockStep> steps;
    for (int i = 0; i < blocks_; ++i) {
      steps.push_back(block(call, x, i));
      if (!sameSizes(steps[i], steps[0]))
        throw OpError("block " + std::to_string(i) + " differs in size from the first");
    }
    float *y = call.output(0, x);
    for (int i = 0; i < blocks_; ++i) {
      BlockStep &p = steps[i];
      p.x = i == 0 ? call.data(0) : y, p.y = y;
      p.newConvState = call.output(1 + i, {p.batch, p.taps - 1, p.inner});
      p.newSsmState = call.output(1 + blocks_ + i, {p.batch, p.inner, p.states});
    }
    return steps;
  }

 private:
  // All of block `index` but x and where its results go.
  BlockStep block(Call &call, const Shape &x, int index) const {
    enum { kConvState, kSsmState, kNorm, kInProj, kInBias, kConv, kConvBias, kXProj, kDtProj, kDtBias, kALog, kD,
           kOutProj, kOutBias };
    const int count = (call.inputs() - 1) / blocks_;
    const NamedInputs in(call,
                         {"conv", "ssm", "normWeight", "inProj", "inProjBias", "convWeight", "convBias", "xProj",
                          "dtProj", "dtBias", "ALog", "D", "outProj", "outProjBias"},
                         present_, 1 + index * count, count);
    for (int i : {kALog, kConv, kDtProj}) in.requireRank(i, 2);
    for (int i : {kConvState, kSsmState, kNorm, kInProj, kXProj, kDtBias, kD, kOutProj}) in.require(i);
    BlockStep p{};
    p.batch = x[0], p.model = x[1], p.inner = in.shape(kALog)[0], p.states = in.shape(kALog)[1];
    p.taps = in.shape(kConv)[1], p.rank = in.shape(kDtProj)[0], p.epsilon = epsilon_;
    p.mixerEpsilon = mixerEpsilon_;
    in.requireShape(kConvState, {p.batch, p.taps - 1, p.inner});
    in.requireShape(kSsmState, {p.batch, p.inner, p.states});
    in.requireShape(kNorm, {p.model});
    in.requireShape(kInProj, {p.model, 2 * p.inner});
    in.requireShape(kInBias, {2 * p.inner});
    in.requireShape(kConv, {p.inner, p.taps});
    in.requireShape(kConvBias, {p.inner});
    in.requireShape(kXProj, {p.inner, p.rank + 2 * p.states});
    in.requireShape(kDtProj, {p.rank, p.inner});
    in.requireShape(kDtBias, {p.inner});
    in.requireShape(kD, {p.inner});
    in.requireShape(kOutProj, {p.inner, p.model});
    in.requireShape(kOutBias, {p.model});
    p.convState = in.data(kConvState), p.ssmState = in.data(kSsmState), p.norm = in.data(kNorm);
    p.inProj = in.data(kInProj), p.inBias = in.data(kInBias), p.conv = in.data(kConv), p.convBias = in.data(kConvBias);
    p.xProj = in.data(kXProj), p.dtProj = in.data(kDtProj), p.dtBias = in.data(kDtBias), p.ALog = in.data(kALog);
    p.D = in.data(kD), p.outProj = in.data(kOutProj), p.outBias = in.data(kOutBias);
    return p;
  }

  static bool sameSizes(const BlockStep &a, const BlockStep &b) {
    return a.inner == b.inner && a.states == b.states && a.taps == b.taps && a.rank == b.rank;
  }

  int64_t present_;
  int blocks_;
  float epsilon_, mixerEpsilon_;
};

}  // namespace tfjs_mamba
