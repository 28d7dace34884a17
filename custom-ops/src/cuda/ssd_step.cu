// One step of Mamba-2's scan, for decoding. Bound by memory: the state [B,H,P,N] is read and written as it lies, eight lanes to a
// channel.
#include "launch.h"
#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

constexpr int kThreads = 256, kLanes = 8;

template <int V>
__global__ void __launch_bounds__(kThreads) stepKernel(SsdStep p, int64_t channels) {
  const int64_t row = (blockIdx.x * static_cast<int64_t>(kThreads) + threadIdx.x) / kLanes;  // of [B,H,P]
  const int lane = threadIdx.x % kLanes, states = static_cast<int>(p.states);
  const bool real = row < channels;  // the others take part in the shuffles
  int64_t head = 0;
  float sum = 0;
  if (real) {
    const int64_t at = row / p.headDim, b = at / p.heads;  // in [B,H]
    head = at % p.heads;
    float delta = p.delta[at] + (p.deltaBias ? p.deltaBias[head] : 0.0f);
    if (p.softplus) delta = softplus(delta);
    delta = delta < p.deltaMin ? p.deltaMin : delta;  // in this form a NaN stays one
    delta = delta > p.deltaMax ? p.deltaMax : delta;
    const float decay = exp2Fast(delta * p.A[head] * kLog2e), x = delta * p.u[row];
    const int64_t group = (b * p.groups + head / (p.heads / p.groups)) * p.states;
    const float *B = p.B + group, *C = p.C + group, *h = p.initialState + row * p.states;
    float *to = p.newState + row * p.states;
    for (int n = lane * V; n < states; n += kLanes * V) {
      const Few<V> before = read<V>(h + n), b4 = read<V>(B + n), c4 = read<V>(C + n);
      Few<V> next;
#pragma unroll
      for (int i = 0; i < V; ++i) {
        next[i] = decay * before[i] + x * b4[i];
        sum += next[i] * c4[i];
      }
      write<V>(to + n, next);
    }
  }
  for (int mask = 1; mask < kLanes; mask *= 2) sum += __shfl_xor_sync(kFullWarp, sum, mask);
  if (!real || lane != 0) return;
  if (p.D) sum += p.u[row] * p.D[head * p.skipWidth + (p.skipWidth == 1 ? 0 : row % p.headDim)];
  p.y[row] = p.z ? sum * silu(p.z[row]) : sum;
}

}  // namespace

const char *launchSsdStep(const SsdStep &p, void *stream) {
  const int64_t channels = p.batch * p.heads * p.headDim;
  const auto run = [&](auto kernel) {
    kernel<<<blocksFor(channels * kLanes, kThreads), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(p, channels);
  };
  inFours(p.states, p.initialState, p.B, p.C, p.newState) ? run(stepKernel<4>) : run(stepKernel<1>);
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
