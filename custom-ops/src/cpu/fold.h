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

// Lane i of the result is a sum of kLanes / S lanes of v[i % S]. Shuffles within four lanes, which need no indices.
template <int S>
SIMD_INLINE Vec sumInterleaved(Vec *v) {
  static_assert(S == 1 || S == 2 || S == 4, "");
  constexpr IVec kQuad = kLane & ~3, kPair = kLane & 1, kUpper = kLane >> 1 & 1;
  constexpr IVec kSingles = kQuad + kUpper + kPair * kLanes, kPairs = kQuad + kPair + kUpper * kLanes;
  const auto add = [](Vec a, Vec b, IVec first) { return __builtin_shuffle(a, b, first) + __builtin_shuffle(a, b, first + 2); };
  if constexpr (S == 4) return add(add(v[0], v[1], kSingles), add(v[2], v[3], kSingles), kPairs);
  if constexpr (S == 2) return add(v[0], v[1], kSingles);
  return v[0];
}

// The sums of such lanes of kLanes / S rows, one row's S sums after the other's.
template <int S>
SIMD_INLINE Vec sumRows(const float *rows) {
  constexpr int R = kLanes / S;
  Vec v[R];
  for (int i = 0; i < R; ++i) v[i] = load(rows + i * kLanes);
#pragma GCC unroll 4
  for (int n = R, d = S; n > 1; n /= 2, d *= 2) {
    const IVec second = (kLane & d) * (kLanes / d);
#pragma GCC unroll 8
    for (int i = 0; i < n / 2; ++i)
      v[i] = __builtin_shuffle(v[2 * i], v[2 * i + 1], kLane + second) +
             __builtin_shuffle(v[2 * i], v[2 * i + 1], (kLane ^ d) + second);
  }
  return v[0];
}

// Rows of the result of sumInterleaved<S>, of which there is room for kChunk, to out[t * stride + n].
template <int S>
SIMD_INLINE void foldRows(float *out, int64_t stride, const float *rows, int64_t steps) {
  for (int64_t t0 = 0; t0 < steps; t0 += kLanes / S) {
    float sums[kLanes];
    store(sums, sumRows<S>(rows + t0 * kLanes));
    for (int64_t t = t0; t < t0 + kLanes / S && t < steps; ++t)
      std::memcpy(out + t * stride, sums + (t - t0) * S, S * sizeof(float));
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
