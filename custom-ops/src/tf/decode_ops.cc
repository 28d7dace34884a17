// The ops TfjsMambaMatVec and TfjsMambaBlockStep, for decoding.
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
    p.x = in.data(kX), p.weight = in.data(kKernel), p.bias = in.data(kBias);
    p.y = call.output(0, {p.rows, p.out});
    cpuKernels().matVec(p);
  }

 private:
  int64_t present_;
  bool transposed_;
};

class BlockStepOp {
 public:
  static constexpr const char *kName = "TfjsMambaBlockStep";

  explicit BlockStepOp(Attributes &a) : present_(a.integer("present")), epsilon_(a.number("epsilon")) {}

  void compute(Call &call) {
    enum { kX, kConvState, kSsmState, kNorm, kInProj, kInBias, kConv, kConvBias, kXProj, kDtProj, kDtBias, kALog, kD,
           kOutProj, kOutBias };
    NamedInputs in(call, kName,
                   {"x", "convState", "ssmState", "norm", "inProj", "inBias", "conv", "convBias", "xProj", "dtProj",
                    "dtBias", "ALog", "D", "outProj", "outBias"},
                   present_);
    for (int i : {kX, kALog, kConv, kDtProj}) in.requireRank(i, 2);
    for (int i : {kConvState, kSsmState, kNorm, kInProj, kXProj, kDtBias, kD, kOutProj}) in.require(i);
    BlockStep p{};
    p.batch = in.shape(kX)[0], p.model = in.shape(kX)[1], p.inner = in.shape(kALog)[0], p.states = in.shape(kALog)[1];
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
    p.x = in.data(kX), p.convState = in.data(kConvState), p.ssmState = in.data(kSsmState), p.norm = in.data(kNorm);
    p.inProj = in.data(kInProj), p.inBias = in.data(kInBias), p.conv = in.data(kConv), p.convBias = in.data(kConvBias);
    p.xProj = in.data(kXProj), p.dtProj = in.data(kDtProj), p.dtBias = in.data(kDtBias), p.ALog = in.data(kALog);
    p.D = in.data(kD), p.outProj = in.data(kOutProj), p.outBias = in.data(kOutBias);
    p.y = call.output(0, in.shape(kX));
    p.newConvState = call.output(1, in.shape(kConvState));
    p.newSsmState = call.output(2, in.shape(kSsmState));
    cpuKernels().blockStep(p);
  }

 private:
  int64_t present_;
  float epsilon_;
};

}  // namespace

void registerDecodeOps() {
  registerCpuOp<MatVecOp>({MatVecOp::kName,
                           {"inputs: NI * float"},
                           {"y: float"},
                           {"NI: int >= 2", "present: int", "transpose_kernel: bool = false"},
                           TF_ShapeInferenceContextSetUnknownShape});
  registerCpuOp<BlockStepOp>({BlockStepOp::kName,
                              {"inputs: NI * float"},
                              {"y: float", "new_conv_state: float", "new_ssm_state: float"},
                              {"NI: int >= 12", "present: int", "epsilon: float"},
                              [](TF_ShapeInferenceContext *context, TF_Status *status) {
                                for (int i = 0; i < 3 && TF_GetCode(status) == TF_OK; ++i)
                                  setSameShape(context, i, i, status);
                              }});
}

}  // namespace tfjs_mamba
