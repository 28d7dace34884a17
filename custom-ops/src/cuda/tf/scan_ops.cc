// TfjsMambaSelectiveScan, TfjsMambaSelectiveScanGrad and TfjsMambaSelectiveStateUpdate on DEVICE_GPU.
#include "gpu_op.h"

namespace tfjs_mamba {
namespace gpu {
namespace {

enum { kU, kDelta, kA, kB, kC, kD, kZ, kDeltaBias, kInitialState, kStates, kDy, kDFinalState };
#define SCAN_INPUTS "u", "delta", "A", "B", "C", "D", "z", "deltaBias", "initialState"

// The groups of a projection of shape [lead..., groups, states], or 1 if it is the constant [channels, states].
int64_t groupsOf(const NamedInputs &in, int input, TensorShape lead, int64_t channels, int64_t states, bool *constant) {
  *constant = in.shape(input).dims() == 2;
  if (*constant) {
    in.requireShape(input, TensorShape({channels, states}));
    return 1;
  }
  in.requireRank(input, lead.dims() + 2);
  const int64_t groups = in.shape(input).dim_size(lead.dims());
  lead.AddDim(groups), lead.AddDim(states);
  in.requireShape(input, lead);
  if (groups <= 0 || channels % groups != 0)
    throw OpError(std::to_string(groups) + " groups do not divide " + std::to_string(channels) + " channels");
  return groups;
}

ScanProblem readScan(const NamedInputs &in, bool softplus) {
  in.requireRank(kU, 3), in.requireRank(kA, 2);
  const TensorShape &u = in.shape(kU);
  ScanProblem p{};
  p.batch = u.dim_size(0), p.length = u.dim_size(1), p.channels = u.dim_size(2), p.states = in.shape(kA).dim_size(1);
  require(u.num_elements() > 0 && p.states > 0, "u and A must not be empty");
  const TensorShape vector({p.channels}), state({p.batch, p.channels, p.states}), time({p.batch, p.length});
  require(in.has(kDelta), "delta is missing");
  in.requireShape(kDelta, u), in.requireShape(kA, TensorShape({p.channels, p.states})), in.requireShape(kD, vector);
  in.requireShape(kZ, u), in.requireShape(kDeltaBias, vector), in.requireShape(kInitialState, state);
  p.groupsB = groupsOf(in, kB, time, p.channels, p.states, &p.constantB);
  p.groupsC = groupsOf(in, kC, time, p.channels, p.states, &p.constantC);
  p.softplus = softplus;
  p.u = in.data(kU), p.delta = in.data(kDelta), p.A = in.data(kA), p.B = in.data(kB), p.C = in.data(kC);
  p.D = in.data(kD), p.z = in.data(kZ), p.deltaBias = in.data(kDeltaBias), p.initialState = in.data(kInitialState);
  return p;
}

class SelectiveScan {
 public:
  explicit SelectiveScan(OpKernelConstruction *c)
      : present_(attribute<int64_t>(c, "present")),
        keep_(attribute<int64_t>(c, "NS")),
        softplus_(attribute<bool>(c, "delta_softplus")) {}

  const char *compute(Call &call) {
    const NamedInputs in(call, present_, {SCAN_INPUTS});
    ScanForward p{};
    static_cast<ScanProblem &>(p) = readScan(in, softplus_);
    p.y = call.output(0, in.shape(kU));
    p.finalState = call.output(1, TensorShape({p.batch, p.channels, p.states}));
    if (keep_) p.chunkStates = call.output(2, TensorShape({cuda::savedFloats(p)}));
    const cuda::Pieces pieces = cuda::cutTime(p, multiprocessors(), false);
    return cuda::launchSelectiveScan(p, pieces, call.workspace(cuda::scanWorkspace(p, pieces)), call.stream());
  }

 private:
  int64_t present_, keep_;
  bool softplus_;
};

class SelectiveScanGrad {
 public:
  explicit SelectiveScanGrad(OpKernelConstruction *c)
      : present_(attribute<int64_t>(c, "present")), softplus_(attribute<bool>(c, "delta_softplus")) {}

