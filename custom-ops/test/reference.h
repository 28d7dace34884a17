// The selective scan and its gradient in float64, as the formulas of problem.h's paper stand there, and problems with
// random numbers to try kernels on. Slow and plain: what the CPU and CUDA kernels are checked against.
#pragma once

#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "../src/problem.h"

namespace tfjs_mamba {

using Floats = std::vector<float>;
using Doubles = std::vector<double>;

struct ScanCase {
  int64_t batch, length, channels, states, groupsB, groupsC;
  bool constantB, constantC, softplus, D, z, bias, initial, packed = false;

  std::string describe() const {
    return "[" + std::to_string(batch) + "," + std::to_string(length) + "," + std::to_string(channels) + "," +
           std::to_string(states) + "] groups " + std::to_string(groupsB) + "," + std::to_string(groupsC) +
           (constantB ? " constant B" : "") + (constantC ? " constant C" : "") + (softplus ? " softplus" : "") +
           (D ? " D" : "") + (z ? " z" : "") + (bias ? " bias" : "") + (initial ? " initial" : "") + (packed ? " packed" : "");
  }
};

// After so many numbers a long array, which only a measurement of time has, repeats itself: drawing them takes longer
// than the kernels.
constexpr int64_t kDistinct = int64_t{1} << 22;

// Ids of documents of up to 41 steps, every fourth of up to 201.
template <typename Engine>
std::vector<int32_t> packedIds(int64_t batch, int64_t length, Engine &engine) {
  std::uniform_int_distribution<int> steps(0, 40);
  std::vector<int32_t> ids;
  for (int32_t id = 0; ids.size() < static_cast<size_t>(batch * length); ++id)
    ids.insert(ids.end(), 1 + steps(engine) * (id % 4 == 3 ? 5 : 1), id);
  ids.resize(batch * length);
  return ids;
}

struct ScanData {
  Floats u, delta, A, B, C, D, z, bias, initial, dy, dFinal;
  std::vector<int32_t> ids;

  explicit ScanData(const ScanCase &c, unsigned seed = 7) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    const auto fill = [&](Floats &v, int64_t n, float scale, float shift) {
      v.resize(n);
      for (int64_t i = 0; i < n; ++i) v[i] = i < kDistinct ? normal(engine) * scale + shift : v[i - kDistinct];
    };
    const int64_t row = c.batch * c.length * c.channels, matrix = c.channels * c.states;
    fill(u, row, 1, 0);
    fill(delta, row, 1, c.softplus ? -3.0f : 0.0f);
    if (!c.softplus)
      for (float &x : delta) x = 0.1f * std::fabs(x);
    A.resize(matrix);
    for (int64_t i = 0; i < matrix; ++i) A[i] = -static_cast<float>(i % c.states + 1);
    fill(B, c.constantB ? matrix : c.batch * c.length * c.groupsB * c.states, 1, 0);
    fill(C, c.constantC ? matrix : c.batch * c.length * c.groupsC * c.states, 1, 0);
    if (c.D) fill(D, c.channels, 1, 0);
    if (c.z) fill(z, row, 1, 0);
    if (c.bias) fill(bias, c.channels, 0.3f, 0);
    if (!c.softplus)  // nothing else keeps a step positive
      for (float &x : bias) x = 0.1f * std::fabs(x);
    if (c.initial) fill(initial, c.batch * matrix, 1, 0);
    fill(dy, row, 1, 0);
    fill(dFinal, c.batch * matrix, 1, 0);
    if (c.packed) ids = packedIds(c.batch, c.length, engine);
  }

  ScanProblem problem(const ScanCase &c) const {
    const auto p = [](const auto &v) { return v.empty() ? nullptr : v.data(); };
    return {{c.batch, c.length, c.channels, c.states, c.groupsB, c.groupsC, c.constantB, c.constantC, c.softplus},
            u.data(),    delta.data(), A.data(),  B.data(), C.data(),  p(D),      p(z),        p(bias),     p(initial),
            p(ids)};
  }
};

struct ScanTruth {
  Doubles y, finalState, du, ddelta, dA, dB, dC, dD, dz, dBias, dInitial;
};

