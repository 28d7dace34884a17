// RMS normalisation, forward and backward: r = x + residual, y = r / sqrt(mean(r^2) + epsilon) * weight.
#include "../problem.h"
#include "norm_row.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

void normalizeRow(const float *r, const float *weight, float *y, int64_t width, float epsilon) {
  const RowScale scale = scaleOf(r, width, epsilon);
  for (int64_t c = 0; c < width; c += kLanes) {
    const Vec hat = loadFirst(r + c, width - c) * scale.factor * scale.inverse;
    storeFirst(y + c, hat * loadFirst(weight + c, width - c), width - c);
  }
}

void normalizeRow(float *r, int64_t width, float epsilon) {
  const RowScale scale = scaleOf(r, width, epsilon);
  for (int64_t c = 0; c < width; c += kLanes)
    storeFirst(r + c, loadFirst(r + c, width - c) * scale.factor * scale.inverse, width - c);
}

void rmsNorm(const NormForward &p) {
  forRowBlocks(p.rows, [&](int64_t row, int64_t) {
    const float *r = p.x + row * p.width;
    if (p.residual) {
      float *to = p.sum + row * p.width;
      const float *residual = p.residual + row * p.width;
      for (int64_t c = 0; c < p.width; c += kLanes)
        storeFirst(to + c, loadFirst(r + c, p.width - c) + loadFirst(residual + c, p.width - c), p.width - c);
      r = to;
    }
    normalizeRow(r, p.weight, p.y + row * p.width, p.width, p.epsilon);
  });
}

void rmsNormGrad(const NormBackward &p) {
  const int64_t width = p.width, blocks = (p.rows + kRows - 1) / kRows;
  Scratch scratch(blocks * width);
  float *partial = scratch.take(blocks * width);
  std::memset(partial, 0, blocks * width * sizeof(float));
  forRowBlocks(p.rows, [&](int64_t row, int64_t block) {
    const int64_t at = row * width;
    normRowGrad({width, p.epsilon, p.weight}, p.r + at, p.dy + at, p.dSum ? p.dSum + at : nullptr, p.dr + at,
                partial + block * width);
  });
  addSlices(p.dWeight, partial, blocks, width);
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
