// Products of a few rows with a matrix, for decoding. Every weight is read once from memory and that is all the time
// there is, so weights are streamed in the order they lie in; the outputs are cut among the threads, never a sum.
#include "../problem.h"
#include "parallel.h"
#include "simd.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

constexpr int kUnroll = 8;  // streams of weights at once

// Columns [c0,c1) of y += x W, W [in,out]: kUnroll rows of W pass through a stretch of y that stays in cache.
void columns(const MatVec &p, int64_t c0, int64_t c1) {
  for (int64_t r = 0; r < p.rows; ++r)
    for (int64_t c = c0; c < c1; c += kLanes)
      storeFirst(p.y + r * p.out + c, p.bias ? loadFirst(p.bias + c, c1 - c) : Vec{}, c1 - c);
  for (int64_t i = 0; i < p.in; i += kUnroll) {
    const int64_t n = p.in - i < kUnroll ? p.in - i : kUnroll;
    const float *w = p.weight + i * p.out;
    for (int64_t r = 0; r < p.rows; ++r) {
      const float *x = p.x + r * p.in + i;
      float *y = p.y + r * p.out;
      int64_t c = c0;
      if (n == kUnroll) {
        for (; c + kLanes <= c1; c += kLanes) {
          Vec sum = load(y + c);
#pragma GCC unroll 8
          for (int j = 0; j < kUnroll; ++j) sum += x[j] * load(w + j * p.out + c);
          store(y + c, sum);
        }
      }
      for (; c < c1; c += kLanes) {
        Vec sum = loadFirst(y + c, c1 - c);
        for (int64_t j = 0; j < n; ++j) sum += x[j] * loadFirst(w + j * p.out + c, c1 - c);
        storeFirst(y + c, sum, c1 - c);
      }
    }
  }
}

// Outputs [o0,o1) of y = W x, W [out,in]: dot products of whole rows.
void dots(const MatVec &p, int64_t o0, int64_t o1) {
  for (int64_t o = o0; o < o1; ++o) {
    const float *w = p.weight + o * p.in;
    for (int64_t r = 0; r < p.rows; ++r) {
      const float *x = p.x + r * p.in;
      Vec sums[4] = {};
      int64_t i = 0;
      for (; i + 4 * kLanes <= p.in; i += 4 * kLanes)
        for (int j = 0; j < 4; ++j) sums[j] += load(w + i + j * kLanes) * load(x + i + j * kLanes);
      for (; i < p.in; i += kLanes) sums[0] += loadFirst(w + i, p.in - i) * loadFirst(x + i, p.in - i);
      p.y[r * p.out + o] = sum((sums[0] + sums[1]) + (sums[2] + sums[3])) + (p.bias ? p.bias[o] : 0.0f);
    }
  }
}

}  // namespace

void matVec(const MatVec &p) {
  // Pieces of about 64 KB of weights: less is not worth a hand-over; and not more than the first cache holds of y.
  int64_t piece = p.in > 0 ? (1 << 14) / p.in : p.out;
  if (!p.transposed) {
    const int64_t share = (p.out + threadCount() - 1) / threadCount();
    piece = share > piece ? share : piece;
    if (piece > 2048) piece = 2048;
  }
  piece = (piece < 1 ? 1 : piece) + kLanes - 1;
  piece -= piece % kLanes;
  parallelFor((p.out + piece - 1) / piece, [&](int64_t task) {
    const int64_t begin = task * piece, end = begin + piece < p.out ? begin + piece : p.out;
    p.transposed ? dots(p, begin, end) : columns(p, begin, end);
  });
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
