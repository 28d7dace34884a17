// The selective scan, forward and backward.
#include "harness.h"

namespace tfjs_mamba {
namespace {

struct DeviceScan {
  DeviceFloats u, delta, A, B, C, D, z, bias, initial, dy, dFinal;
  DeviceArray<int32_t> ids;
  DeviceFloats y, finalState, states, du, ddelta, dA, dB, dC, dD, dz, dBias, dInitial;
  ScanForward forward{};
  ScanBackward backward{};
  cuda::Pieces pieces, backPieces;
  DeviceFloats workspace;

  DeviceScan(const ScanCase &c, const ScanData &in, int multiprocessors)
      : u(in.u),
        delta(in.delta),
        A(in.A),
        B(in.B),
        C(in.C),
        D(in.D),
        z(in.z),
        bias(in.bias),
        initial(in.initial),
        dy(in.dy),
        dFinal(in.dFinal),
        ids(in.ids),
        y(in.u.size()),
        finalState(in.dFinal.size()),
        states(cuda::savedFloats(in.problem(c))),
        du(in.u.size()),
        ddelta(in.u.size()),
        dA(in.A.size()),
        dB(in.B.size()),
        dC(in.C.size()),
        dD(in.D.size()),
        dz(in.z.size()),
        dBias(in.bias.size()),
        dInitial(in.initial.size()),
        pieces(cuda::cutTime(in.problem(c), multiprocessors, false)),
        backPieces(cuda::cutTime(in.problem(c), multiprocessors, true)),
        workspace(
            std::max(cuda::scanWorkspace(in.problem(c), pieces), cuda::scanGradWorkspace(in.problem(c), backPieces))) {
    ScanProblem p = in.problem(c);
    p.u = u.data, p.delta = delta.data, p.A = A.data, p.B = B.data, p.C = C.data, p.D = D.orNull(), p.z = z.orNull();
    p.deltaBias = bias.orNull(), p.initialState = initial.orNull();
    p.sequenceIds = ids.orNull();
    static_cast<ScanProblem &>(forward) = p;
    static_cast<ScanProblem &>(backward) = p;
    forward.y = y.data, forward.finalState = finalState.data, forward.chunkStates = states.data;
    backward.chunkStates = states.data, backward.dy = dy.data, backward.dFinalState = dFinal.data;
    backward.du = du.data, backward.ddelta = ddelta.data, backward.dA = dA.data, backward.dB = dB.data;
    backward.dC = dC.data, backward.dD = dD.orNull(), backward.dz = dz.orNull(), backward.ddeltaBias = dBias.orNull();
    backward.dInitialState = dInitial.orNull();
  }
  const char *runForward(cudaStream_t stream) {
    return cuda::launchSelectiveScan(forward, pieces, workspace.data, stream);
  }
  const char *runBackward(cudaStream_t stream) {
    return cuda::launchSelectiveScanGrad(backward, backPieces, workspace.data, stream);
  }
};

}  // namespace

void testScan(Harness &h) {
  std::vector<ScanCase> cases = scanCases();
  for (int i = 0; i < 24; ++i) {
    const int64_t groupsB = h.random.integer(1, 3), groupsC = h.random.integer(1, 3);
    cases.push_back({h.random.integer(1, 3), h.random.integer(1, 260), 6 * h.random.integer(1, 30),
                     h.random.integer(1, 64), groupsB, groupsC, h.random.flip() && groupsB == 1,
                     h.random.flip() && groupsC == 1, h.random.flip(), h.random.flip(), h.random.flip(),
                     h.random.flip(), h.random.flip(), h.random.flip()});
  }
  for (const ScanCase &c : cases) {
    const ScanData in(c, static_cast<unsigned>(h.random.integer(0, 1 << 30)));
    const ScanTruth want = referenceScan(c, in);
    DeviceScan scan(c, in, h.multiprocessors);
    const auto run = [&](cudaStream_t stream) -> const char * {
      const char *error = scan.runForward(stream);
      return error ? error : scan.runBackward(stream);
    };
    const auto present = [](const DeviceFloats &a, const Doubles &truth) { return a.size ? truth : Doubles(); };
    const Doubles dD = present(scan.D, want.dD), dz = present(scan.z, want.dz), dBias = present(scan.bias, want.dBias);
    const Doubles dInitial = present(scan.initial, want.dInitial);
    h.expect("selectiveScan " + c.describe() + ", pieces " + std::to_string(scan.pieces.count) + "," +
                 std::to_string(scan.backPieces.count),
             run,
             {{scan.y, want.y, kForward},
              {scan.finalState, want.finalState, kForward},
              {scan.du, want.du, kGradient},
              {scan.ddelta, want.ddelta, kGradient},
              {scan.dA, want.dA, kGradient},
              {scan.dB, want.dB, kGradient},
              {scan.dC, want.dC, kGradient},
              {scan.dD, dD, kGradient},
              {scan.dz, dz, kGradient},
              {scan.dBias, dBias, kGradient},
              {scan.dInitial, dInitial, kGradient}});
  }
}

void timeScan(Harness &h) {
  for (const auto &s : std::vector<std::vector<int64_t>>{{1, 1024, 256, 16},
                                                         {1, 1024, 1536, 16},
                                                         {2, 4096, 2048, 64},
                                                         {8, 4096, 2048, 16},
                                                         {1, 4096, 1536, 16},
                                                         {8, 2048, 1536, 16},
                                                         {4, 4096, 5120, 16},
                                                         {64, 128, 512, 16}}) {
    const ScanCase c{s[0], s[1], s[2], s[3], 1, 1, false, false, true, true, true, true, false};
    const ScanData in(c);
    DeviceScan scan(c, in, h.multiprocessors);
    const double row = 4.0 * s[0] * s[1] * s[2], states = row / cuda::kSteps * s[3], exps = row / 4 * s[3];
    const std::string shape = " [" + std::to_string(s[0]) + "," + std::to_string(s[1]) + "," + std::to_string(s[2]) +
                              "," + std::to_string(s[3]) + "] pieces ";
    // Forward: u, delta, z in, y and the saved states out. Backward: these and dy in, du, ddelta, dz out.
    h.time("scan forward" + shape + std::to_string(scan.pieces.count), 4 * row + states, exps,
           [&](cudaStream_t stream) { return scan.runForward(stream); });
    h.time("scan backward" + shape + std::to_string(scan.backPieces.count), 7 * row + states, exps,
           [&](cudaStream_t stream) { return scan.runBackward(stream); });
  }
}

}  // namespace tfjs_mamba
