// What the GPU tests share: arrays on the device, the comparison of a launcher's results with float64, and its time
// beside what the bytes and the exponentials alone would take on this device.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "../../src/cuda/launch.h"
#include "../reference.h"

namespace tfjs_mamba {

constexpr double kForward = 2e-5, kGradient = 5e-5;  // largest error over largest value

inline void check(const char *error) {
  if (error) std::fprintf(stderr, "CUDA: %s\n", error), std::exit(1);
}
inline void check(cudaError_t error) { check(error == cudaSuccess ? nullptr : cudaGetErrorString(error)); }

// What a launcher writes, of any type.
struct DeviceOutput {
  virtual void poison() = 0;
  virtual Floats values() const = 0;

 protected:
  ~DeviceOutput() = default;
};

template <typename T>
struct DeviceArray final : DeviceOutput {
  T *data = nullptr;
  size_t size;

  explicit DeviceArray(size_t n) : size(n) {
    check(cudaMalloc(&data, (n + 1) * sizeof(T)));
    poison();
  }
  explicit DeviceArray(const std::vector<T> &v) : DeviceArray(v.size()) {
    if (!v.empty()) check(cudaMemcpy(data, v.data(), v.size() * sizeof(T), cudaMemcpyHostToDevice));
  }
  // Of numbers that T has.
  template <typename U, typename = std::enable_if_t<!std::is_same_v<T, U>>>
  explicit DeviceArray(const std::vector<U> &v) : DeviceArray(std::vector<T>(v.begin(), v.end())) {}
  ~DeviceArray() { cudaFree(data); }
  DeviceArray(const DeviceArray &) = delete;

  // NaN, so that what is not written shows.
  void poison() override { check(cudaMemset(data, 0xff, size * sizeof(T))); }
  std::vector<T> read() const {
    std::vector<T> v(size);
    if (size > 0) check(cudaMemcpy(v.data(), data, size * sizeof(T), cudaMemcpyDeviceToHost));
    return v;
  }
  Floats values() const override {
    const std::vector<T> v = read();
    return Floats(v.begin(), v.end());
  }
  T *orNull() const { return size ? data : nullptr; }
};
using DeviceFloats = DeviceArray<float>;

// Fresh numbers for every case, the same in every run of the program.
class Random {
 public:
  Floats normal(int64_t n, float scale = 1, float shift = 0) {
    std::normal_distribution<float> draw;
    Floats v(n);
    for (int64_t i = 0; i < n; ++i) v[i] = i < kDistinct ? draw(engine_) * scale + shift : v[i - kDistinct];
    return v;
  }
  std::vector<int32_t> ids(int64_t batch, int64_t length) { return packedIds(batch, length, engine_); }
  int64_t integer(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(engine_); }
  bool flip() { return integer(0, 1) != 0; }

 private:
  std::mt19937 engine_{11};
};

// An output, what it should be, and how far it may be off, beyond that share of an element which the rounding to its type
// explains. An empty one is an absent one.
struct Output {
  DeviceOutput &got;
  const Doubles &want;
  double limit, rounding = 0;
};

using Launch = std::function<const char *(cudaStream_t)>;

class Harness {
 public:
  Harness();

  int multiprocessors;
  Random random;

  // Runs it twice into poisoned outputs: right, and the same bits.
  void expect(const std::string &name, const Launch &launch, const std::vector<Output> &outputs);
  void measureDevice();
  // Call it with the bytes that must move, the exponentials that must be computed, and the multiply-adds, where they count.
  void time(const std::string &name, double bytes, double exps, const Launch &launch, double products = 0);
  // Prints what went wrong and the table; whether all is well.
  bool report() const;

 private:
  double milliseconds(const Launch &launch);

  struct Group {
    std::string op;
    int cases = 0;
    double forward = 0, gradients = 0;
  };
  struct Timing {
    std::string name;
    double us, bytesUs, expsUs, productsUs;
  };
  cudaStream_t stream_;
  std::vector<Group> groups_;
  std::vector<Timing> timings_;
  std::vector<std::string> failures_;
  double bandwidth_ = 0, expRate_ = 0, productRate_ = 0;  // bytes, exponentials, multiply-adds a microsecond
};

inline double sigmoid64(double x) { return 1 / (1 + std::exp(-x)); }
inline double softplus64(double x) { return x > 20 ? x : std::log1p(std::exp(x)); }

// One file each.
void testScan(Harness &h);
void timeScan(Harness &h);
void testStateUpdate(Harness &h);
void timeStateUpdate(Harness &h);
void testCausalConv1d(Harness &h);
void timeCausalConv1d(Harness &h);
void testRmsNorm(Harness &h);
void timeRmsNorm(Harness &h);
void testGatedRmsNorm(Harness &h);
void timeGatedRmsNorm(Harness &h);
void testSsd(Harness &h);
void timeSsd(Harness &h);
void testCrossEntropy(Harness &h);
void timeCrossEntropy(Harness &h);
void testAdamW(Harness &h);
void timeAdamW(Harness &h);
void testDecode(Harness &h);
void timeDecode(Harness &h);

}  // namespace tfjs_mamba
