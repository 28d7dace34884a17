// Mamba-2's scan and its gradient in float64, as the recurrence reads, for the tests.
#pragma once

#include <cmath>
#include <random>

#include "reference.h"

namespace tfjs_mamba {

struct SsdCase {
  int64_t batch, length, heads, headDim, groups, states;
  bool softplus, limits, gate, skip, perChannel, initial;

  std::string describe() const {
    std::string text = "[" + std::to_string(batch) + "," + std::to_string(length) + "," + std::to_string(heads) + "x" +
                       std::to_string(headDim) + "] G " + std::to_string(groups) + " N " + std::to_string(states);
    for (auto [on, name] : {std::pair(softplus, " softplus"), {limits, " limits"}, {gate, " z"}, {skip, " D"},
                            {perChannel, " per channel"}, {initial, " initial"}})
      if (on) text += name;
    return text;
  }
  int64_t sequence() const { return batch * length * heads * headDim; }
  int64_t state() const { return batch * heads * headDim * states; }
  int64_t skipWidth() const { return perChannel ? headDim : 1; }
};

// Sizes around lanes, tiles and chunks of 64 steps, and the published ones.
inline std::vector<SsdCase> ssdCases() {
  return {{1, 1, 1, 1, 1, 1, false, false, false, false, false, false},
          {2, 63, 3, 5, 1, 7, true, false, true, true, false, true},
          {1, 64, 4, 16, 2, 16, true, true, false, true, true, false},
          {2, 65, 6, 17, 3, 33, false, false, true, false, false, true},
          {1, 200, 5, 64, 1, 128, true, true, true, true, true, true},
          {1, 129, 4, 64, 4, 64, true, false, false, true, false, false},
          {3, 70, 2, 32, 1, 256, true, false, true, true, false, true}};
}

struct SsdData {
  Floats u, delta, A, B, C, D, z, bias, initial, dy, dFinal;

  explicit SsdData(const SsdCase &c) {
    std::mt19937 generator(7);
    const auto fill = [&](Floats &v, int64_t n, float mean, float deviation) {
      std::normal_distribution<float> draw(mean, deviation);
      v.resize(n);
      for (float &x : v) x = draw(generator);
    };
    const int64_t rows = c.batch * c.length;
    fill(u, c.sequence(), 0, 1), fill(dy, c.sequence(), 0, 1), fill(dFinal, c.state(), 0, 1);
    fill(delta, rows * c.heads, c.softplus ? -2.0f : 0.1f, c.softplus ? 1.0f : 0.02f), fill(A, c.heads, -1, 0.2f);
    fill(B, rows * c.groups * c.states, 0, 1), fill(C, rows * c.groups * c.states, 0, 1);
    fill(bias, c.softplus ? c.heads : 0, 0, 0.5f), fill(D, c.skip ? c.heads * c.skipWidth() : 0, 0, 1);
    fill(z, c.gate ? c.sequence() : 0, 0, 1), fill(initial, c.initial ? c.state() : 0, 0, 1);
  }

