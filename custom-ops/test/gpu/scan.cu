// The selective scan, forward and backward, of each type of elements.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "harness.h"

namespace tfjs_mamba {
namespace {

template <typename T>
struct DeviceScan {
  DeviceArray<T> u, delta, B, C, z, dy;
  DeviceFloats A, D, bias, initial, dFinal;
  DeviceArray<int32_t> ids;
  DeviceArray<T> y, du, ddelta, dB, dC, dz;
  DeviceFloats finalState, states, dA, dD, dBias, dInitial;
  ScanForwardOf<T> forward{};
  ScanBackwardOf<T> backward{};
  cuda::Pieces pieces, backPieces;
  DeviceFloats workspace;

  DeviceScan(const ScanCase &c, const ScanData &in, int multiprocessors)
      : u(in.u),
        delta(in.delta),
        B(in.B),
        C(in.C),
        z(in.z),
        dy(in.dy),
        A(in.A),
        D(in.D),
        bias(in.bias),
        initial(in.initial),
        dFinal(in.dFinal),
        ids(in.ids),
        y(in.u.size()),
        du(in.u.size()),
        ddelta(in.u.size()),
        dB(in.B.size()),
        dC(in.C.size()),
        dz(in.z.size()),
        finalState(in.dFinal.size()),
        states(cuda::savedFloats(in.problem(c))),
        dA(in.A.size()),
        dD(in.D.size()),
        dBias(in.bias.size()),
        dInitial(in.initial.size()),
        pieces(cuda::cutTime(in.problem(c), multiprocessors, false)),
        backPieces(cuda::cutTime(in.problem(c), multiprocessors, true)),
        workspace(
            std::max(cuda::scanWorkspace(in.problem(c), pieces), cuda::scanGradWorkspace(in.problem(c), backPieces))) {
    ScanProblemOf<T> p{};
    static_cast<ScanShape &>(p) = in.problem(c);
    p.u = u.data, p.delta = delta.data, p.A = A.data, p.B = B.data, p.C = C.data, p.D = D.orNull(), p.z = z.orNull();
    p.deltaBias = bias.orNull(), p.initialState = initial.orNull();
    p.sequenceIds = ids.orNull();
    static_cast<ScanProblemOf<T> &>(forward) = static_cast<ScanProblemOf<T> &>(backward) = p;
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

// Numbers that T has, so that the reference is given what the kernels are.
template <typename T>
void roundTo(Floats &v) {
  for (float &x : v) x = static_cast<float>(static_cast<T>(x));
}

// `rounding`: half a unit in the last place of T, as a share of a number.
template <typename T>
void testScansOf(Harness &h, const char *name, double rounding) {
  std::vector<ScanCase> cases = scanCases();
  for (int i = 0; i < 24; ++i) {
    const int64_t groupsB = h.random.integer(1, 3), groupsC = h.random.integer(1, 3);
    cases.push_back({h.random.integer(1, 3), h.random.integer(1, 260), 6 * h.random.integer(1, 30),
                     h.random.integer(1, 64), groupsB, groupsC, h.random.flip() && groupsB == 1,
                     h.random.flip() && groupsC == 1, h.random.flip(), h.random.flip(), h.random.flip(),
                     h.random.flip(), h.random.flip(), h.random.flip()});
  }
  for (ScanCase c : cases) {
    if (!std::is_same_v<T, float>) c.constantB = c.constantC = false;
    ScanData in(c, static_cast<unsigned>(h.random.integer(0, 1 << 30)));
    for (Floats *v : {&in.u, &in.delta, &in.B, &in.C, &in.z, &in.dy}) roundTo<T>(*v);
    const ScanTruth want = referenceScan(c, in);
    DeviceScan<T> scan(c, in, h.multiprocessors);
    const auto run = [&](cudaStream_t stream) -> const char * {
      const char *error = scan.runForward(stream);
      return error ? error : scan.runBackward(stream);
    };
    const auto present = [](const auto &a, const Doubles &truth) { return a.size ? truth : Doubles(); };
    const Doubles dD = present(scan.D, want.dD), dz = present(scan.z, want.dz), dBias = present(scan.bias, want.dBias);
    const Doubles dInitial = present(scan.initial, want.dInitial);
    std::vector<Output> outputs;
    const auto expect = [&](DeviceOutput &got, const Doubles &truth, double limit, double rounding) {
      outputs.push_back({got, truth, limit, rounding});
    };
    expect(scan.y, want.y, kForward, rounding), expect(scan.finalState, want.finalState, kForward, 0);
    expect(scan.du, want.du, kGradient, rounding), expect(scan.ddelta, want.ddelta, kGradient, rounding);
    expect(scan.dB, want.dB, kGradient, rounding), expect(scan.dC, want.dC, kGradient, rounding);
    expect(scan.dz, dz, kGradient, rounding), expect(scan.dA, want.dA, kGradient, 0);
    expect(scan.dD, dD, kGradient, 0), expect(scan.dBias, dBias, kGradient, 0);
    expect(scan.dInitial, dInitial, kGradient, 0);
    h.expect(name + (" " + c.describe()) + ", pieces " + std::to_string(scan.pieces.count) + "," +
                 std::to_string(scan.backPieces.count),
             run, outputs);
  }
}

template <typename T>
void timeScansOf(Harness &h, const char *name, const std::vector<std::vector<int64_t>> &shapes) {
  for (const auto &s : shapes) {
    const ScanCase c{s[0], s[1], s[2], s[3], 1, 1, false, false, true, true, true, true, false};
    const ScanData in(c);
    DeviceScan<T> scan(c, in, h.multiprocessors);
    const double elements = 1.0 * s[0] * s[1] * s[2], row = sizeof(T) * elements, exps = elements * s[3],
                 states = 4 * exps / cuda::kSteps;
    const std::string shape = " [" + std::to_string(s[0]) + "," + std::to_string(s[1]) + "," + std::to_string(s[2]) +
                              "," + std::to_string(s[3]) + "] pieces ";
    // Forward: u, delta, z in, y and the saved states out. Backward: these and dy in, du, ddelta, dz out.
    h.time(name + (" forward" + shape) + std::to_string(scan.pieces.count), 4 * row + states, exps,
           [&](cudaStream_t stream) { return scan.runForward(stream); });
    h.time(name + (" backward" + shape) + std::to_string(scan.backPieces.count), 7 * row + states, exps,
           [&](cudaStream_t stream) { return scan.runBackward(stream); });
  }
}

}  // namespace

void testScan(Harness &h) {
  testScansOf<float>(h, "selectiveScan", 0);
  testScansOf<__nv_bfloat16>(h, "selectiveScan(bf16)", 1.0 / 256);
  testScansOf<__half>(h, "selectiveScan(f16)", 1.0 / 2048);
}

void timeScan(Harness &h) {
  timeScansOf<float>(h, "scan",
                     {{1, 1024, 256, 16},
                      {1, 1024, 1536, 16},
                      {2, 4096, 2048, 64},
                      {8, 4096, 2048, 16},
                      {1, 4096, 1536, 16},
                      {8, 2048, 1536, 16},
                      {4, 4096, 5120, 16},
                      {64, 128, 512, 16}});
  timeScansOf<__nv_bfloat16>(h, "scan(bf16)", {{8, 4096, 2048, 16}, {8, 2048, 1536, 16}, {1, 4096, 1536, 16}});
}

}  // namespace tfjs_mamba
