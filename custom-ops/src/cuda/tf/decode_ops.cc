// TfjsMambaMatVec and TfjsMambaStep on DEVICE_GPU, for decoding.
#include "gpu_op.h"

namespace tfjs_mamba {
namespace gpu {
namespace {

class MatVecOp {
 public:
  explicit MatVecOp(OpKernelConstruction *c)
      : present_(attribute<int64_t>(c, "present")), transposed_(attribute<bool>(c, "transpose_kernel")) {}

  const char *compute(Call &call) {
    enum { kX, kKernel, kBias };
    const NamedInputs in(call, present_, {"x", "kernel", "bias"});
    in.requireRank(kX, 2), in.requireRank(kKernel, 2);
    MatVec p{};
    p.rows = in.shape(kX).dim_size(0), p.in = in.shape(kX).dim_size(1), p.transposed = transposed_;
    p.out = in.shape(kKernel).dim_size(transposed_ ? 0 : 1);
    in.requireShape(kKernel, transposed_ ? TensorShape({p.out, p.in}) : TensorShape({p.in, p.out}));
    in.requireShape(kBias, TensorShape({p.out}));
    p.x = in.data(kX), p.weight = in.data(kKernel), p.bias = in.data(kBias);
    p.y = call.output(0, TensorShape({p.rows, p.out}));
    return cuda::launchMatVec(p, call.stream());
  }

 private:
  int64_t present_;
  bool transposed_;
};

class StepOp {
 public:
  explicit StepOp(OpKernelConstruction *c)
      : present_(attribute<int64_t>(c, "present")),
        blocks_(static_cast<int>(attribute<int64_t>(c, "blocks"))),
        epsilon_(attribute<float>(c, "epsilon")) {}

  const char *compute(Call &call) {
    const TensorShape &x = call.shape(0);
    require(x.dims() == 2 && x.num_elements() > 0, "x must have rank 2 and not be empty");
    std::vector<BlockStep> steps;
    for (int i = 0; i < blocks_; ++i) steps.push_back(readBlock(call, x, i));
    const float *from = call.data(0);
    float *y = call.output(0, x), *workspace = call.workspace(cuda::blockStepWorkspace(steps[0]));
    for (int i = 0; i < blocks_; ++i) {
      BlockStep &p = steps[i];
      p.x = i == 0 ? from : y, p.y = y;
      p.newConvState = call.output(1 + i, TensorShape({p.batch, p.taps - 1, p.inner}));
      p.newSsmState = call.output(1 + blocks_ + i, TensorShape({p.batch, p.inner, p.states}));
      if (const char *error = cuda::launchBlockStep(p, workspace, call.stream())) return error;
    }
    return nullptr;
  }

 private:
  // All of block `index` but x and where its results go.
  BlockStep readBlock(Call &call, const TensorShape &x, int index) const {
    enum {
      kConvState,
      kSsmState,
      kNorm,
      kInProj,
      kInBias,
      kConv,
      kConvBias,
      kXProj,
      kDtProj,
      kDtBias,
      kALog,
      kD,
      kOutProj,
      kOutBias
    };
    const int count = (call.inputs() - 1) / blocks_;
    const NamedInputs in(call, present_,
                         {"conv", "ssm", "normWeight", "inProj", "inProjBias", "convWeight", "convBias", "xProj",
                          "dtProj", "dtBias", "ALog", "D", "outProj", "outProjBias"},
                         1 + index * count, count);
    for (int i : {kALog, kConv, kDtProj}) in.requireRank(i, 2);
    for (int i : {kConvState, kSsmState, kNorm, kInProj, kXProj, kDtBias, kD, kOutProj}) in.shape(i);
    BlockStep p{};
    p.batch = x.dim_size(0), p.model = x.dim_size(1), p.inner = in.shape(kALog).dim_size(0);
    p.states = in.shape(kALog).dim_size(1), p.taps = in.shape(kConv).dim_size(1);
    p.rank = in.shape(kDtProj).dim_size(0), p.epsilon = epsilon_;
    in.requireShape(kConvState, TensorShape({p.batch, p.taps - 1, p.inner}));
    in.requireShape(kSsmState, TensorShape({p.batch, p.inner, p.states}));
    in.requireShape(kNorm, TensorShape({p.model}));
    in.requireShape(kInProj, TensorShape({p.model, 2 * p.inner}));
    in.requireShape(kInBias, TensorShape({2 * p.inner}));
    in.requireShape(kConv, TensorShape({p.inner, p.taps}));
    in.requireShape(kConvBias, TensorShape({p.inner}));
    in.requireShape(kXProj, TensorShape({p.inner, p.rank + 2 * p.states}));
    in.requireShape(kDtProj, TensorShape({p.rank, p.inner}));
    in.requireShape(kDtBias, TensorShape({p.inner}));
    in.requireShape(kD, TensorShape({p.inner}));
    in.requireShape(kOutProj, TensorShape({p.inner, p.model}));
    in.requireShape(kOutBias, TensorShape({p.model}));
    p.convState = in.data(kConvState), p.ssmState = in.data(kSsmState), p.norm = in.data(kNorm);
    p.inProj = in.data(kInProj), p.inBias = in.data(kInBias), p.conv = in.data(kConv), p.convBias = in.data(kConvBias);
    p.xProj = in.data(kXProj), p.dtProj = in.data(kDtProj), p.dtBias = in.data(kDtBias), p.ALog = in.data(kALog);
    p.D = in.data(kD), p.outProj = in.data(kOutProj), p.outBias = in.data(kOutBias);
    return p;
  }

  int64_t present_;
  int blocks_;
  float epsilon_;
};

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name("TfjsMambaMatVec").Device(DEVICE_GPU), Kernel<MatVecOp>);
REGISTER_KERNEL_BUILDER(Name("TfjsMambaStep").Device(DEVICE_GPU), Kernel<StepOp>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
