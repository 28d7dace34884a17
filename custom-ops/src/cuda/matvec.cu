// Products of a few rows with a matrix, for decoding.
#include "launch.h"
#include "matvec.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

template <typename T, int V>
__global__ void __launch_bounds__(kProductThreads) columnsKernel(MatVec p, const T *weight) {
  const int64_t first = static_cast<int64_t>(blockIdx.y) * kProductRows;
  product<V>([&](int row, int64_t i) { return p.x[(first + row) * p.in + i]; }, weight, p.rows - first, 0, p.in, p.out,
             [&](int64_t row, int64_t column, float sum) {
               p.y[(first + row) * p.out + column] = p.bias ? sum + p.bias[column] : sum;
             });
}

constexpr int kDotThreads = 128, kDotWarps = kDotThreads / 32;

// W [out,in]: a warp to a row of W, which is one dot product for each row of x.
template <typename T, int V>
__global__ void __launch_bounds__(kDotThreads) dotsKernel(MatVec p, const T *weight) {
  const int64_t o = static_cast<int64_t>(blockIdx.x) * kDotWarps + threadIdx.x / 32;
  const int64_t first = static_cast<int64_t>(blockIdx.y) * kProductRows;
  const int lane = threadIdx.x % 32;
  if (o >= p.out) return;
  float sum[kProductRows] = {};
#pragma unroll 4
  for (int64_t i = lane * V; i < p.in; i += 32 * V) {
    const Few<V> w = read<V>(weight + o * p.in + i);
#pragma unroll
    for (int r = 0; r < kProductRows; ++r) {
      if (first + r >= p.rows) break;
      const Few<V> x = read<V>(p.x + (first + r) * p.in + i);
#pragma unroll
      for (int k = 0; k < V; ++k) sum[r] += w[k] * x[k];
    }
  }
#pragma unroll
  for (int r = 0; r < kProductRows; ++r) {
    const float total = warpReduce(sum[r], [](float a, float b) { return a + b; });
    if (lane == 0 && first + r < p.rows) p.y[(first + r) * p.out + o] = p.bias ? total + p.bias[o] : total;
  }
}

}  // namespace

const char *launchMatVec(const MatVec &p, void *stream) {
  if (p.rows == 0 || p.out == 0) return nullptr;
  const auto run = [&](auto kernel, int outputs, int threads) {
    const dim3 blocks(blocksFor(p.out, outputs), blocksFor(p.rows, kProductRows));
    kernel<<<blocks, threads, 0, static_cast<cudaStream_t>(stream)>>>(p, p.weight);
  };
  if (p.transposed)
    inFours(p.in, p.weight, p.x) ? run(dotsKernel<float, 4>, kDotWarps, kDotThreads)
                                 : run(dotsKernel<float, 1>, kDotWarps, kDotThreads);
  else
    inFours(p.out, p.weight) ? run(columnsKernel<float, 4>, kProductColumns<4>, kProductThreads)
                             : run(columnsKernel<float, 1>, kProductColumns<1>, kProductThreads);
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
