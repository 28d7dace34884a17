// AdamW (Loshchilov & Hutter, arXiv 1711.05101) over a whole list of variables in one call, and the norm of such a list.
// Seven floats go through memory for each weight and nothing else matters, so the list is cut into even pieces whatever
// its tensors' sizes.
#include <cmath>

#include "../problem.h"
#include "fold.h"
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

int64_t piecesOf(int64_t size) { return (size + kPiece - 1) / kPiece; }

template <typename Tensor>
int64_t countPieces(const Tensor *tensors, int64_t count) {
  int64_t pieces = 0;
  for (int64_t i = 0; i < count; ++i) pieces += piecesOf(tensors[i].size);
  return pieces;
}

// use(tensor, begin, end) for a piece counted from the first tensor on.
template <typename Tensor, typename Use>
void withPiece(const Tensor *tensor, int64_t piece, const Use &use) {
  for (; piece >= piecesOf(tensor->size); ++tensor) piece -= piecesOf(tensor->size);
  const int64_t begin = piece * kPiece;
  use(*tensor, begin, begin + kPiece < tensor->size ? begin + kPiece : tensor->size);
}

void updatePiece(const AdamWProblem &p, const AdamWTensor &t, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += kLanes) {
    const int64_t n = end - i;
    const Vec g = loadFirst(t.grad + i, n) * p.gradScale;
    const Vec m = loadFirst(t.m + i, n) * p.beta1 + g * p.rest1;
    const Vec v = loadFirst(t.v + i, n) * p.beta2 + g * g * p.rest2;
    const Vec step = p.stepSize * m / (squareRoot(v) * p.rootScale + p.epsilon);
    storeFirst(t.newParam + i, loadFirst(t.param + i, n) * t.kept - step, n);
    storeFirst(t.newM + i, m, n);
    storeFirst(t.newV + i, v, n);
  }
}

// A long sum is closed every 64 vectors and carried on in double precision.
double sumOfSquares(const float *x, int64_t begin, int64_t end) {
  double total = 0;
  while (begin < end) {
    const int64_t stop = begin + 64 * kLanes < end ? begin + 64 * kLanes : end;
    Vec part{};
    for (; begin < stop; begin += kLanes) {
      const Vec v = loadFirst(x + begin, stop - begin);
      part += v * v;
    }
    total += sum(part);
    begin = stop;
  }
  return total;
}

}  // namespace

void adamW(const AdamWProblem &p) {
  parallelFor(countPieces(p.tensors, p.count), [&](int64_t piece) {
    withPiece(p.tensors, piece, [&](const AdamWTensor &t, int64_t begin, int64_t end) { updatePiece(p, t, begin, end); });
  });
}

void globalNorm(const GlobalNorm &p) {
  const int64_t pieces = countPieces(p.tensors, p.count);
  Scratch scratch(2 * pieces);
  double *sums = reinterpret_cast<double *>(scratch.take(2 * pieces)), total = 0;
  parallelFor(pieces, [&](int64_t piece) {
    withPiece(p.tensors, piece, [&](const NormTensor &t, int64_t begin, int64_t end) {
      sums[piece] = sumOfSquares(t.values, begin, end);
    });
  });
  for (int64_t i = 0; i < pieces; ++i) total += sums[i];
  *p.norm = static_cast<float>(::sqrt(total));
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
