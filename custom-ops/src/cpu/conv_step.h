// One step of the causal convolution with silu, as part of a block's step.
#pragma once

#include <cstring>

#include "vector_math.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

struct ConvStep {
  int64_t batch, channels, taps;
  int64_t stride;                     // of the rows of x
  const float *x, *state;             // [B,D], [B,K-1,D]
  const float *weight, *bias;         // [D,K], [D] or null
  float *y, *newState;                // y [B,D] may not alias x, newState may be state
};

static inline void convStep(const ConvStep &p) {
  const int64_t D = p.channels, back = p.taps - 1;
  for (int64_t b = 0; b < p.batch; ++b) {
    const float *x = p.x + b * p.stride, *state = p.state + b * back * D;
    float *newState = p.newState + b * back * D, *y = p.y + b * D;
    for (int64_t c = 0; c < D; ++c) {
      const float *weight = p.weight + c * p.taps;
      float sum = (p.bias ? p.bias[c] : 0.0f) + weight[back] * x[c];
      for (int64_t k = 0; k < back; ++k) sum += weight[k] * state[k * D + c];
      y[c] = sum;
    }
    for (int64_t c = 0; c < D; c += kLanes) storeFirst(y + c, silu(loadFirst(y + c, D - c)), D - c);
    if (back > 0) {
      std::memmove(newState, state + D, (back - 1) * D * sizeof(float));
      std::memcpy(newState + (back - 1) * D, x, D * sizeof(float));
    }
  }
}

// Columns [from, from+width) of rows of `stride` floats, packed.
static inline void slice(float *to, const float *rows, int64_t count, int64_t stride, int64_t from, int64_t width) {
  for (int64_t b = 0; b < count; ++b) std::memcpy(to + b * width, rows + b * stride + from, width * sizeof(float));
}

// to = a + b, which `to` may be.
SIMD_INLINE void addTo(float *to, const float *a, const float *b, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes) storeFirst(to + i, loadFirst(a + i, n - i) + loadFirst(b + i, n - i), n - i);
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
