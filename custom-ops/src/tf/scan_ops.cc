// The ops TfjsMambaSelectiveScan, TfjsMambaSelectiveScanGrad and TfjsMambaSelectiveStateUpdate.
#include "../cpu/kernels.h"
#include "op.h"
#include "ops.h"

namespace tfjs_mamba {
namespace {

enum { kU, kDelta, kA, kB, kC, kD, kZ, kDeltaBias, kInitialState, kStates, kDy, kDFinalState };
#define SCAN_INPUTS "u", "delta", "A", "B", "C", "D", "z", "deltaBias", "initialState"

// The groups of a projection of shape [lead..., groups, states], or 1 if it is the constant [channels, states].
int64_t groupsOf(const NamedInputs &in, int input, const char *op, Shape lead, int64_t channels, int64_t states,
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
    throw OpError("%s: %lld groups do not divide %lld channels", op, static_cast<long long>(groups),
                  static_cast<long long>(channels));
  return groups;
}

ScanProblem readScan(NamedInputs &in, const char *op, bool softplus) {
  in.requireRank(kU, 3), in.requireRank(kA, 2), in.require(kDelta);
  const Shape &u = in.shape(kU);
  const int64_t states = in.shape(kA)[1];
  in.requireShape(kDelta, u);
  in.requireShape(kA, {u[2], states});
  in.requireShape(kD, {u[2]});
  in.requireShape(kZ, u);
  in.requireShape(kDeltaBias, {u[2]});
  in.requireShape(kInitialState, {u[0], u[2], states});
  ScanProblem p{};
  p.batch = u[0], p.length = u[1], p.channels = u[2], p.states = states;
  p.groupsB = groupsOf(in, kB, op, {u[0], u[1]}, u[2], states, &p.constantB);
  p.groupsC = groupsOf(in, kC, op, {u[0], u[1]}, u[2], states, &p.constantC);
  p.softplus = softplus;
  p.u = in.data(kU), p.delta = in.data(kDelta), p.A = in.data(kA), p.B = in.data(kB), p.C = in.data(kC);
  p.D = in.data(kD), p.z = in.data(kZ), p.deltaBias = in.data(kDeltaBias), p.initialState = in.data(kInitialState);
  return p;
}

Shape chunkShape(const ScanProblem &p) { return {p.batch, chunkCount(p.length), p.states, p.channels}; }

class SelectiveScan {
 public:
  static constexpr const char *kName = "TfjsMambaSelectiveScan";

  explicit SelectiveScan(Attributes &a)
      : present_(a.integer("present")), keep_(a.integer("NS")), softplus_(a.flag("delta_softplus")) {}

  void compute(Call &call) {
    NamedInputs in(call, kName, {SCAN_INPUTS}, present_);
    ScanForward p{};
    static_cast<ScanProblem &>(p) = readScan(in, kName, softplus_);
    p.y = call.output(0, in.shape(kU));
    p.finalState = call.output(1, {p.batch, p.channels, p.states});
    if (keep_) p.chunkStates = call.output(2, chunkShape(p));
    cpuKernels().selectiveScan(p);
  }

 private:
  int64_t present_, keep_;
  bool softplus_;
};

class SelectiveScanGrad {
 public:
  static constexpr const char *kName = "TfjsMambaSelectiveScanGrad";

  explicit SelectiveScanGrad(Attributes &a) : present_(a.integer("present")), softplus_(a.flag("delta_softplus")) {}

  void compute(Call &call) {
    NamedInputs in(call, kName, {SCAN_INPUTS, "states", "dy", "dFinalState"}, present_);
    ScanBackward p{};
    static_cast<ScanProblem &>(p) = readScan(in, kName, softplus_);
    in.require(kStates), in.require(kDy), in.require(kDFinalState);
    in.requireShape(kStates, chunkShape(p));
    in.requireShape(kDy, in.shape(kU));
    in.requireShape(kDFinalState, {p.batch, p.channels, p.states});
    p.chunkStates = in.data(kStates), p.dy = in.data(kDy), p.dFinalState = in.data(kDFinalState);
    int next = 0;
    const auto gradient = [&](int input) {
      return in.has(input) ? call.output(next++, in.shape(input)) : nullptr;
    };
    p.du = gradient(kU), p.ddelta = gradient(kDelta), p.dA = gradient(kA), p.dB = gradient(kB), p.dC = gradient(kC);
    p.dD = gradient(kD), p.dz = gradient(kZ), p.ddeltaBias = gradient(kDeltaBias);
    p.dInitialState = gradient(kInitialState);
    cpuKernels().selectiveScanGrad(p);
  }

