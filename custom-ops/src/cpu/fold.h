// Sums across lanes and across the partial results of tasks, each in one fixed order.
#pragma once

#include "parallel.h"
#include "simd.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

constexpr IVec kEven = kLane * 2;

// Lane i of the result is the sum of rows[i]: a tree of sums of neighbours, kLanes - 1 in all.
SIMD_INLINE Vec sumEach(const float *rows) {
  Vec v[kLanes];
  for (int i = 0; i < kLanes; ++i) v[i] = load(rows + i * kLanes);
#pragma GCC unroll 4
  for (int n = kLanes; n > 1; n /= 2)
#pragma GCC unroll 8
    for (int i = 0; i < n / 2; ++i)
      v[i] = __builtin_shuffle(v[2 * i], v[2 * i + 1], kEven) + __builtin_shuffle(v[2 * i], v[2 * i + 1], kEven + 1);
  return v[0];
}

// lanes [kChunk][S][kLanes], of which `steps` are used, to out[t * stride + n].
template <int S>
SIMD_INLINE void foldRows(float *out, int64_t stride, const float *lanes, int64_t steps) {
  for (int64_t i = 0; i < steps * S; i += kLanes) {
    float sums[kLanes];
    store(sums, sumEach(lanes + i * kLanes));
    for (int64_t j = i; j < i + kLanes && j < steps * S; ++j) out[j / S * stride + j % S] = sums[j - i];
  }
}

// out = from[0] + from[1] + ..., slices of n floats.
static inline void addSlices(float *out, const float *from, int64_t slices, int64_t n) {
  constexpr int64_t kBlock = 4096;
  parallelFor((n + kBlock - 1) / kBlock, [&](int64_t block) {
    const int64_t end = (block + 1) * kBlock < n ? (block + 1) * kBlock : n;
    for (int64_t i = block * kBlock; i < end; i += kLanes) {
      Vec sum = loadFirst(from + i, end - i);
      for (int64_t s = 1; s < slices; ++s) sum += loadFirst(from + s * n + i, end - i);
      storeFirst(out + i, sum, end - i);
    }
  });
}

struct Projection {
  int64_t batch, length, groups, states;
};

// [batch,groups,slices,length,states] to the gradient of a projection, [batch,length,groups,states]: the slices of one
// sequence and group, which follow each other, are added in their order.
static inline void addRows(const Projection &p, int64_t slices, const float *from, float *to) {
  constexpr int64_t kBlock = 32;
  const int64_t N = p.states, blocks = (p.length + kBlock - 1) / kBlock;
  parallelFor(p.batch * p.groups * blocks, [&](int64_t task) {
    const int64_t row = task / blocks, b = row / p.groups, g = row % p.groups, t0 = task % blocks * kBlock;
    const int64_t t1 = t0 + kBlock < p.length ? t0 + kBlock : p.length;
    for (int64_t t = t0; t < t1; ++t) {
      float *out = to + ((b * p.length + t) * p.groups + g) * N;
      const float *in = from + (row * slices * p.length + t) * N;
      std::memcpy(out, in, N * sizeof(float));
      for (int64_t slice = 1; slice < slices; ++slice)
        for (int64_t n = 0; n < N; ++n) out[n] += in[slice * p.length * N + n];
    }
  });
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
