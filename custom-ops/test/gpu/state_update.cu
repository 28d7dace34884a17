// One step of the scan.
#include "harness.h"

namespace tfjs_mamba {
namespace {

struct Case {
  int64_t batch, channels, states, groupsB, groupsC;
  bool constantB, constantC, softplus, D, z, bias;
};

struct DeviceStep {
  Floats state, u, delta, A, B, C, D, z, bias;
  DeviceFloats dState, dU, dDelta, dA, dB, dC, dD, dZ, dBias, y, next;
  StateUpdate p{};

  DeviceStep(Harness &h, const Case &c)
      : state(h.random.normal(c.batch * c.channels * c.states)),
        u(h.random.normal(c.batch * c.channels)),
        delta(h.random.normal(c.batch * c.channels, 1, c.softplus ? -2.0f : 0.0f)),
        A(h.random.normal(c.channels * c.states)),
        B(h.random.normal((c.constantB ? c.channels : c.batch * c.groupsB) * c.states)),
        C(h.random.normal((c.constantC ? c.channels : c.batch * c.groupsC) * c.states)),
        D(h.random.normal(c.D ? c.channels : 0)),
        z(h.random.normal(c.z ? c.batch * c.channels : 0)),
        bias(h.random.normal(c.bias ? c.channels : 0, 0.3f)),
        dState(state),
        dU(u),
        dDelta(absolute(&delta, c.softplus)),
        dA(negative(&A)),
        dB(B),
        dC(C),
        dD(D),
        dZ(z),
        dBias(bias),
        y(u.size()),
        next(state.size()) {
    p = {c.batch,     c.channels,  c.states,       c.groupsB,   c.groupsC, c.constantB, c.constantC,
         c.softplus,  dState.data, dU.data,        dDelta.data, dA.data,   dB.data,     dC.data,
         dD.orNull(), dZ.orNull(), dBias.orNull(), y.data,      next.data};
  }
  static const Floats &negative(Floats *v) {
    for (float &x : *v) x = -std::fabs(x) - 0.1f;
    return *v;
  }
  static const Floats &absolute(Floats *v, bool asItIs) {
    for (float &x : *v) x = asItIs ? x : 0.1f * std::fabs(x);
    return *v;
  }
  const char *run(cudaStream_t stream) { return cuda::launchStateUpdate(p, stream); }
};

}  // namespace

void testStateUpdate(Harness &h) {
  for (int i = 0; i < 40; ++i) {
    const int64_t groupsB = h.random.integer(1, 3), groupsC = h.random.integer(1, 3);
    const Case c{h.random.integer(1, 5),
                 6 * h.random.integer(1, 60),
                 i % 4 == 0 ? 16 : h.random.integer(1, 70),
                 groupsB,
                 groupsC,
                 h.random.flip(),
                 h.random.flip(),
                 h.random.flip(),
                 h.random.flip(),
                 h.random.flip(),
                 h.random.flip()};
    DeviceStep step(h, c);
    Doubles y, next(step.state.size());
    for (int64_t row = 0; row < c.batch * c.channels; ++row) {
      const int64_t b = row / c.channels, d = row % c.channels, N = c.states;
      double delta = static_cast<double>(step.delta[row]) + (c.bias ? step.bias[d] : 0.0f), sum = 0;
      if (c.softplus) delta = softplus64(delta);
      for (int64_t n = 0; n < N; ++n) {
        const double B = step.B[(c.constantB ? d : b * groupsB + d * groupsB / c.channels) * N + n];
        const double C = step.C[(c.constantC ? d : b * groupsC + d * groupsC / c.channels) * N + n];
        next[row * N + n] = std::exp(delta * step.A[d * N + n]) * step.state[row * N + n] + delta * step.u[row] * B;
        sum += next[row * N + n] * C;
      }
      if (c.D) sum += static_cast<double>(step.D[d]) * step.u[row];
      y.push_back(c.z ? sum * step.z[row] * sigmoid64(step.z[row]) : sum);
    }
    h.expect("selectiveStateUpdate [" + std::to_string(c.batch) + "," + std::to_string(c.channels) + "," +
                 std::to_string(c.states) + "]",
             [&](cudaStream_t stream) { return step.run(stream); },
             {{step.y, y, kForward}, {step.next, next, kForward}});
  }
}

void timeStateUpdate(Harness &h) {
  for (const auto &[batch, channels] : {std::pair<int64_t, int64_t>{512, 5120}, {1, 1536}}) {
    const Case c{batch, channels, 16, 1, 1, false, false, true, true, true, true};
    DeviceStep step(h, c);
    const double states = 1.0 * c.batch * c.channels * c.states;
    h.time("state update [" + std::to_string(batch) + "," + std::to_string(channels) + ",16]",
           4 * (2 * states + 4.0 * c.batch * c.channels), states, [&](cudaStream_t stream) { return step.run(stream); });
  }
}

}  // namespace tfjs_mamba
