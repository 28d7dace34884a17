// One step of the recurrence, for decoding. Bound by memory: the state [B,D,N] is read and written as it lies, once, four lanes to
// a channel. With many rows a thread has four of them under way, and each of its four lanes does for one of these what is done
// once for a row and channel.
#include <algorithm>

#include "launch.h"
#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

constexpr int kThreads = 128, kLanes = 4;

// Past the caches: a state is not read again before it has left them.
template <int V>
__device__ inline Few<V> readOnce(const float *from) {
  Few<V> few;
  if constexpr (V == 4) {
    const float4 v = __ldcs(reinterpret_cast<const float4 *>(from));
    few[0] = v.x, few[1] = v.y, few[2] = v.z, few[3] = v.w;
  } else {
    few[0] = __ldcs(from);
  }
  return few;
}

template <int V>
__device__ inline void writeOnce(float *to, const Few<V> &few) {
  if constexpr (V == 4) {
    __stcs(reinterpret_cast<float4 *>(to), make_float4(few[0], few[1], few[2], few[3]));
  } else {
    __stcs(to, few[0]);
  }
}

// What a thread reads of kRows sequences for V states.
template <typename T, int V, int kRows>
struct Reads {
  Few<V> A, h[kRows], B[kRows], C[kRows];
};

// kRows is 1 or kLanes. perB and perC: channels of a group. Everything a thread needs for its first states, and for most shapes
// there are no others, is asked for before it works on any of it.
template <typename T, int V, int kRows>
__global__ void __launch_bounds__(kThreads, kRows == 1 ? 8 : 4)
    updateKernel(StateUpdate p, unsigned perB, unsigned perC, const T *u, const T *deltas, const T *Bs, const T *Cs,
                 const T *z, T *y) {
  const unsigned channels = static_cast<unsigned>(p.channels), states = static_cast<unsigned>(p.states);
  const unsigned place = (blockIdx.x * kThreads + threadIdx.x) / kLanes, lane = threadIdx.x % kLanes;
  const unsigned d = min(place, channels - 1);  // those beyond go along with the last one and store nothing
  const unsigned groupB = perB == channels ? 0 : d / perB, groupC = perC == channels ? 0 : d / perC;
  const int64_t stride = static_cast<int64_t>(channels) * states;
  for (int64_t first = static_cast<int64_t>(blockIdx.y) * kRows; first < p.batch;
       first += static_cast<int64_t>(gridDim.y) * kRows) {
    const int rows = kRows == 1 ? 1 : static_cast<int>(min(p.batch - first, static_cast<int64_t>(kRows)));
    const unsigned mine = kRows == 1 ? 0 : min(lane, rows - 1u);
    const int64_t own = (first + mine) * channels + d, state = first * stride + d * states;
    Reads<T, V, kRows> next;
    const auto ask = [&](unsigned n) {
      if (n >= states) return;
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        const int64_t row = first + min(r, rows - 1);
        next.h[r] = readOnce<V>(p.state + state + min(r, rows - 1) * stride + n);
        next.B[r] = read<V>(Bs + (p.constantB ? d : row * p.groupsB + groupB) * states + n);
        next.C[r] = read<V>(Cs + (p.constantC ? d : row * p.groupsC + groupC) * states + n);
      }
      next.A = read<V>(p.A + static_cast<size_t>(d) * states + n);
    };
    ask(lane * V);
    const float ownU = static_cast<float>(u[own]), ownZ = z ? static_cast<float>(z[own]) : 0.0f;
    const float bias = p.deltaBias ? p.deltaBias[d] : 0.0f, D = p.D ? p.D[d] : 0.0f;
    float ownDelta = static_cast<float>(deltas[own]) + bias;
    if (p.softplus) ownDelta = softplus(ownDelta);
    float deltaU[kRows], delta2[kRows], sums[kRows] = {};
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float delta = kRows == 1 ? ownDelta : __shfl_sync(kFullWarp, ownDelta, r, kLanes);
      deltaU[r] = delta * (kRows == 1 ? ownU : __shfl_sync(kFullWarp, ownU, r, kLanes)), delta2[r] = delta * kLog2e;
    }
    for (unsigned n = lane * V; n < states; n += kLanes * V) {
      const Reads<T, V, kRows> now = next;
      ask(n + kLanes * V);
#pragma unroll
      for (int r = 0; r < kRows; ++r) {
        Few<V> h = now.h[r];
#pragma unroll
        for (int i = 0; i < V; ++i) {
          h[i] = exp2Fast(delta2[r] * now.A[i]) * h[i] + deltaU[r] * now.B[r][i];
          sums[r] += h[i] * now.C[r][i];
        }
        if (r < rows && place < channels) writeOnce<V>(p.newState + state + r * stride + n, h);
      }
    }
    float sum = 0;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      for (int mask = 1; mask < kLanes; mask *= 2) sums[r] += __shfl_xor_sync(kFullWarp, sums[r], mask);
      if (r == static_cast<int>(mine)) sum = sums[r];
    }
    if (static_cast<int>(lane) >= rows || place >= channels) continue;
    sum += ownU * D;
    y[own] = static_cast<T>(z ? sum * silu(ownZ) : sum);
  }
}

}  // namespace

const char *launchStateUpdate(const StateUpdate &p, void *stream) {
  const unsigned perB = static_cast<unsigned>(p.channels / p.groupsB), perC = static_cast<unsigned>(p.channels / p.groupsC);
  const auto run = [&](auto kernel, int64_t rows) {
    const unsigned slices = static_cast<unsigned>(std::min<int64_t>((p.batch + rows - 1) / rows, 65535));
    kernel<<<dim3(blocksFor(p.channels * kLanes, kThreads), slices), kThreads, 0, static_cast<cudaStream_t>(stream)>>>(
        p, perB, perC, p.u, p.delta, p.B, p.C, p.z, p.y);
  };
  const bool fours = inFours(p.states, p.state, p.A, p.B, p.C, p.newState);
  if (p.batch < kLanes)
    fours ? run(updateKernel<float, 4, 1>, 1) : run(updateKernel<float, 1, 1>, 1);
  else
    fours ? run(updateKernel<float, 4, kLanes>, kLanes) : run(updateKernel<float, 1, kLanes>, kLanes);
  return lastError();
}

}  // namespace cuda
}  // namespace tfjs_mamba
