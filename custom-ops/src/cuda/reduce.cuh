// Sums over warps, over blocks and over the partial results of blocks, each in one fixed order: no atomics, the same
// bits every time.
#pragma once

#include <initializer_list>

#include "functions.cuh"

namespace tfjs_mamba {
namespace cuda {

constexpr unsigned kFullWarp = 0xffffffffu;

// Every lane gets the result, combined in the same tree.
template <typename T, typename Combine>
__device__ inline T warpReduce(T x, const Combine &combine) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2) x = combine(x, __shfl_xor_sync(kFullWarp, x, mask));
  return x;
}

// Every thread of a block of whole warps, at most 1024 threads, gets the sum. All must call it.
template <typename T>
__device__ inline T blockSum(T x) {
  __shared__ T sums[32];
  const auto add = [](T a, T b) { return a + b; };
  x = warpReduce(x, add);
  __syncthreads();  // the room may still be read from the last call
  if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = x;
  __syncthreads();
  return warpReduce(threadIdx.x % 32 < blockDim.x / 32 ? sums[threadIdx.x % 32] : T(0), add);
}

// out [columns,rows] = the sum of `slices` slices [rows,columns]; a null `out` is nobody's.
struct SliceSum {
  float *out;
  const float *from;
  int64_t slices, rows, columns;
};

// At most kMostSums of them, in one launch.
constexpr int kMostSums = 5;
void addSlices(std::initializer_list<SliceSum> sums, cudaStream_t stream);
inline void addSlices(float *out, const float *from, int64_t slices, int64_t rows, int64_t columns,
                      cudaStream_t stream) {
  addSlices({{out, from, slices, rows, columns}}, stream);
}

}  // namespace cuda
}  // namespace tfjs_mamba