  const char *compute(Call &call) {
    const NamedInputs in(call, present_, {SCAN_INPUTS, "states", "dy", "dFinalState"});
    ScanBackward p{};
    static_cast<ScanProblem &>(p) = readScan(in, softplus_);
    for (int input : {kStates, kDy, kDFinalState}) in.shape(input);
    in.requireShape(kStates, TensorShape({cuda::savedFloats(p)})), in.requireShape(kDy, in.shape(kU));
    in.requireShape(kDFinalState, TensorShape({p.batch, p.channels, p.states}));
    p.chunkStates = in.data(kStates), p.dy = in.data(kDy), p.dFinalState = in.data(kDFinalState);
    int next = 0;
    const auto gradient = [&](int input) { return in.has(input) ? call.output(next++, in.shape(input)) : nullptr; };
    p.du = gradient(kU), p.ddelta = gradient(kDelta), p.dA = gradient(kA), p.dB = gradient(kB), p.dC = gradient(kC);
    p.dD = gradient(kD), p.dz = gradient(kZ), p.ddeltaBias = gradient(kDeltaBias);
    p.dInitialState = gradient(kInitialState);
    const cuda::Pieces pieces = cuda::cutTime(p, multiprocessors(), true);
    return cuda::launchSelectiveScanGrad(p, pieces, call.workspace(cuda::scanGradWorkspace(p, pieces)), call.stream());
  }

 private:
  int64_t present_;
  bool softplus_;
};

class SelectiveStateUpdate {
 public:
  explicit SelectiveStateUpdate(OpKernelConstruction *c)
      : present_(attribute<int64_t>(c, "present")), softplus_(attribute<bool>(c, "delta_softplus")) {}

  const char *compute(Call &call) {
    enum { kState, kU, kDelta, kA, kB, kC, kD, kZ, kDeltaBias };
    const NamedInputs in(call, present_, {"state", "u", "delta", "A", "B", "C", "D", "z", "deltaBias"});
    in.requireRank(kState, 3);
    const TensorShape &state = in.shape(kState);
    StateUpdate p{};
    p.batch = state.dim_size(0), p.channels = state.dim_size(1), p.states = state.dim_size(2), p.softplus = softplus_;
    const TensorShape row({p.batch, p.channels}), vector({p.channels});
    for (int input : {kU, kDelta, kA}) in.shape(input);
    in.requireShape(kU, row), in.requireShape(kDelta, row), in.requireShape(kA, TensorShape({p.channels, p.states}));
    in.requireShape(kD, vector), in.requireShape(kZ, row), in.requireShape(kDeltaBias, vector);
    p.groupsB = groupsOf(in, kB, TensorShape({p.batch}), p.channels, p.states, &p.constantB);
    p.groupsC = groupsOf(in, kC, TensorShape({p.batch}), p.channels, p.states, &p.constantC);
    p.state = in.data(kState), p.u = in.data(kU), p.delta = in.data(kDelta), p.A = in.data(kA), p.B = in.data(kB);
    p.C = in.data(kC), p.D = in.data(kD), p.z = in.data(kZ), p.deltaBias = in.data(kDeltaBias);
    p.y = call.output(0, row);
    p.newState = call.output(1, state);
    return cuda::launchStateUpdate(p, call.stream());
  }

 private:
  int64_t present_;
  bool softplus_;
};

using tensorflow::DEVICE_GPU;
REGISTER_KERNEL_BUILDER(Name("TfjsMambaSelectiveScan").Device(DEVICE_GPU), Kernel<SelectiveScan>);
REGISTER_KERNEL_BUILDER(Name("TfjsMambaSelectiveScanGrad").Device(DEVICE_GPU), Kernel<SelectiveScanGrad>);
REGISTER_KERNEL_BUILDER(Name("TfjsMambaSelectiveStateUpdate").Device(DEVICE_GPU), Kernel<SelectiveStateUpdate>);

}  // namespace
}  // namespace gpu
}  // namespace tfjs_mamba
