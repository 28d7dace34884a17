// The ops TfjsMambaMatVec and, for one token through all blocks of a model, TfjsMambaStep.
#include "../cpu/kernels.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

class MatVecOp {
 public:
  static constexpr const char *kName = "TfjsMambaMatVec";

  explicit MatVecOp(Attributes &a) : present_(a.integer("present")), transposed_(a.flag("transpose_kernel")) {}

  void compute(Call &call) {
    enum { kX, kKernel, kBias };
    NamedInputs in(call, kName, {"x", "kernel", "bias"}, present_);
    in.requireRank(kX, 2), in.requireRank(kKernel, 2);
    MatVec p{};
    p.rows = in.shape(kX)[0], p.in = in.shape(kX)[1], p.transposed = transposed_;
    p.out = in.shape(kKernel)[transposed_ ? 0 : 1];
    in.requireShape(kKernel, transposed_ ? Shape{p.out, p.in} : Shape{p.in, p.out});
    in.requireShape(kBias, {p.out});
    p.x = in.data(kX), p.weight = in.weight(kKernel), p.bias = in.data(kBias);
    p.y = call.output(0, {p.rows, p.out});
    cpuKernels().matVec(p);
  }

 private:
  int64_t present_;
  bool transposed_;
};

class StepOp {
 public:
  static constexpr const char *kName = "TfjsMambaStep";

  explicit StepOp(Attributes &a)
      : present_(a.integer("present")), blocks_(static_cast<int>(a.integer("blocks"))), epsilon_(a.number("epsilon")) {}

  void compute(Call &call) {
    const Shape x = call.shape(0);
    if (x.size() != 2) throw OpError("%s: x must have rank 2, but has shape %s", kName, show(x).c_str());
    std::vector<BlockStep> steps;
    for (int i = 0; i < blocks_; ++i) steps.push_back(readBlock(call, x, i));
    const float *from = call.data(0);
    float *y = call.output(0, x);
    for (int i = 0; i < blocks_; ++i) {
      BlockStep &p = steps[i];
      p.x = i == 0 ? from : y, p.y = y;
      p.newConvState = call.output(1 + i, {p.batch, p.taps - 1, p.inner});
      p.newSsmState = call.output(1 + blocks_ + i, {p.batch, p.inner, p.states});
      cpuKernels().blockStep(p);
    }
  }

 private:
  // All of block `index` but x and where its results go.
  BlockStep readBlock(Call &call, const Shape &x, int index) const {
    enum { kConvState, kSsmState, kNorm, kInProj, kInBias, kConv, kConvBias, kXProj, kDtProj, kDtBias, kALog, kD,
           kOutProj, kOutBias };
    const int count = (call.inputs() - 1) / blocks_;
    NamedInputs in(call, kName,
                   {"conv", "ssm", "normWeight", "inProj", "inProjBias", "convWeight", "convBias", "xProj", "dtProj",
                    "dtBias", "ALog", "D", "outProj", "outProjBias"},
                   present_, 1 + index * count, count);
    for (int i : {kALog, kConv, kDtProj}) in.requireRank(i, 2);
    for (int i : {kConvState, kSsmState, kNorm, kInProj, kXProj, kDtBias, kD, kOutProj}) in.require(i);
    BlockStep p{};
    p.batch = x[0], p.model = x[1], p.inner = in.shape(kALog)[0], p.states = in.shape(kALog)[1];
    p.taps = in.shape(kConv)[1], p.rank = in.shape(kDtProj)[0], p.epsilon = epsilon_;
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
    p.inProj = in.weight(kInProj), p.inBias = in.data(kInBias), p.conv = in.data(kConv);
    p.convBias = in.data(kConvBias), p.xProj = in.weight(kXProj), p.dtProj = in.weight(kDtProj);
    p.dtBias = in.data(kDtBias), p.ALog = in.data(kALog), p.D = in.data(kD), p.outProj = in.weight(kOutProj);
    p.outBias = in.data(kOutBias);
    return p;
  }

  int64_t present_;
  int blocks_;
  float epsilon_;
};

}  // namespace

void registerDecodeOps() {
  registerCpuOp<MatVecOp>({MatVecOp::kName,
                           {"inputs: NI * float"},
                           {"y: float"},
                           {"NI: int >= 2", "present: int", "transpose_kernel: bool = false"},
                           TF_ShapeInferenceContextSetUnknownShape});
  registerCpuOp<StepOp>({StepOp::kName,
                         {"inputs: NI * float"},
                         {"y: float", "conv: blocks * float", "ssm: blocks * float"},
                         {"NI: int >= 12", "blocks: int >= 1", "present: int", "epsilon: float"},
                         TF_ShapeInferenceContextSetUnknownShape});
}

}  // namespace tfjs_mamba
