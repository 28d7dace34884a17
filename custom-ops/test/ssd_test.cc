// The CPU scan of Mamba-2, forward and backward, against the float64 reference, and bit for bit with 1 and 3 threads.
#include <algorithm>
#include <cstdio>

#include "../src/cpu/kernels.h"
#include "../src/cpu/thread_pool.h"
#include "ssd_reference.h"

using namespace tfjs_mamba;

struct Result {
  Floats y, finalState, states, du, ddelta, dA, dB, dC, dD, dz, dBias, dInitial;
};

static Result run(const SsdCase &c, const SsdData &in) {
  Result r;
  for (Floats *v : {&r.y, &r.du}) v->resize(in.u.size());
  r.finalState.resize(c.state()), r.states.resize(ssdChunkCount(c.length) * c.state()), r.ddelta.resize(in.delta.size());
  r.dA.resize(in.A.size()), r.dB.resize(in.B.size()), r.dC.resize(in.C.size()), r.dD.resize(in.D.size());
  r.dz.resize(in.z.size()), r.dBias.resize(in.bias.size()), r.dInitial.resize(in.initial.size());
  const auto orNull = [](Floats &v) { return v.empty() ? nullptr : v.data(); };
  SsdForward forward{};
  SsdBackward backward{};
  static_cast<SsdProblem &>(forward) = static_cast<SsdProblem &>(backward) = in.problem(c);
  forward.y = r.y.data(), forward.finalState = r.finalState.data(), forward.chunkStates = r.states.data();
  backward.chunkStates = r.states.data(), backward.dy = in.dy.data(), backward.dFinalState = in.dFinal.data();
  backward.du = r.du.data(), backward.ddelta = r.ddelta.data(), backward.dA = r.dA.data(), backward.dB = r.dB.data();
  backward.dC = r.dC.data(), backward.dD = orNull(r.dD), backward.dz = orNull(r.dz);
  backward.ddeltaBias = orNull(r.dBias), backward.dInitialState = orNull(r.dInitial);
  cpuKernels().ssd(forward);
  cpuKernels().ssdGrad(backward);
  return r;
}

int main() {
  int failures = 0;
  for (const SsdCase &c : ssdCases()) {
    const SsdData in(c);
    const SsdTruth want = referenceSsd(c, in);
    setThreadCount(1);
    const Result one = run(c, in);
    setThreadCount(3);
    const Result three = run(c, in);
    double outputs = 0, gradients = 0;
    bool same = true;
    const auto compare = [&](double &worst, Floats Result::*member, const Doubles &truth) {
      if (!(one.*member).empty()) worst = std::max(worst, relativeError(one.*member, truth));
      same = same && one.*member == three.*member;
    };
    compare(outputs, &Result::y, want.y), compare(outputs, &Result::finalState, want.finalState);
    compare(gradients, &Result::du, want.du), compare(gradients, &Result::ddelta, want.ddelta);
    compare(gradients, &Result::dA, want.dA), compare(gradients, &Result::dB, want.dB);
    compare(gradients, &Result::dC, want.dC), compare(gradients, &Result::dD, want.dD);
    compare(gradients, &Result::dz, want.dz), compare(gradients, &Result::dBias, want.dBias);
    compare(gradients, &Result::dInitial, want.dInitial);
    const bool ok = outputs <= 1e-5 && gradients <= 2e-5 && same;
    failures += !ok;
    std::printf("%s %s outputs %.1e gradients %.1e%s  %s\n", ok ? "ok  " : "FAIL", cpuKernels().level, outputs, gradients,
                same ? "" : " THREADS DIFFER", c.describe().c_str());
  }
  std::printf("%d failed\n", failures);
  return failures != 0;
}
