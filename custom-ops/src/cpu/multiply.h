// Products of matrices small enough for the first two caches, and their transposition.
#pragma once

#include "simd.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

// Element (r, k) is p[r * row + k * step]: either of them is 1, so that a matrix may be read transposed.
struct Left {
  const float *p;
  int64_t row, step;
};

// Which k count for row r: all, those up to r of a lower triangular matrix, or those from r on of an upper one. As the rows
// of a tile go together, what is beyond must be zero in the vector that the diagonal is in; further off it is not read.
enum class Part { all, lower, upper };

// What the products are added to: nothing, what stands there, or that times a factor of its row.
enum class Onto { zero, out, scaled };

// Factors of rows; with a step of 0 all have the first.
struct Factors {
  const float *p;
  int64_t step;
};

// A tile of the result in registers: R rows of V vectors.
constexpr int kTileRows = 4;
constexpr int kTileVectors = kLanes == 16 ? 4 : 2;

template <int R, int V, Onto onto>
SIMD_INLINE void multiplyTile(int64_t first, int64_t last, Left a, const float *b, int64_t strideB, float *out,
                              int64_t strideOut, Factors factors) {
  Vec sums[R][V];
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) {
      sums[r][v] = onto == Onto::zero ? Vec{} : load(out + r * strideOut + v * kLanes);
      if (onto == Onto::scaled) sums[r][v] *= factors.p[r * factors.step];
    }
  for (int64_t k = first; k < last; ++k) {
    Vec right[V];
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) right[v] = load(b + k * strideB + v * kLanes);
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const Vec left = splat(a.p[r * a.row + k * a.step]);
#pragma GCC unroll 4
      for (int v = 0; v < V; ++v) sums[r][v] += left * right[v];
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
    for (int v = 0; v < V; ++v) store(out + r * strideOut + v * kLanes, sums[r][v]);
}

// out = a b, added to what `onto` says: [rows,depth] by [depth,columns]. The columns of b and of out are whole vectors.
template <Onto onto, Part part = Part::all>
static inline void multiply(int64_t rows, int64_t depth, int64_t columns, Left a, const float *b, int64_t strideB,
                            float *out, int64_t strideOut, Factors factors = {}) {
  const auto tile = [&](auto height, auto width, int64_t r, int64_t c) {
    constexpr int R = decltype(height)::value, V = decltype(width)::value;
    const int64_t first = part == Part::upper ? r : 0;
    const int64_t last = part == Part::lower && r + R < depth ? r + R : depth;
    multiplyTile<R, V, onto>(first, last, {a.p + r * a.row, a.row, a.step}, b + c, strideB, out + r * strideOut + c,
                             strideOut, {factors.p + r * factors.step, factors.step});
  };
  const auto strip = [&](auto width, int64_t c) {
    int64_t r = 0;
    for (; r + kTileRows <= rows; r += kTileRows) tile(Size<kTileRows>{}, width, r, c);
    for (; r < rows; ++r) tile(Size<1>{}, width, r, c);
  };
  int64_t c = 0;
  for (; c + kTileVectors * kLanes <= columns; c += kTileVectors * kLanes) strip(Size<kTileVectors>{}, c);
  for (; c < columns; c += kLanes) strip(Size<1>{}, c);
}

constexpr IVec kInterleave = kLane / 2 + kLane % 2 * kLanes;  // 0, kLanes, 1, kLanes + 1, ...

// to[c][r] = from[r][c]; rows and columns are whole vectors.
static inline void transpose(int64_t rows, int64_t columns, const float *from, int64_t strideFrom, float *to,
                             int64_t strideTo) {
  for (int64_t r = 0; r < rows; r += kLanes)
    for (int64_t c = 0; c < columns; c += kLanes) {
      Vec v[kLanes], w[kLanes];
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) v[i] = load(from + (r + i) * strideFrom + c);
      // Each round interleaves the upper half of the rows with the lower; after log2 of their number they are columns.
#pragma GCC unroll 4
      for (int n = 1; n < kLanes; n *= 2) {
#pragma GCC unroll 8
        for (int i = 0; i < kLanes / 2; ++i) {
          w[2 * i] = __builtin_shuffle(v[i], v[i + kLanes / 2], kInterleave);
          w[2 * i + 1] = __builtin_shuffle(v[i], v[i + kLanes / 2], kInterleave + kLanes / 2);
        }
#pragma GCC unroll 16
        for (int i = 0; i < kLanes; ++i) v[i] = w[i];
      }
#pragma GCC unroll 16
      for (int i = 0; i < kLanes; ++i) store(to + (c + i) * strideTo + r, v[i]);
    }
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
