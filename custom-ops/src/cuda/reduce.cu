// Adds up what blocks have left in memory.
#include "early.cuh"
#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

constexpr int kWarpsPerBlock = 16;

struct SliceSums {
  SliceSum of[kMostSums];
  unsigned blocks[kMostSums];  // up to the end of each
};

// A warp reads 32 neighbours of a slice; the warps of a block share out the slices, for there may be hundreds of them
// and few columns.
__global__ void addKernel(SliceSums all) {
  __shared__ float sums[kWarpsPerBlock][32];
  int which = 0;
  while (blockIdx.x >= all.blocks[which]) ++which;
  const auto [out, from, slices, rows, columns] = all.of[which];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const unsigned block = blockIdx.x - (which > 0 ? all.blocks[which - 1] : 0);
  const int64_t size = rows * columns, i = static_cast<int64_t>(block) * 32 + lane;
  float sum = 0;
  awaitLast();
  letNextBegin();
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

void addSlices(std::initializer_list<SliceSum> sums, cudaStream_t stream) {
  SliceSums all{};
  unsigned blocks = 0;
  int count = 0;
  for (const SliceSum &sum : sums) {
    if (!sum.out || sum.rows * sum.columns == 0) continue;
    all.of[count] = sum;
    all.blocks[count++] = blocks += blocksFor(sum.rows * sum.columns, 32);
  }
  if (count > 0) launchEarly(addKernel, blocks, 32 * kWarpsPerBlock, 0, stream, all);
}

}  // namespace cuda
}  // namespace tfjs_mamba
