// The causal convolution, forward and backward, and its step, which is a sequence of length 1.
#include "harness.h"

namespace tfjs_mamba {
namespace {

struct Case {
  int64_t batch, length, channels, taps;
  bool silu, bias, initial, packed = false;
};

struct DeviceConv {
  Floats x, weight, bias, initial, dy, dFinal;
  std::vector<int32_t> ids;
  DeviceFloats xs, weights, biases, initials, dys, dFinals, y, finalState, dx, dWeight, dBias, dInitial;
  DeviceArray<int32_t> idss;
  ConvForward forward{};
  ConvBackward backward{};
  int multiprocessors;
  DeviceFloats workspace;

  DeviceConv(Harness &h, const Case &c)
      : x(h.random.normal(c.batch * c.length * c.channels)),
        weight(h.random.normal(c.channels * c.taps, 0.5f)),
        bias(h.random.normal(c.bias ? c.channels : 0)),
        initial(h.random.normal(c.initial ? c.batch * (c.taps - 1) * c.channels : 0)),
        dy(h.random.normal(x.size())),
        dFinal(h.random.normal(c.batch * (c.taps - 1) * c.channels)),
        ids(c.packed ? h.random.ids(c.batch, c.length) : std::vector<int32_t>()),
        xs(x),
        weights(weight),
        biases(bias),
        initials(initial),
        dys(dy),
        dFinals(dFinal),
        y(x.size()),
        finalState(dFinal.size()),
        dx(x.size()),
        dWeight(weight.size()),
        dBias(bias.size()),
        dInitial(initial.size()),
        idss(ids),
        multiprocessors(h.multiprocessors),
        workspace(cuda::causalConv1dGradWorkspace(problem(c), multiprocessors)) {
    static_cast<ConvProblem &>(forward) = problem(c);
    static_cast<ConvProblem &>(backward) = problem(c);
    forward.y = y.data, forward.finalState = finalState.data;
    backward.dy = dys.data, backward.dFinalState = dFinals.data;
    backward.dx = dx.data, backward.dWeight = dWeight.data, backward.dBias = dBias.orNull();
    backward.dInitialState = dInitial.orNull();
  }
  ConvProblem problem(const Case &c) const {
    return {c.batch, c.length, c.channels, c.taps, c.silu, xs.data, weights.data, biases.orNull(), initials.orNull(), idss.orNull()};
  }
  const char *runForward(cudaStream_t stream) { return cuda::launchCausalConv1d(forward, multiprocessors, stream); }
  const char *runBackward(cudaStream_t stream) {
    return cuda::launchCausalConv1dGrad(backward, multiprocessors, workspace.data, stream);
  }
};

void testCase(Harness &h, const Case &c) {
  DeviceConv conv(h, c);
  const int64_t L = c.length, D = c.channels, K = c.taps, back = K - 1;
  Doubles y(conv.x.size()), finalState(conv.dFinal.size()), dx(y.size(), 0), dWeight(D * K, 0),
      dBias(conv.bias.size(), 0), dInitial(conv.initial.size(), 0);
  // Whether what is at t, or before the row, is of the document of position `to`.
  const auto isSame = [&](int64_t b, int64_t t, int64_t to) {
    for (t = std::max(t, int64_t{0}); c.packed && t < to; ++t)
      if (conv.ids[b * L + t] != conv.ids[b * L + t + 1]) return false;
    return true;
  };
  const auto input = [&](int64_t b, int64_t t, int64_t d, int64_t to) -> double {
    if (!isSame(b, t, to)) return 0;
    if (t >= 0) return conv.x[(b * L + t) * D + d];
    return c.initial ? conv.initial[(b * back + t + back) * D + d] : 0.0f;
  };
  const auto addGradient = [&](int64_t b, int64_t t, int64_t d, int64_t from, double g) {
    if (!isSame(b, t, from)) return;
    if (t >= 0)
      dx[(b * L + t) * D + d] += g;
    else if (c.initial)
      dInitial[(b * back + t + back) * D + d] += g;
  };
  for (int64_t b = 0; b < c.batch; ++b)
    for (int64_t d = 0; d < D; ++d) {
      for (int64_t t = 0; t < L; ++t) {
        double sum = c.bias ? conv.bias[d] : 0.0f, g = conv.dy[(b * L + t) * D + d];
        for (int64_t k = 0; k < K; ++k) sum += conv.weight[d * K + k] * input(b, t - back + k, d, t);
        const double s = sigmoid64(sum);
        y[(b * L + t) * D + d] = c.silu ? sum * s : sum;
        if (c.silu) g *= s * (1 + sum * (1 - s));
        for (int64_t k = 0; k < K; ++k) {
          dWeight[d * K + k] += g * input(b, t - back + k, d, t);
          addGradient(b, t - back + k, d, t, g * conv.weight[d * K + k]);
        }
        if (c.bias) dBias[d] += g;
      }
      for (int64_t j = 0; j < back; ++j) {
        finalState[(b * back + j) * D + d] = input(b, L - back + j, d, L - 1);
        addGradient(b, L - back + j, d, L - 1, conv.dFinal[(b * back + j) * D + d]);
      }
    }
  const std::string shape = " [" + std::to_string(c.batch) + "," + std::to_string(L) + "," + std::to_string(D) +
                            "] taps " + std::to_string(K) + (c.packed ? " packed" : "");
  h.expect("causalConv1d" + shape,
           [&](cudaStream_t stream) -> const char * {
             const char *error = conv.runForward(stream);
             return error ? error : conv.runBackward(stream);
           },
           {{conv.y, y, kForward},
            {conv.finalState, finalState, kForward},
            {conv.dx, dx, kGradient},
            {conv.dWeight, dWeight, kGradient},
            {conv.dBias, dBias, kGradient},
            {conv.dInitial, dInitial, kGradient}});
}

}  // namespace

void testCausalConv1d(Harness &h) {
  for (int i = 0; i < 60; ++i)
    testCase(h, {h.random.integer(1, 4), i % 5 == 0 ? h.random.integer(1, 3) : h.random.integer(1, 200),
                 i % 2 ? 4 * h.random.integer(1, 60) : h.random.integer(1, 200), h.random.integer(1, 8),
                 h.random.flip(), h.random.flip(), h.random.flip(), h.random.flip()});
  testCase(h, {2, 3000, 516, 4, true, true, true});
  testCase(h, {2, 3000, 516, 4, true, true, true, true});
}

void timeCausalConv1d(Harness &h) {
  const Case c{8, 2048, 3072, 4, true, true, false};
  DeviceConv conv(h, c);
  const double row = 4.0 * c.batch * c.length * c.channels;
  h.time("conv + silu forward [8,2048,3072]", 2 * row, row / 4,
         [&](cudaStream_t stream) { return conv.runForward(stream); });
  h.time("conv + silu backward [8,2048,3072]", 3 * row, row / 4,
         [&](cudaStream_t stream) { return conv.runBackward(stream); });
}

}  // namespace tfjs_mamba
