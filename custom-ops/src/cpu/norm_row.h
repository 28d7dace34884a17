// A row of a root-mean-square norm, forward and backward, and how rows are shared out.
#pragma once

#include <cmath>

#include "fold.h"
#include "simd.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

constexpr int64_t kNarrow = 16;
constexpr int64_t kRows = 32;  // a task, and a slice of the weight's gradient

// Sums in four vectors that are added at the end: short chains of roundings, and four adders at work.
template <typename Term>
SIMD_INLINE float rowSum(int64_t width, const Term &term) {
  Vec sums[4] = {};
  int64_t c = 0;
  for (; c + 4 * kLanes <= width; c += 4 * kLanes)
    for (int i = 0; i < 4; ++i) sums[i] += term(c + i * kLanes, kLanes);
  for (; c < width; c += kLanes) sums[0] += term(c, width - c);
  return sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

SIMD_INLINE float sumOfSquares(const float *r, int64_t width, float factor) {
  return rowSum(width, [&](int64_t c, int64_t n) {
    const Vec v = loadFirst(r + c, n) * factor;
    return v * v;
  });
}

// 1 / sqrt(mean((factor r)^2) + factor^2 epsilon); the factor is 1 unless squares leave float32.
struct RowScale {
  float factor, inverse;
};

SIMD_INLINE RowScale scaleOf(const float *r, int64_t width, float epsilon) {
  float factor = 1, squares = sumOfSquares(r, width, factor);
  const float count = static_cast<float>(width);
  if (!(squares < 3e38f && squares / count + epsilon > 1e-30f)) {
    factor = squares > 1 ? 0x1p-80f : 0x1p80f;
    squares = sumOfSquares(r, width, factor);
  }
  return {factor, 1.0f / __builtin_sqrtf(squares / count + epsilon * factor * factor)};
}

struct NormRow {
  int64_t width;
  float epsilon;
  const float *weight;
};

// A few channels in double precision: dr is what of g = dy * weight is not along r, and when there is little else than
// that, the float32 difference is noise.
static inline void narrowRowGrad(const NormRow &p, const float *r, const float *dy, float *dr) {
  double squares = 0, along = 0;
  for (int64_t c = 0; c < p.width; ++c) {
    squares += static_cast<double>(r[c]) * r[c];
    along += static_cast<double>(dy[c]) * p.weight[c] * r[c];
  }
  const double width = static_cast<double>(p.width), meanSquare = squares / width + p.epsilon;
  for (int64_t c = 0; c < p.width; ++c)
    dr[c] = static_cast<float>((static_cast<double>(dy[c]) * p.weight[c] - r[c] * (along / width / meanSquare)) /
                               ::sqrt(meanSquare));
}

// dr, to which `more` is added unless it is null; the row's part is added to dWeight.
SIMD_INLINE RowScale normRowGrad(const NormRow &p, const float *r, const float *dy, const float *more, float *dr,
                                 float *dWeight) {
  const int64_t width = p.width;
  const RowScale scale = scaleOf(r, width, p.epsilon);
  const bool narrow = width <= kNarrow;
  if (narrow) narrowRowGrad(p, r, dy, dr);
  // The mean of g * r_hat, where g = dy * weight and r_hat = factor r * inverse.
  const float along = scale.inverse / static_cast<float>(width) * rowSum(width, [&](int64_t c, int64_t n) {
                        return loadFirst(dy + c, n) * loadFirst(p.weight + c, n) * (loadFirst(r + c, n) * scale.factor);
                      });
  for (int64_t c = 0; c < width; c += kLanes) {
    const int64_t n = width - c;
    const Vec hat = loadFirst(r + c, n) * scale.factor * scale.inverse, d = loadFirst(dy + c, n);
    Vec out = narrow ? loadFirst(dr + c, n) : (d * loadFirst(p.weight + c, n) - hat * along) * scale.inverse * scale.factor;
    if (more) out += loadFirst(more + c, n);
    storeFirst(dr + c, out, n);
    storeFirst(dWeight + c, loadFirst(dWeight + c, n) + d * hat, n);
  }
  return scale;
}

template <typename Row>
static inline void forRowBlocks(int64_t rows, const Row &row) {
  parallelFor((rows + kRows - 1) / kRows, [&](int64_t block) {
    const int64_t end = (block + 1) * kRows < rows ? (block + 1) * kRows : rows;
    for (int64_t i = block * kRows; i < end; ++i) row(i, block);
  });
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
