// Mamba-2's scan, its gradient and one step of it.
#include "../ssd_reference.h"
#include "harness.h"

namespace tfjs_mamba {
namespace {

struct DeviceSsd {
  DeviceFloats u, delta, A, B, C, D, z, bias, initial, dy, dFinal;
  DeviceFloats y, finalState, states, du, ddelta, dA, dB, dC, dD, dz, dBias, dInitial;
  SsdForward forward{};
  SsdBackward backward{};
  DeviceFloats workspace, gradWorkspace;

  DeviceSsd(const SsdCase &c, const SsdData &in)
      : u(in.u), delta(in.delta), A(in.A), B(in.B), C(in.C), D(in.D), z(in.z), bias(in.bias), initial(in.initial),
        dy(in.dy), dFinal(in.dFinal), y(u.size), finalState(dFinal.size),
        states(cuda::ssdStatesSize(in.problem(c))), du(u.size), ddelta(delta.size), dA(A.size), dB(B.size), dC(C.size),
        dD(D.size), dz(z.size), dBias(bias.size), dInitial(initial.size),
        workspace(cuda::ssdWorkspace(kept(c, in))), gradWorkspace(cuda::ssdGradWorkspace(in.problem(c))) {
    SsdProblem p = in.problem(c);
    p.u = u.data, p.delta = delta.data, p.A = A.data, p.B = B.data, p.C = C.data, p.D = D.orNull(), p.z = z.orNull();
    p.deltaBias = bias.orNull(), p.initialState = initial.orNull();
    static_cast<SsdProblem &>(forward) = static_cast<SsdProblem &>(backward) = p;
    forward.y = y.data, forward.finalState = finalState.data, forward.chunkStates = states.data;
    backward.chunkStates = states.data, backward.dy = dy.data, backward.dFinalState = dFinal.data;
    backward.du = du.data, backward.ddelta = ddelta.data, backward.dA = dA.data, backward.dB = dB.data;
    backward.dC = dC.data, backward.dD = dD.orNull(), backward.dz = dz.orNull(), backward.ddeltaBias = dBias.orNull();
    backward.dInitialState = dInitial.orNull();
  }
  // The larger workspace, for a forward scan that keeps no states.
  static SsdForward kept(const SsdCase &c, const SsdData &in) {
    SsdForward p{};
    static_cast<SsdProblem &>(p) = in.problem(c);
    return p;
  }
  const char *runForward(cudaStream_t stream, bool keep) {
    SsdForward p = forward;
    if (!keep) p.chunkStates = nullptr;
    return cuda::launchSsd(p, workspace.data, stream);
  }
  const char *runBackward(cudaStream_t stream) { return cuda::launchSsdGrad(backward, gradWorkspace.data, stream); }
};

void testCase(Harness &h, const SsdCase &c) {
  const SsdData in(c);
  const SsdTruth want = referenceSsd(c, in);
  const auto orNone = [](const Floats &of, const Doubles &truth) { return of.empty() ? Doubles{} : truth; };
  DeviceSsd device(c, in);
  h.expect("ssd " + c.describe(),
           [&](cudaStream_t stream) -> const char * {
             const char *error = device.runForward(stream, true);
             return error ? error : device.runBackward(stream);
           },
           {{device.y, want.y, kForward},
            {device.finalState, want.finalState, kForward},
            {device.du, want.du, kGradient},
            {device.ddelta, want.ddelta, kGradient},
            {device.dA, want.dA, kGradient},
            {device.dB, want.dB, kGradient},
            {device.dC, want.dC, kGradient},
            {device.dD, orNone(in.D, want.dD), kGradient},
            {device.dz, orNone(in.z, want.dz), kGradient},
            {device.dBias, orNone(in.bias, want.dBias), kGradient},
            {device.dInitial, orNone(in.initial, want.dInitial), kGradient}});
  h.expect("ssdForward no states kept " + c.describe(),
           [&](cudaStream_t stream) { return device.runForward(stream, false); },
           {{device.y, want.y, kForward}, {device.finalState, want.finalState, kForward}});
}

// The recurrence's first step, so that one reference serves both.
void testStep(Harness &h, SsdCase c) {
  c.length = 1, c.initial = true;
  const SsdData in(c);
  const SsdTruth want = referenceSsd(c, in);
  DeviceSsd device(c, in);
  SsdStep step{};
  static_cast<SsdProblem &>(step) = device.forward;
  step.y = device.y.data, step.newState = device.finalState.data;
  h.expect("ssdStep " + c.describe(), [&](cudaStream_t stream) { return cuda::launchSsdStep(step, stream); },
           {{device.y, want.y, kForward}, {device.finalState, want.finalState, kForward}});
}

SsdCase randomCase(Random &random) {
  const int64_t groups = random.integer(1, 3), heads = groups * random.integer(1, 6);
  const int64_t headDim = random.flip() ? 32 * random.integer(1, 3) : random.integer(1, 140);
  const int64_t states = random.flip() ? 64 * random.integer(1, 3) : random.integer(1, 200);
  return {random.integer(1, 3), random.integer(1, 260), heads, headDim, groups, states, random.flip(), random.flip(),
          random.flip(), random.flip(), random.flip(), random.flip()};
}

}  // namespace

void testSsd(Harness &h) {
  for (const SsdCase &c : ssdCases()) testCase(h, c), testStep(h, c);
  for (int i = 0; i < 24; ++i) {
    const SsdCase c = randomCase(h.random);
    testCase(h, c), testStep(h, c);
  }
}

void timeSsd(Harness &h) {
  for (const SsdCase &c : {SsdCase{1, 1024, 24, 64, 1, 128, true, false, true, true, false, false},
                           SsdCase{1, 4096, 24, 64, 1, 128, true, false, true, true, false, false},
                           SsdCase{8, 2048, 24, 64, 1, 128, true, false, true, true, false, false},
                           SsdCase{4, 2048, 80, 64, 1, 128, true, false, true, true, false, false}}) {
    const SsdData in(c);
    DeviceSsd device(c, in);
    const double row = 4.0 * c.sequence(), small = 4.0 * (2 * in.B.size() + in.delta.size());
    // Of chunks of 64 positions: what is multiplied by what for each position and channel. Half of a square matrix counts.
    const double each = 1.0 * c.sequence(), chunk = kSsdChunk, N = c.states;
    const std::string shape = c.describe().substr(0, c.describe().find(" softplus"));
    h.time("ssd " + shape + " forward", 3 * row + small, 0, [&](cudaStream_t stream) { return device.runForward(stream, false); },
           each * (2 * N + chunk / 2));
    check(device.runForward(nullptr, true));
    h.time("ssd " + shape + " backward", 5 * row + 2 * small, 0, [&](cudaStream_t stream) { return device.runBackward(stream); },
           each * (5 * N + 3 * chunk / 2));
  }
  SsdCase c{128, 1, 24, 64, 1, 128, true, false, true, true, false, true};
  const SsdData in(c);
  DeviceSsd device(c, in);
  SsdStep step{};
  static_cast<SsdProblem &>(step) = device.forward;
  step.y = device.y.data, step.newState = device.finalState.data;
  h.time("ssd step [128,24x64] N 128", 4 * (2.0 * c.state() + 3.0 * c.sequence()), 0,
         [&](cudaStream_t stream) { return cuda::launchSsdStep(step, stream); });
}

}  // namespace tfjs_mamba
