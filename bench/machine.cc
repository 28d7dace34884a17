// What this machine can do at best, on all its processors: bytes read and bytes copied a second between memory and them,
// and exponentials a second, by the exp2 that the kernels use. Compiled and run by machine.ts; prints JSON.
#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#define SIMD_LEVEL native
#include "../custom-ops/src/cpu/vector_math.h"

using namespace tfjs_mamba::native;

static const std::vector<int> kProcessors = [] {
  cpu_set_t allowed;
  sched_getaffinity(0, sizeof allowed, &allowed);
  std::vector<int> processors;
  for (int i = 0; i < CPU_SETSIZE; ++i)
    if (CPU_ISSET(i, &allowed)) processors.push_back(i);
  return processors;
}();
static const int kThreads = static_cast<int>(kProcessors.size());
constexpr int64_t kFloats = int64_t{1} << 26;  // 256 MB: far beyond any cache
static volatile float sink;

// The best of several runs of work(thread) on every processor, in seconds.
template <typename Work>
static double best(const Work &work) {
  double seconds = 1e9;
  for (int run = 0; run < 9; ++run) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i)
      threads.emplace_back([&, i] {
        // Each on a processor of its own: left alone, a busy system starts two on one.
        cpu_set_t own;
        CPU_ZERO(&own);
        CPU_SET(kProcessors[i], &own);
        sched_setaffinity(0, sizeof own, &own);
        work(i);
      });
    for (auto &thread : threads) thread.join();
    seconds = std::min(seconds, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return seconds;
}

int main() {
  constexpr int kChains = 8;  // vectors in flight
  std::vector<float> from(kFloats, 0.5f), to(kFloats, 0.0f);
  const int64_t share = kFloats / kThreads / (kChains * kLanes) * (kChains * kLanes);

  const double read = best([&](int thread) {
    const float *p = from.data() + thread * share;
    Vec sums[kChains] = {};
    for (int64_t i = 0; i < share; i += kChains * kLanes)
      for (int j = 0; j < kChains; ++j) sums[j] += load(p + i + j * kLanes);
    for (const Vec &v : sums) sink = sum(v);
  });
  const double copy = best([&](int thread) {
    const int64_t begin = thread * share;
    for (int64_t i = begin; i < begin + share; i += kLanes) store(to.data() + i, load(from.data() + i) + 1.0f);
  });
  constexpr int64_t kRounds = 1 << 20;
  const double exponentials = best([&](int) {
    Vec v[kChains];
    for (int j = 0; j < kChains; ++j) v[j] = splat(0.1f * static_cast<float>(j + 1));
    for (int64_t round = 0; round < kRounds; ++round)
#pragma GCC unroll 8
      for (int j = 0; j < kChains; ++j) v[j] = exp2Vec(-v[j]);
    for (const Vec &x : v) sink = sum(x);
  });
  const double bytes = 4.0 * static_cast<double>(share) * kThreads;
  std::printf("{\"read\": %.4g, \"copy\": %.4g, \"exponentials\": %.4g}\n", bytes / read, 2 * bytes / copy,
              static_cast<double>(kRounds) * kChains * kLanes * kThreads / exponentials);
}
