// Products of a few rows with a matrix, as parts of kernels. Every weight is read once from memory and that is all the
// time there is.
#pragma once

#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {

constexpr int kProductRows = 4;  // of x at a time; more are work for further blocks
constexpr int kProductThreads = 512, kProductLanes = 2, kProductSlices = kProductThreads / kProductLanes;

template <int V>
constexpr int kProductColumns = kProductLanes * V;

// y [rows,out] = x [rows,in] W for up to kProductRows rows, W [in,out], over rows [begin,end) of W: a block takes the
// kProductColumns<V> columns at blockIdx.x, as few as fill the unit that memory is read by, and shares out the rows of
// W, so that even a narrow matrix occupies many blocks; their sums meet in shared memory. x(row, i) gives an input,
// from wherever it lies or as it is made; store(row, column, sum) is called once for each result. All kProductThreads
// threads of the block must call it, once.
template <int V, typename T, typename X, typename Store>
__device__ inline void product(const X &x, const T *weight, int64_t rows, int64_t begin, int64_t end, int64_t out,
                               const Store &store) {
  constexpr int kColumns = kProductColumns<V>, kWarps = kProductThreads / 32;
  __shared__ float sums[kWarps][kProductRows][kColumns];
  const int lane = threadIdx.x % kProductLanes, slice = threadIdx.x / kProductLanes;
  const int64_t block = static_cast<int64_t>(blockIdx.x) * kColumns, c = block + lane * V;
  float sum[kProductRows][V] = {};
  if (c < out) {
#pragma unroll 4
    for (int64_t i = begin + slice; i < end; i += kProductSlices) {
      const Few<V> w = read<V>(weight + i * out + c);
#pragma unroll
      for (int r = 0; r < kProductRows; ++r) {
        if (r >= rows) break;
        const float each = x(r, i);
#pragma unroll
        for (int k = 0; k < V; ++k) sum[r][k] += each * w[k];
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kProductRows; ++r)
#pragma unroll
    for (int k = 0; k < V; ++k) {
      float s = sum[r][k];
      for (int mask = 16; mask >= kProductLanes; mask /= 2) s += __shfl_xor_sync(kFullWarp, s, mask);
      if (threadIdx.x % 32 < kProductLanes) sums[threadIdx.x / 32][r][lane * V + k] = s;
    }
  __syncthreads();
  const int r = threadIdx.x / kColumns, column = threadIdx.x % kColumns;
  if (r >= rows || r >= kProductRows || block + column >= out) return;
  float total = 0;
  for (int w = 0; w < kWarps; ++w) total += sums[w][r][column];
  store(r, block + column, total);
}

}  // namespace cuda
}  // namespace tfjs_mamba
