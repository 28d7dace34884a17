// What the tests of the two chunked scans, Mamba's and Mamba-2's, share: forward and backward on the CPU against the float64 reference, and
// bit for bit with 1 and 3 threads.
#pragma once
#include <algorithm>
#include <cstdio>

#include "../src/cpu/kernels.h"
#include "../src/cpu/thread_pool.h"
#include "reference.h"

namespace tfjs_mamba {

struct ScanResult {
  Floats y, finalState, states, du, ddelta, dA, dB, dC, dD, dz, dBias, dInitial;
};

// Scan has the types Case, Data, Problem, Forward and Backward of one of the two, and what differs between them as static functions:
// cases(), truth(case, data), savedStates(case) = numbers that the forward pass saves for the backward, kernels(forward, backward).
template <class Scan>
ScanResult runScan(const typename Scan::Case &c, const typename Scan::Data &in) {
  using Problem = typename Scan::Problem;
  ScanResult r;
  r.y.resize(in.u.size()), r.finalState.resize(in.dFinal.size()), r.states.resize(Scan::savedStates(c));
  r.du.resize(in.u.size()), r.ddelta.resize(in.delta.size());
  r.dA.resize(in.A.size()), r.dB.resize(in.B.size()), r.dC.resize(in.C.size()), r.dD.resize(in.D.size());
  r.dz.resize(in.z.size()), r.dBias.resize(in.bias.size()), r.dInitial.resize(in.initial.size());
  const auto orNull = [](Floats &v) { return v.empty() ? nullptr : v.data(); };
  typename Scan::Forward forward{};
  typename Scan::Backward backward{};
  static_cast<Problem &>(forward) = static_cast<Problem &>(backward) = in.problem(c);
  forward.y = r.y.data(), forward.finalState = r.finalState.data(), forward.chunkStates = r.states.data();
  backward.chunkStates = r.states.data(), backward.dy = in.dy.data(), backward.dFinalState = in.dFinal.data();
  backward.du = r.du.data(), backward.ddelta = r.ddelta.data(), backward.dA = r.dA.data(), backward.dB = r.dB.data();
  backward.dC = r.dC.data(), backward.dD = orNull(r.dD), backward.dz = orNull(r.dz);
  backward.ddeltaBias = orNull(r.dBias), backward.dInitialState = orNull(r.dInitial);
  Scan::kernels(forward, backward);
  return r;
}

// The exit status of the test: it prints a line for each case.
template <class Scan>
int testScan() {
  int failures = 0;
  for (const auto &c : Scan::cases()) {
    const typename Scan::Data in(c);
    const auto want = Scan::truth(c, in);
    setThreadCount(1);
    const ScanResult one = runScan<Scan>(c, in);
    setThreadCount(3);
    const ScanResult three = runScan<Scan>(c, in);
    double outputs = 0, gradients = 0;
    bool same = true;
    const auto compare = [&](double &worst, Floats ScanResult::*member, const Doubles &truth) {
      if (!(one.*member).empty()) worst = std::max(worst, relativeError(one.*member, truth));
      same = same && one.*member == three.*member;
    };
    compare(outputs, &ScanResult::y, want.y), compare(outputs, &ScanResult::finalState, want.finalState);
    compare(gradients, &ScanResult::du, want.du), compare(gradients, &ScanResult::ddelta, want.ddelta);
    compare(gradients, &ScanResult::dA, want.dA), compare(gradients, &ScanResult::dB, want.dB);
    compare(gradients, &ScanResult::dC, want.dC), compare(gradients, &ScanResult::dD, want.dD);
    compare(gradients, &ScanResult::dz, want.dz), compare(gradients, &ScanResult::dBias, want.dBias);
    compare(gradients, &ScanResult::dInitial, want.dInitial);
    const bool ok = outputs <= 1e-5 && gradients <= 2e-5 && same;
    failures += !ok;
    std::printf("%s %s outputs %.1e gradients %.1e%s  %s\n", ok ? "ok  " : "FAIL", cpuKernels().level, outputs, gradients,
                same ? "" : " THREADS DIFFER", c.describe().c_str());
  }
  std::printf("%d failed\n", failures);
  return failures != 0;
}

}  // namespace tfjs_mamba
