// The product of a model's step with a matrix in whatever form it is held.
#pragma once

#include "../problem.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

void matVec(const MatVec &p);
void packedMatVec(const PackedMatVec &p);

// y[r] = x[r] W (+ bias). Floats of a table are [out,in].
static inline void project(const Matrix &w, int64_t rows, int64_t in, int64_t out, const float *x, const float *bias,
                           float *y, bool isTable = false) {
  if (w.floats)
    matVec({rows, in, out, isTable, x, w.floats, bias, y});
  else
    packedMatVec({rows, in, out, x, w.words, w.scales, bias, y});
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