  SsdProblem problem(const SsdCase &c) const {
    const auto orNull = [](const Floats &v) { return v.empty() ? nullptr : v.data(); };
    SsdProblem p{};
    p.batch = c.batch, p.length = c.length, p.heads = c.heads, p.headDim = c.headDim, p.groups = c.groups;
    p.states = c.states, p.softplus = c.softplus, p.skipWidth = c.skipWidth();
    p.deltaMin = c.limits ? 0.0625f : -3e38f, p.deltaMax = c.limits ? 0.25f : 3e38f;
    p.u = u.data(), p.delta = delta.data(), p.A = A.data(), p.B = B.data(), p.C = C.data(), p.D = orNull(D);
    p.z = orNull(z), p.deltaBias = orNull(bias), p.initialState = orNull(initial);
    return p;
  }
};

struct SsdTruth {
  Doubles y, finalState, du, ddelta, dA, dB, dC, dD, dz, dBias, dInitial;
};

inline SsdTruth referenceSsd(const SsdCase &c, const SsdData &in) {
  const SsdProblem p = in.problem(c);
  const int64_t P = c.headDim, N = c.states, size = P * N;
  SsdTruth r;
  r.y.resize(c.sequence()), r.du.resize(c.sequence()), r.dz.resize(in.z.size()), r.finalState.resize(c.state());
  r.ddelta.resize(in.delta.size()), r.dA.resize(c.heads), r.dB.resize(in.B.size()), r.dC.resize(in.C.size());
  r.dD.resize(in.D.size()), r.dBias.resize(in.bias.size()), r.dInitial.resize(in.initial.size());
  for (int64_t b = 0; b < c.batch; ++b)
    for (int64_t h = 0; h < c.heads; ++h) {
      const int64_t first = (b * c.heads + h) * size, group = h / (c.heads / c.groups);
      const auto headRow = [&](int64_t t) { return (b * c.length + t) * c.heads + h; };
      const auto groupRow = [&](int64_t t) { return ((b * c.length + t) * c.groups + group) * N; };
      const auto biased = [&](int64_t t) { return in.delta[headRow(t)] + (in.bias.empty() ? 0.0 : in.bias[h]); };
      const auto soft = [&](int64_t t) {
        const double x = biased(t);
        return !c.softplus || x > 20 ? x : std::log1p(std::exp(x));
      };
      const auto step = [&](int64_t t) { return std::min(std::max<double>(soft(t), p.deltaMin), double(p.deltaMax)); };
      const auto skip = [&](int64_t i) { return in.D.empty() ? 0.0 : in.D[h * c.skipWidth() + (c.perChannel ? i : 0)]; };
      Doubles states((c.length + 1) * size), carried(in.dFinal.begin() + first, in.dFinal.begin() + first + size);
      for (int64_t k = 0; k < size && c.initial; ++k) states[k] = in.initial[first + k];
      Doubles open(c.length * P);
      for (int64_t t = 0; t < c.length; ++t)
        for (int64_t i = 0; i < P; ++i) {
          const int64_t at = headRow(t) * P + i;
          double sum = skip(i) * in.u[at];
          for (int64_t n = 0; n < N; ++n) {
            const double *h0 = &states[t * size + i * N + n];
            const double next = std::exp(step(t) * in.A[h]) * *h0 + step(t) * in.u[at] * in.B[groupRow(t) + n];
            states[(t + 1) * size + i * N + n] = next;
            sum += next * in.C[groupRow(t) + n];
          }
          open[t * P + i] = sum;
          r.y[at] = c.gate ? sum * in.z[at] / (1 + std::exp(-in.z[at])) : sum;
        }
      for (int64_t k = 0; k < size; ++k) r.finalState[first + k] = states[c.length * size + k];
      for (int64_t t = c.length - 1; t >= 0; --t) {
        const double decay = std::exp(step(t) * in.A[h]);
        double dLog = 0, dStep = 0;
        for (int64_t i = 0; i < P; ++i) {
          const int64_t at = headRow(t) * P + i;
          double g = in.dy[at], dInput = 0;
          if (c.gate) {
            const double z = in.z[at], sigma = 1 / (1 + std::exp(-z));
            r.dz[at] = g * open[t * P + i] * sigma * (1 + z * (1 - sigma));
            g *= z * sigma;
          }
          for (int64_t n = 0; n < N; ++n) {
            const int64_t k = i * N + n, row = groupRow(t) + n;
            const double s = in.C[row] * g + carried[k];
            r.dC[row] += g * states[(t + 1) * size + k];
            r.dB[row] += s * step(t) * in.u[at];
            dLog += s * decay * states[t * size + k];
            dInput += s * in.B[row];
            carried[k] = decay * s;
          }
          r.du[at] = step(t) * dInput + skip(i) * g;
          dStep += in.u[at] * dInput;
          if (c.skip) r.dD[h * c.skipWidth() + (c.perChannel ? i : 0)] += g * in.u[at];
        }
        const bool inside = soft(t) >= p.deltaMin && soft(t) <= p.deltaMax;
        const double slope = !inside ? 0 : c.softplus && biased(t) <= 20 ? 1 / (1 + std::exp(-biased(t))) : 1;
        r.ddelta[headRow(t)] = (in.A[h] * dLog + dStep) * slope;
        r.dA[h] += step(t) * dLog;
        if (!in.bias.empty()) r.dBias[h] += r.ddelta[headRow(t)];
      }
      for (int64_t k = 0; k < size && c.initial; ++k) r.dInitial[first + k] = carried[k];
    }
  return r;
}

}  // namespace tfjs_mamba
