// What a row of a root-mean-square norm is divided by.
#pragma once

#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {

// 1 / sqrt(mean((factor r)^2) + factor^2 epsilon); the factor is 1 unless squares leave float32.
template <typename Sum>
struct RowScale {
  Sum factor, inverse;

  // `squares(factor)` gives a thread's sum of squares, `first` being that of factor 1.
  template <typename Squares>
  __device__ RowScale(Sum first, int64_t width, float epsilon, const Squares &squares) : factor(1) {
    const Sum count = static_cast<Sum>(width);
    Sum total = blockSum(first);
    if (sizeof(Sum) == sizeof(float) && !(total < 3e38f && total / count + epsilon > 1e-30f)) {
      factor = total > 1 ? 0x1p-80f : 0x1p80f;
      total = blockSum(squares(factor));
    }
    inverse = 1 / sqrt(total / count + epsilon * factor * factor);
  }
  // In this order, as the product of both may be too small.
  __device__ Sum operator()(float r) const { return r * factor * inverse; }
};

}  // namespace cuda
}  // namespace tfjs_mamba
