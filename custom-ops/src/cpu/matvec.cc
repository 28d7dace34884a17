// Products of a few rows with a matrix, for decoding. Every weight is read once from memory and that is all the time
// there is, so each task streams one stretch of the matrix as it lies. How it is cut depends on the shape alone.
#include "../problem.h"
#include "fold.h"
#include "parallel.h"
#include "simd.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

constexpr int kUnroll = 16;  // rows of the matrix at once

// y += x[i0..i1) W[i0..i1), W [in,out]: kUnroll rows of W pass through y, which stays in cache.
void addRows(const MatVec &p, const float *xs, int64_t i0, int64_t i1, float *y) {
  for (int64_t i = i0; i < i1; i += kUnroll) {
    const int64_t n = i1 - i < kUnroll ? i1 - i : kUnroll;
    const float *w = p.weight + i * p.out, *x = xs + i;
    int64_t c = 0;
    if (n == kUnroll) {
      for (; c + kLanes <= p.out; c += kLanes) {
        Vec sum = load(y + c);
#pragma GCC unroll 16
        for (int j = 0; j < kUnroll; ++j) sum += x[j] * load(w + j * p.out + c);
        store(y + c, sum);
      }
    }
    for (; c < p.out; c += kLanes) {
      Vec sum = loadFirst(y + c, p.out - c);
      for (int64_t j = 0; j < n; ++j) sum += x[j] * loadFirst(w + j * p.out + c, p.out - c);
      storeFirst(y + c, sum, p.out - c);
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
  constexpr int64_t kPiece = 1 << 14;  // at least so many weights a task: less is not worth a hand-over
  const auto largest = [](int64_t a, int64_t b) { return a > b ? a : b; };
  if (p.transposed) {
    const int64_t piece = 4 * kPiece / p.in + 1;
    parallelFor((p.out + piece - 1) / piece, [&](int64_t task) {
      dots(p, task * piece, (task + 1) * piece < p.out ? (task + 1) * piece : p.out);
    });
    return;
  }
  // Sums over in are cut too, so each task has a row of partial sums for each row of x: few beside the weights it reads.
  const int64_t least = largest(largest(kPiece / p.out, p.rows), largest(p.in / 16, 2 * kUnroll));
  const int64_t piece = (least + kUnroll - 1) / kUnroll * kUnroll;
  const int64_t tasks = (p.in + piece - 1) / piece, sums = p.rows * p.out;
  Scratch scratch(tasks * sums);
  float *partial = scratch.take(tasks * sums);
  parallelFor(tasks, [&](int64_t task) {
    const int64_t end = (task + 1) * piece < p.in ? (task + 1) * piece : p.in;
    for (int64_t r = 0; r < p.rows; ++r) {
      float *y = partial + task * sums + r * p.out;
      if (task == 0 && p.bias)
        std::memcpy(y, p.bias, p.out * sizeof(float));
      else
        std::memset(y, 0, p.out * sizeof(float));
      addRows(p, p.x + r * p.in, task * piece, end, y);
    }
  });
  addSlices(p.y, partial, tasks, sums);
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