inline ScanTruth referenceScan(const ScanCase &c, const ScanData &in) {
  const int64_t L = c.length, D = c.channels, N = c.states, row = c.batch * L * D, matrix = D * N;
  ScanTruth out;
  for (Doubles *v : {&out.y, &out.du, &out.ddelta, &out.dz}) v->assign(row, 0);
  for (Doubles *v : {&out.finalState, &out.dInitial}) v->assign(c.batch * matrix, 0);
  out.dA.assign(matrix, 0), out.dB.assign(in.B.size(), 0), out.dC.assign(in.C.size(), 0);
  out.dD.assign(D, 0), out.dBias.assign(D, 0);
  Doubles h((L + 1) * N), g(N);
  for (int64_t b = 0; b < c.batch; ++b)
    for (int64_t d = 0; d < D; ++d) {
      const auto begins = [&](int64_t t) { return c.packed && t > 0 && in.ids[b * L + t] != in.ids[b * L + t - 1]; };
      const auto at = [&](int64_t t) { return (b * L + t) * D + d; };
      const auto rowOf = [&](bool constant, int64_t groups, int64_t t) {
        return constant ? d * N : ((b * L + t) * groups + d * groups / D) * N;
      };
      const auto argument = [&](int64_t t) { return static_cast<double>(in.delta[at(t)]) + (c.bias ? in.bias[d] : 0.0f); };
      const auto step = [&](int64_t t) {
        const double x = argument(t);
        return !c.softplus || x > 20 ? x : std::log1p(std::exp(x));
      };
      const auto sigma = [&](int64_t t) { return 1 / (1 + std::exp(-static_cast<double>(in.z[at(t)]))); };
      const double skip = c.D ? in.D[d] : 0.0;
      for (int64_t n = 0; n < N; ++n) h[n] = c.initial ? in.initial[(b * D + d) * N + n] : 0.0;
      Doubles plain(L);
      for (int64_t t = 0; t < L; ++t) {
        const int64_t rB = rowOf(c.constantB, c.groupsB, t), rC = rowOf(c.constantC, c.groupsC, t);
        double y = skip * in.u[at(t)];
        for (int64_t n = 0; n < N; ++n) {
          double &next = h[(t + 1) * N + n];
          next = std::exp(step(t) * in.A[d * N + n]) * (begins(t) ? 0 : h[t * N + n]) + step(t) * in.u[at(t)] * in.B[rB + n];
          y += next * in.C[rC + n];
        }
        plain[t] = y;
        out.y[at(t)] = c.z ? y * in.z[at(t)] * sigma(t) : y;
      }
      for (int64_t n = 0; n < N; ++n) {
        out.finalState[(b * D + d) * N + n] = h[L * N + n];
        g[n] = in.dFinal[(b * D + d) * N + n];
      }
      for (int64_t t = L - 1; t >= 0; --t) {
        const int64_t rB = rowOf(c.constantB, c.groupsB, t), rC = rowOf(c.constantC, c.groupsC, t);
        double dOut = in.dy[at(t)], dStep = 0, sumSB = 0;
        if (c.z) {
          const double z = in.z[at(t)], s = sigma(t);
          out.dz[at(t)] = dOut * plain[t] * s * (1 + z * (1 - s));
          dOut *= z * s;
        }
        for (int64_t n = 0; n < N; ++n) {
          g[n] += dOut * in.C[rC + n];
          out.dC[rC + n] += dOut * h[(t + 1) * N + n];
          out.dB[rB + n] += g[n] * step(t) * in.u[at(t)];
          sumSB += g[n] * in.B[rB + n];
          g[n] *= std::exp(step(t) * in.A[d * N + n]);
          if (begins(t)) {
            g[n] = 0;
            continue;
          }
          out.dA[d * N + n] += step(t) * g[n] * h[t * N + n];
          dStep += in.A[d * N + n] * g[n] * h[t * N + n];
        }
        dStep += in.u[at(t)] * sumSB;
        out.du[at(t)] = skip * dOut + step(t) * sumSB;
        out.dD[d] += dOut * in.u[at(t)];
        if (c.softplus && argument(t) <= 20) dStep /= 1 + std::exp(-argument(t));
        out.ddelta[at(t)] = dStep;
        out.dBias[d] += dStep;
      }
      for (int64_t n = 0; n < N; ++n) out.dInitial[(b * D + d) * N + n] = g[n];
    }
  return out;
}

// Largest error over the largest true value. Of the error of each element a share of the element, `rounding`, does not count.
inline double relativeError(const Floats &got, const Doubles &want, double rounding = 0) {
  double error = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    double off = std::fabs(got[i] - want[i]) - rounding * std::fabs(want[i]);
    off = off < 0 ? 0 : off;
    error = off > error || std::isnan(off) ? off : error;
    largest = std::max(largest, std::fabs(want[i]));
  }
  return largest > 0 ? error / largest : error;
}

// Every form of input, odd lengths, widths that fill no block, up to 64 states.
inline std::vector<ScanCase> scanCases() {
  std::vector<ScanCase> cases;
  for (int64_t length : {1, 15, 33, 300, 1134})
    for (int form = 0; form < 4; ++form) {
      const bool b = form & 1, c = form & 2, all = (length + form) % 2 == 0;
      cases.push_back({2, length, 40, 16, 1, 1, b, c, all, all, all, all, all});
    }
  for (int64_t states : {1, 3, 5, 8, 24, 64}) cases.push_back({1, 70, 36, states, 1, 1, false, false, true, true, true, true, true});
  cases.push_back({2, 65, 96, 16, 2, 3, false, false, true, true, true, true, true});
  cases.push_back({1, 2048, 256, 16, 1, 1, false, false, true, true, true, true, true});
  for (int64_t length : {40, 700})
    for (int form = 0; form < 4; ++form)
      cases.push_back({2, length, 40, 16, 1, 1, (form & 1) != 0, (form & 2) != 0, true, true, true, true, true, true});
  return cases;
}

}  // namespace tfjs_mamba
