// RMS normalisation, forward and backward: r = x + residual, y = r / sqrt(mean(r^2) + epsilon) * weight. Bound by
// memory; a block takes whole rows, and what it reads a second time is in its cache.
#include <algorithm>

#include "launch.h"
#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kNarrow = 16;
constexpr int kSharedFloats = 12 * 1024;  // what a block may have without asking

template <typename T, int V>
__global__ void __launch_bounds__(kThreads) normKernel(NormForward p, const T *x, T *y) {
  const int64_t row = blockIdx.x, begin = row * p.width;
  float squares = 0;
  for (int64_t c = threadIdx.x * V; c < p.width; c += kThreads * V) {
    Few<V> r = read<V>(x + begin + c);
    if (p.residual) {
      const Few<V> residual = read<V>(p.residual + begin + c);
#pragma unroll
      for (int i = 0; i < V; ++i) r[i] += residual[i];
      write<V>(p.sum + begin + c, r);
    }
#pragma unroll
    for (int i = 0; i < V; ++i) squares += r[i] * r[i];
  }
  const float scale = rsqrtf(blockSum(squares) / static_cast<float>(p.width) + p.epsilon);
  for (int64_t c = threadIdx.x * V; c < p.width; c += kThreads * V) {
    Few<V> r = p.residual ? read<V>(p.sum + begin + c) : read<V>(x + begin + c);
    const Few<V> weight = read<V>(p.weight + c);
#pragma unroll
    for (int i = 0; i < V; ++i) r[i] *= scale * weight[i];
    write<V>(y + begin + c, r);
  }
}

// Rows blockIdx.x, blockIdx.x + gridDim.x, ... and their sum for the weight's gradient, in shared memory or, if the row
// is too wide for that, at its place in `partial` [blocks,width]. Sum is double for a few channels: dr is what of g =
// dy * weight is not along r, and when there is little else than that, the float32 difference is noise.
template <typename T, typename Sum, int V>
__global__ void __launch_bounds__(kThreads)
    normGradKernel(NormBackward p, const T *rs, const T *dys, T *dr, float *partial) {
  extern __shared__ float4 memory[];
  partial += blockIdx.x * p.width;
  const bool shared = p.width <= kSharedFloats;
  float *dWeight = shared ? reinterpret_cast<float *>(memory) : partial;
  const Few<V> zero{};
  for (int64_t c = threadIdx.x * V; c < p.width; c += kThreads * V) write<V>(dWeight + c, zero);
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const int64_t begin = row * p.width;
    Sum squares = 0, along = 0;
    for (int64_t c = threadIdx.x * V; c < p.width; c += kThreads * V) {
      const Few<V> r = read<V>(rs + begin + c), dy = read<V>(dys + begin + c), weight = read<V>(p.weight + c);
#pragma unroll
      for (int i = 0; i < V; ++i) {
        squares += static_cast<Sum>(r[i]) * r[i];
        along += static_cast<Sum>(dy[i]) * weight[i] * r[i];
      }
    }
    const Sum width = static_cast<Sum>(p.width), meanSquare = blockSum(squares) / width + p.epsilon;
    const Sum share = blockSum(along) / width / meanSquare, scale = 1 / sqrt(meanSquare);
    for (int64_t c = threadIdx.x * V; c < p.width; c += kThreads * V) {
      const Few<V> r = read<V>(rs + begin + c), dy = read<V>(dys + begin + c), weight = read<V>(p.weight + c);
      Few<V> out{}, sum = read<V>(dWeight + c);
      if (p.dSum) out = read<V>(p.dSum + begin + c);
#pragma unroll
      for (int i = 0; i < V; ++i) {
        out[i] += static_cast<float>((static_cast<Sum>(dy[i]) * weight[i] - r[i] * share) * scale);
        sum[i] += dy[i] * r[i] * static_cast<float>(scale);
      }
      write<V>(dr + begin + c, out);
      write<V>(dWeight + c, sum);
    }
  }
  if (!shared) return;
  for (int64_t c = threadIdx.x * V; c < p.width; c += kThreads * V) write<V>(partial + c, read<V>(dWeight + c));
}

int64_t gradBlocks(const NormBackward &p, int multiprocessors) {
  return std::min<int64_t>(p.rows, 4 * multiprocessors);
}

}  // namespace

const char *launchRmsNorm(const NormForward &p, void *stream) {
  if (p.rows == 0) return nullptr;
  const auto run = [&](auto kernel) {
    kernel<<<static_cast<unsigned>(p.rows), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(p, p.x, p.y);
  };
  inFours(p.width, p.x, p.weight, p.residual, p.y, p.sum) ? run(normKernel<float, 4>) : run(normKernel<float, 1>);
  return lastError();
}

size_t rmsNormGradWorkspace(const NormBackward &p, int multiprocessors) {
  return static_cast<size_t>(gradBlocks(p, multiprocessors) * p.width);
}

const char *launchRmsNormGrad(const NormBackward &p, int multiprocessors, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  const int64_t blocks = gradBlocks(p, multiprocessors);
  const size_t bytes = p.width <= kSharedFloats ? p.width * sizeof(float) : 0;
  const auto run = [&](auto kernel) {
    kernel<<<static_cast<unsigned>(blocks), kThreads, bytes, stream>>>(p, p.r, p.dy, p.dr, workspace);
  };
  const bool fours = inFours(p.width, p.r, p.weight, p.dy, p.dSum, p.dr, workspace);
  if (blocks == 0)
    ;  // the weight's gradient is zero
  else if (p.width <= kNarrow)
    run(normGradKernel<float, double, 1>);
  else
    fours ? run(normGradKernel<float, float, 4>) : run(normGradKernel<float, float, 1>);
  addSlices(p.dWeight, workspace, blocks, 1, p.width, stream);
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
