// What vector_math.h states: the errors, over every 97th float32 of the range in which each function has a result, and
// what becomes of exponentials outside of theirs.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>

#include "../src/cpu/kernels.h"

static double ulp(double truth) {
  const float f = static_cast<float>(std::fabs(truth));
  return static_cast<double>(std::nextafterf(f, INFINITY)) - f;
}

static float fromBits(uint64_t bits) {
  const uint32_t word = static_cast<uint32_t>(bits);
  float value;
  std::memcpy(&value, &word, 4);
  return value;
}

int main() {
  const auto &kernels = tfjs_mamba::cpuKernels();
  const struct {
    const char *name;
    int which;
    float low, high;
    double (*truth)(double);
    double allowed;  // ulps
  } functions[] = {
      {"exp2", 0, -126, 127.9999f, [](double x) { return std::exp2(x); }, 2},
      {"exp", 1, -87, 88.72f, [](double x) { return std::exp(x); }, 2},
      {"softplus", 2, -87, 100, [](double x) { return x > 20 ? x : std::log1p(std::exp(x)); }, 4},
      {"silu", 3, -80, 80, [](double x) { return x / (1 + std::exp(-x)); }, 4},
  };
  int failures = 0;
  for (const auto &f : functions) {
    std::vector<float> x, y;
    for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 97) {
      const float value = fromBits(bits);
      if (value >= f.low && value <= f.high) x.push_back(value);
    }
    y.resize(x.size());
    kernels.elementwise(f.which, static_cast<int64_t>(x.size()), x.data(), y.data());
    double worst = 0;
    float at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double truth = f.truth(x[i]);
      // Below the smallest normal number a result may be flushed to zero.
      if (std::fabs(truth) < 1.2e-38 && std::fabs(y[i]) < 1.2e-38) continue;
      const double error = std::fabs(y[i] - truth) / ulp(truth);
      if (!(error <= worst)) worst = error, at = x[i];
    }
    const bool ok = worst <= f.allowed;
    failures += !ok;
    std::printf("%s %s %s: %.2f ulp at %g, over %zu numbers\n", ok ? "ok  " : "FAIL", kernels.level, f.name, worst, at,
                x.size());
  }
  // Every float but NaN, in steps: 0 (or what is as good as 0) on one side, infinity on the other.
  for (const bool natural : {false, true}) {
    const float scale = natural ? 0.6931472f : 1;
    std::vector<float> x = {-INFINITY, INFINITY}, y;
    for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 97) {
      const float value = fromBits(bits);
      if (value < -127 * scale || value > 128.01f * scale) x.push_back(value);
    }
    y.resize(x.size());
    kernels.elementwise(natural, static_cast<int64_t>(x.size()), x.data(), y.data());
    size_t wrong = 0;
    float at = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const bool right = x[i] < 0 ? y[i] >= 0 && y[i] < 1.2e-38f : y[i] == INFINITY;
      if (!right && wrong++ == 0) at = x[i];
    }
    failures += wrong > 0;
    std::printf("%s %s %s out of range: %zu of %zu wrong, the first at %g\n", wrong ? "FAIL" : "ok  ", kernels.level,
                natural ? "exp" : "exp2", wrong, x.size(), at);
  }
  float zero = 0, one = 0, result = 0;
  for (int which : {0, 1}) {
    kernels.elementwise(which, 1, &zero, &one);
    if (one != 1) std::printf("FAIL exp(0) is %g\n", one), ++failures;
  }
  const float nan = NAN;
  for (const auto &f : functions) {
    kernels.elementwise(f.which, 1, &nan, &result);
    if (!std::isnan(result)) std::printf("FAIL %s of NaN is %g\n", f.name, result), ++failures;
  }
  return failures != 0;
}
