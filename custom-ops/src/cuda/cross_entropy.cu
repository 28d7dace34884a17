// Mean cross entropy of logits against labels, and its gradient, without the matrix of probabilities. Bound by memory:
// the logits are read once in each direction. A label outside [0,classes) cannot be an error here without waiting for
// the device: its row does not count.
#include <cfloat>

#include "launch.h"
#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

constexpr int kThreads = 512;

template <typename Problem>
__device__ inline bool counts(const Problem &p, int64_t row) {
  const int32_t label = p.labels[row];
  return label != p.ignore && label >= 0 && label < p.classes;
}

// sum over what was seen of 2^(x - top), x in units of ln 2.
struct Running {
  float top, sum;
};

// Not minus infinity, which a masked logit may be: its distance to itself is NaN.
__device__ inline Running nothing() { return {-FLT_MAX, 0}; }

__device__ inline Running merge(Running a, Running b) {
  const float top = fmaxf(a.top, b.top);
  return {top, a.sum * exp2Fast(a.top - top) + b.sum * exp2Fast(b.top - top)};
}

__device__ inline Running warpMerge(Running x) {
#pragma unroll
  for (int mask = 16; mask > 0; mask /= 2)
    x = merge(x, {__shfl_xor_sync(kFullWarp, x.top, mask), __shfl_xor_sync(kFullWarp, x.sum, mask)});
  return x;
}

template <typename T, int V>
__global__ void __launch_bounds__(kThreads) entropyKernel(EntropyForward p, const T *logits) {
  __shared__ Running parts[kThreads / 32];
  const T *x = logits + blockIdx.x * p.classes;
  Running own = nothing();
#pragma unroll 4
  for (int64_t c = threadIdx.x * V; c < p.classes; c += kThreads * V) {
    const Few<V> few = read<V>(x + c);
    float top = few[0];
#pragma unroll
    for (int i = 1; i < V; ++i) top = fmaxf(top, few[i]);
    top *= kLog2e;
    if (top > own.top) own.sum *= exp2Fast(own.top - top), own.top = top;
#pragma unroll
    for (int i = 0; i < V; ++i) own.sum += exp2Fast(few[i] * kLog2e - own.top);
  }
  own = warpMerge(own);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = own;
  __syncthreads();
  if (threadIdx.x >= 32) return;
  own = warpMerge(threadIdx.x < kThreads / 32 ? parts[threadIdx.x] : nothing());
  if (threadIdx.x == 0) p.logSumExp[blockIdx.x] = (own.top + log2f(own.sum)) / kLog2e;
}

// One block: the mean over the rows that count.
template <typename T>
__global__ void __launch_bounds__(kThreads) lossKernel(EntropyForward p, const T *logits) {
  double loss = 0;
  int64_t count = 0;
  for (int64_t row = threadIdx.x; row < p.rows; row += kThreads) {
    if (!counts(p, row)) continue;
    loss += static_cast<double>(p.logSumExp[row]) - static_cast<float>(logits[row * p.classes + p.labels[row]]);
    ++count;
  }
  loss = blockSum(loss), count = blockSum(count);
  if (threadIdx.x == 0) *p.loss = count ? static_cast<float>(loss / static_cast<double>(count)) : 0.0f;
}

// One block: the gradient of a row's own loss.
__global__ void __launch_bounds__(kThreads) scaleKernel(EntropyBackward p, float *scale) {
  int64_t count = 0;
  for (int64_t row = threadIdx.x; row < p.rows; row += kThreads) count += counts(p, row);
  count = blockSum(count);
  if (threadIdx.x == 0) *scale = count ? *p.dLoss / static_cast<float>(count) : 0.0f;
}

template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
    entropyGradKernel(EntropyBackward p, const T *logits, T *dLogits, const float *scaleOfRow) {
  const int64_t row = blockIdx.x;
  const T *x = logits + row * p.classes;
  T *to = dLogits + row * p.classes;
  const int32_t label = p.labels[row];
  const bool counted = counts(p, row);
  const float scale = *scaleOfRow, lse = p.logSumExp[row];
#pragma unroll 4
  for (int64_t c = threadIdx.x * V; c < p.classes; c += kThreads * V) {
    Few<V> d{};
    if (counted) {
      const Few<V> few = read<V>(x + c);
#pragma unroll
      for (int i = 0; i < V; ++i) {
        // p - 1 in one go for the label: where p is close to 1 the difference of rounded numbers would be noise.
        d[i] = (c + i == label ? expm1f(few[i] - lse) : exp2Fast((few[i] - lse) * kLog2e)) * scale;
      }
    }
    write<V>(to + c, d);
  }
}

}  // namespace

const char *launchCrossEntropy(const EntropyForward &p, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  const unsigned rows = static_cast<unsigned>(p.rows);
  if (rows > 0) {
    inFours(p.classes, p.logits) ? entropyKernel<float, 4><<<rows, kThreads, 0, stream>>>(p, p.logits)
                                 : entropyKernel<float, 1><<<rows, kThreads, 0, stream>>>(p, p.logits);
  }
  lossKernel<<<1, kThreads, 0, stream>>>(p, p.logits);
  return lastError();
}

const char *launchCrossEntropyGrad(const EntropyBackward &p, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  const unsigned rows = static_cast<unsigned>(p.rows);
  if (rows == 0) return nullptr;
  scaleKernel<<<1, kThreads, 0, stream>>>(p, workspace);
  const auto run = [&](auto kernel) { kernel<<<rows, kThreads, 0, stream>>>(p, p.logits, p.dLogits, workspace); };
  inFours(p.classes, p.logits, p.dLogits) ? run(entropyGradKernel<float, 4>) : run(entropyGradKernel<float, 1>);
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
