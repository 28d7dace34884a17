// The stated errors of vector_math.h, over every 97th float32 of the range in which each function has a result.
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

int main() {
  const struct {
    const char *name;
    int which;
    float low, high;
    double (*truth)(double);
    double allowed;  // ulps
  } functions[] = {
      {"exp2", 0, -126, 127.4f, [](double x) { return std::exp2(x); }, 2},
      {"exp", 1, -87, 88.3f, [](double x) { return std::exp(x); }, 2},
      {"softplus", 2, -87, 100, [](double x) { return x > 20 ? x : std::log1p(std::exp(x)); }, 4},
      {"silu", 3, -80, 80, [](double x) { return x / (1 + std::exp(-x)); }, 4},
  };
  const auto &kernels = tfjs_mamba::cpuKernels();
  int failures = 0;
  for (const auto &f : functions) {
    std::vector<float> x, y;
    for (uint64_t bits = 0; bits < (uint64_t{1} << 32); bits += 97) {
      const uint32_t word = static_cast<uint32_t>(bits);
      float value;
      std::memcpy(&value, &word, 4);
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
  float zero = 0, one = 0;
  for (int which : {0, 1}) {
    kernels.elementwise(which, 1, &zero, &one);
    if (one != 1) std::printf("FAIL exp(0) is %g\n", one), ++failures;
  }
  return failures != 0;
}
