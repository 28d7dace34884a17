// Adds up what blocks have left in memory.
#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

constexpr int kWarpsPerBlock = 16;

// A warp reads 32 neighbours of a slice; the warps of a block share out the slices, for there may be hundreds of them
// and few columns.
__global__ void addKernel(float *out, const float *from, int64_t slices, int64_t rows, int64_t columns) {
  __shared__ float sums[kWarpsPerBlock][32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int64_t size = rows * columns, i = static_cast<int64_t>(blockIdx.x) * 32 + lane;
  float sum = 0;
  if (i < size) {
#pragma unroll 8
    for (int64_t s = warp; s < slices; s += kWarpsPerBlock) sum += from[s * size + i];
  }
  sums[warp][lane] = sum;
  __syncthreads();
  if (warp != 0 || i >= size) return;
  for (int w = 1; w < kWarpsPerBlock; ++w) sum += sums[w][lane];
  out[i % columns * rows + i / columns] = sum;
}

}  // namespace

void addSlices(float *out, const float *from, int64_t slices, int64_t rows, int64_t columns, cudaStream_t stream) {
  if (!out || rows * columns == 0) return;
  addKernel<<<blocksFor(rows * columns, 32), 32 * kWarpsPerBlock, 0, stream>>>(out, from, slices, rows, columns);
}

}  // namespace cuda
}  // namespace tfjs_mamba