 private:
  int64_t present_;
  bool softplus_;
};

class SelectiveStateUpdate {
 public:
  static constexpr const char *kName = "TfjsMambaSelectiveStateUpdate";

  explicit SelectiveStateUpdate(Attributes &a) : present_(a.integer("present")), softplus_(a.flag("delta_softplus")) {}

  void compute(Call &call) {
    enum { kState, kU, kDelta, kA, kB, kC, kD, kZ, kDeltaBias };
    NamedInputs in(call, kName, {"state", "u", "delta", "A", "B", "C", "D", "z", "deltaBias"}, present_);
    in.requireRank(kState, 3), in.require(kU), in.require(kDelta), in.require(kA);
    const Shape &state = in.shape(kState);
    StateUpdate p{};
    p.batch = state[0], p.channels = state[1], p.states = state[2], p.softplus = softplus_;
    in.requireShape(kU, {p.batch, p.channels});
    in.requireShape(kDelta, {p.batch, p.channels});
    in.requireShape(kA, {p.channels, p.states});
    in.requireShape(kD, {p.channels});
    in.requireShape(kZ, {p.batch, p.channels});
    in.requireShape(kDeltaBias, {p.channels});
    p.groupsB = groupsOf(in, kB, kName, {p.batch}, p.channels, p.states, &p.constantB);
    p.groupsC = groupsOf(in, kC, kName, {p.batch}, p.channels, p.states, &p.constantC);
    p.state = in.data(kState), p.u = in.data(kU), p.delta = in.data(kDelta), p.A = in.data(kA), p.B = in.data(kB);
    p.C = in.data(kC), p.D = in.data(kD), p.z = in.data(kZ), p.deltaBias = in.data(kDeltaBias);
    p.y = call.output(0, {p.batch, p.channels});
    p.newState = call.output(1, state);
    cpuKernels().selectiveStateUpdate(p);
  }

 private:
  int64_t present_;
  bool softplus_;
};

// [B,D,N] of the final state: the batch of u and the shape of A. The kept states are the backend's own affair.
void scanShapes(TF_ShapeInferenceContext *context, TF_Status *status) {
  TF_ShapeInferenceContextSetUnknownShape(context, status);
  if (TF_GetCode(status) != TF_OK) return;
  setSameShape(context, 0, kU, status);
  TF_ShapeHandle *u = TF_NewShapeHandle(), *A = TF_NewShapeHandle(), *result = TF_NewShapeHandle();
  const auto ok = [&] { return TF_GetCode(status) == TF_OK; };
  if (ok()) TF_ShapeInferenceContextGetInput(context, kU, u, status);
  if (ok()) TF_ShapeInferenceContextWithRank(context, u, 3, u, status);
  if (ok()) TF_ShapeInferenceContextGetInput(context, kA, A, status);
  if (ok()) TF_ShapeInferenceContextWithRank(context, A, 2, A, status);
  if (ok()) TF_ShapeInferenceContextSubshape(context, u, 0, 1, result, status);
  if (ok()) TF_ShapeInferenceContextConcatenateShapes(context, result, A, result, status);
  if (ok()) TF_ShapeInferenceContextSetOutput(context, 1, result, status);
  TF_DeleteShapeHandle(u), TF_DeleteShapeHandle(A), TF_DeleteShapeHandle(result);
}

}  // namespace

void registerScanOps() {
  registerCpuOp<SelectiveScan>({SelectiveScan::kName,
                                {"inputs: NI * float"},
                                {"y: float", "final_state: float", "states: NS * float"},
                                {"NI: int >= 5", "NS: int >= 0 = 0", "present: int", "delta_softplus: bool = false"},
                                scanShapes});
  registerCpuOp<SelectiveScanGrad>({SelectiveScanGrad::kName,
                                    {"inputs: NI * float"},
                                    {"gradients: NG * float"},
                                    {"NI: int >= 8", "NG: int >= 5", "present: int", "delta_softplus: bool = false"},
                                    gradientShapes<3>});
  registerCpuOp<SelectiveStateUpdate>({SelectiveStateUpdate::kName,
                                       {"inputs: NI * float"},
                                       {"y: float", "new_state: float"},
                                       {"NI: int >= 6", "present: int", "delta_softplus: bool = false"},
                                       [](TF_ShapeInferenceContext *context, TF_Status *status) {
                                         setSameShape(context, 0, 1, status);
                                         setSameShape(context, 1, 0, status);
                                       }});
}

}  // namespace tfjs_mamba
