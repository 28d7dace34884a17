// One step of the recurrence, for decoding. Bound by memory: the state [B,D,N] is read and written as it lies, four
// lanes to a channel.
#include <algorithm>

#include "launch.h"
#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

constexpr int kThreads = 256, kLanes = 4;

template <typename T, int V>
__global__ void __launch_bounds__(kThreads)
    updateKernel(StateUpdate p, const T *u, const T *deltas, const T *Bs, const T *Cs, const T *z, T *y) {
  const int d = (blockIdx.x * kThreads + threadIdx.x) / kLanes, lane = threadIdx.x % kLanes;
  const int channels = static_cast<int>(p.channels), states = static_cast<int>(p.states);
  const bool real = d < channels;  // the others take part in the shuffles
  for (int64_t b = blockIdx.y; b < p.batch; b += gridDim.y) {
    const int64_t row = b * channels + d;
    float sum = 0;
    if (real) {
      float delta = static_cast<float>(deltas[row]) + (p.deltaBias ? p.deltaBias[d] : 0.0f);
      if (p.softplus) delta = softplus(delta);
      const float deltaU = delta * static_cast<float>(u[row]), delta2 = delta * kLog2e;
      const int groupsB = static_cast<int>(p.groupsB), groupsC = static_cast<int>(p.groupsC);
      const T *B = Bs + (p.constantB ? d : b * groupsB + d / (channels / groupsB)) * states;
      const T *C = Cs + (p.constantC ? d : b * groupsC + d / (channels / groupsC)) * states;
      const float *A = p.A + static_cast<int64_t>(d) * states, *h = p.state + row * states;
      float *to = p.newState + row * states;
      for (int n = lane * V; n < states; n += kLanes * V) {
        const Few<V> a = read<V>(A + n), before = read<V>(h + n), b4 = read<V>(B + n), c4 = read<V>(C + n);
        Few<V> next;
#pragma unroll
        for (int i = 0; i < V; ++i) {
          next[i] = exp2Fast(delta2 * a[i]) * before[i] + deltaU * b4[i];
          sum += next[i] * c4[i];
        }
        write<V>(to + n, next);
      }
    }
    for (int mask = 1; mask < kLanes; mask *= 2) sum += __shfl_xor_sync(kFullWarp, sum, mask);
    if (!real || lane != 0) continue;
    if (p.D) sum += static_cast<float>(u[row]) * p.D[d];
    y[row] = static_cast<T>(z ? sum * silu(static_cast<float>(z[row])) : sum);
  }
}

}  // namespace

const char *launchStateUpdate(const StateUpdate &p, void *stream) {
  const dim3 blocks(blocksFor(p.channels * kLanes, kThreads), static_cast<unsigned>(std::min<int64_t>(p.batch, 65535)));
  const auto run = [&](auto kernel) {
    kernel<<<blocks, kThreads, 0, static_cast<cudaStream_t>(stream)>>>(p, p.u, p.delta, p.B, p.C, p.z, p.y);
  };
  inFours(p.states, p.state, p.A, p.B, p.C, p.newState) ? run(updateKernel<float, 4>) : run(updateKernel<float, 1>);
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
