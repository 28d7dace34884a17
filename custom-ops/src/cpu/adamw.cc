// AdamW (Loshchilov & Hutter, arXiv 1711.05101) over a whole list of variables in one call. Seven floats go through
// memory for each weight and nothing else matters, so the list is cut into even pieces whatever its tensors' sizes.
#include "../problem.h"
#include "parallel.h"
#include "simd.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

constexpr int64_t kPiece = 1 << 15;

SIMD_INLINE Vec squareRoot(Vec v) {
#if defined(__AVX512F__)
  return (Vec)_mm512_sqrt_ps((__m512)v);
#else
  Vec r;
  for (int i = 0; i < kLanes; ++i) r[i] = __builtin_sqrtf(v[i]);
  return r;
#endif
}

void updatePiece(const AdamWProblem &p, const AdamWTensor &t, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += kLanes) {
    const int64_t n = end - i;
    const Vec g = loadFirst(t.grad + i, n) * p.gradScale;
    const Vec m = loadFirst(t.m + i, n) * p.beta1 + g * (1.0f - p.beta1);
    const Vec v = loadFirst(t.v + i, n) * p.beta2 + g * g * (1.0f - p.beta2);
    const Vec step = (m / p.correction1) / (squareRoot(v / p.correction2) + p.epsilon);
    storeFirst(t.newParam + i, loadFirst(t.param + i, n) * t.decay - step * t.learningRate, n);
    storeFirst(t.newM + i, m, n);
    storeFirst(t.newV + i, v, n);
  }
}

}  // namespace

void adamW(const AdamWProblem &p) {
  int64_t pieces = 0;
  for (int64_t i = 0; i < p.count; ++i) pieces += (p.tensors[i].size + kPiece - 1) / kPiece;
  parallelFor(pieces, [&](int64_t piece) {
    int64_t i = 0;
    for (int64_t own; piece >= (own = (p.tensors[i].size + kPiece - 1) / kPiece); ++i) piece -= own;
    const AdamWTensor &t = p.tensors[i];
    const int64_t begin = piece * kPiece;
    updatePiece(p, t, begin, begin + kPiece < t.size ? begin + kPiece : t.size);
  });
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
