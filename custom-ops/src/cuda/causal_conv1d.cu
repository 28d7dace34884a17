// The depthwise causal convolution y_t = act(bias + sum_k weight[:,k] x_{t-K+1+k}), forward and backward. Bound by
// memory: a thread walks along time with up to four channels and the K inputs of its window in registers, so that every
// input is read once, but for the K-1 before each piece of time.
#include <type_traits>

#include "launch.h"
#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

constexpr int kThreads = 128;
constexpr int64_t kLongest = 32, kShortest = 4;  // steps of a piece

// How channels and time are spread over threads. One dimension of blocks, as the other two end at 65,535.
struct Layout {
  int64_t columns, steps, pieces, slices, blocksPerRow;

  Layout(const ConvProblem &p, int vector, int64_t wantedThreads) {
    columns = (p.channels + vector - 1) / vector;
    blocksPerRow = (columns + kThreads - 1) / kThreads;
    for (steps = kLongest; steps > kShortest; steps /= 2)
      if ((p.length + steps - 1) / steps * p.batch * columns >= wantedThreads) break;
    pieces = (p.length + steps - 1) / steps;
    slices = pieces * p.batch;
  }
  unsigned blocks() const { return static_cast<unsigned>(slices * blocksPerRow); }
};

struct Place {
  int64_t slice, b, begin, end, c;

  __device__ Place(const ConvProblem &p, const Layout &layout, int vector) {
    slice = blockIdx.x / layout.blocksPerRow;
    c = (blockIdx.x % layout.blocksPerRow * kThreads + threadIdx.x) * vector;
    b = slice / layout.pieces;
    begin = slice % layout.pieces * layout.steps;
    end = min(begin + layout.steps, p.length);
  }
};

// The input at position t, which may lie up to K-1 before the start.
template <int V, typename T>
__device__ inline Few<V> input(const ConvProblem &p, const T *x, const T *initial, int64_t b, int64_t t, int64_t c) {
  if (t >= 0) return read<V>(x + (b * p.length + t) * p.channels + c);
  if (initial) return read<V>(initial + (b * (p.taps - 1) + t + p.taps - 1) * p.channels + c);
  return {};
}

// Whether another of packed documents begins at position t.
__device__ inline bool begins(const ConvProblem &p, int64_t b, int64_t t) {
  if (!p.sequenceIds || t <= 0 || t >= p.length) return false;
  const int32_t *ids = p.sequenceIds + b * p.length + t;
  return ids[0] != ids[-1];
}

// The window of a thread as it walks: the taps of its channels and the last K values, zero where they are of another
// document.
template <int V, int K>
struct Window {
  Few<V> weight[K], value[K], bias;

  __device__ Window(const ConvProblem &p, int64_t c) : value{}, bias{} {
    for (int k = 0; k < K; ++k)
      for (int i = 0; i < V; ++i) weight[k][i] = p.weight[(c + i) * K + k];
    if (p.bias)
      for (int i = 0; i < V; ++i) bias[i] = p.bias[c + i];
  }
  __device__ void push(const Few<V> &next, bool begins) {
#pragma unroll
    for (int k = 0; k + 1 < K; ++k) value[k] = begins ? Few<V>{} : value[k + 1];
    value[K - 1] = next;
  }
  __device__ Few<V> sum() const {
    Few<V> sum = bias;
#pragma unroll
    for (int k = 0; k < K; ++k)
#pragma unroll
      for (int i = 0; i < V; ++i) sum[i] += weight[k][i] * value[k][i];
    return sum;
  }
};

template <typename T, int V, int K, bool kPacked>
__global__ void __launch_bounds__(kThreads)
    convKernel(ConvForward p, Layout layout, const T *x, const T *initial, T *y, T *finalState) {
  if (!kPacked) p.sequenceIds = nullptr;
  const Place at(p, layout, V);
  if (at.c >= p.channels) return;
  Window<V, K> window(p, at.c);
  for (int64_t t = at.begin - K + 1; t < at.begin; ++t) window.push(input<V>(p, x, initial, at.b, t, at.c), begins(p, at.b, t));
#pragma unroll 4
  for (int64_t t = at.begin; t < at.end; ++t) {
    window.push(input<V>(p, x, initial, at.b, t, at.c), begins(p, at.b, t));
    Few<V> sum = window.sum();
    if (p.silu)
      for (int i = 0; i < V; ++i) sum[i] = silu(sum[i]);
    write<V>(y + (at.b * p.length + t) * p.channels + at.c, sum);
  }
  if (at.end == p.length)
    for (int k = 1; k < K; ++k) write<V>(finalState + (at.b * (K - 1) + k - 1) * p.channels + at.c, window.value[k]);
}

// g_t = dy_t act'(sum_t) is the gradient before the activation, zero past the end. Walking to K-1 steps past the piece,
// the thread has at time t all that the input at t-K+1 went to: dx_s = sum_k weight[:,k] g_{s+K-1-k}. The first piece
// does the initial state too; packed documents, none of the sums that are of another one. `partial`: each piece's part of the gradients of the weight, [slices,K,D], and of the
// bias, [slices,D].
template <typename T, int V, int K, bool kPacked>
__global__ void __launch_bounds__(kThreads) convGradKernel(ConvBackward p, Layout layout, const T *x, const T *initial,
                                                           const T *dy, T *dx, T *dInitial, float *partial) {
  if (!kPacked) p.sequenceIds = nullptr;
  const Place at(p, layout, V);
  if (at.c >= p.channels) return;
  Window<V, K> window(p, at.c);
  Few<V> g[K]{}, dWeight[K]{}, dBias{};  // g[k] is that of time t-k
  unsigned starts = 0;                   // bit k: another document begins at time t-k
  for (int64_t t = at.begin - K + 1; t < at.begin; ++t) window.push(input<V>(p, x, initial, at.b, t, at.c), begins(p, at.b, t));
  const int64_t first = at.begin == 0 && dInitial ? 1 - K : at.begin;
#pragma unroll 2
  for (int64_t t = at.begin; t < at.end + K - 1; ++t) {
#pragma unroll
    for (int k = K - 1; k > 0; --k) g[k] = g[k - 1];
    g[0] = {};
    starts = starts << 1 | begins(p, at.b, t);
    if (t < p.length) {
      window.push(input<V>(p, x, initial, at.b, t, at.c), begins(p, at.b, t));
      g[0] = read<V>(dy + (at.b * p.length + t) * p.channels + at.c);
      if (p.silu) {
        const Few<V> sum = window.sum();
#pragma unroll
        for (int i = 0; i < V; ++i) g[0][i] *= siluGradient(sum[i]);
      }
    }
    if (t < at.end) {
#pragma unroll
      for (int i = 0; i < V; ++i) {
        dBias[i] += g[0][i];
#pragma unroll
        for (int k = 0; k < K; ++k) dWeight[k][i] += g[0][i] * window.value[k][i];
      }
    }
    const int64_t s = t - K + 1;
    if (s < first) continue;
    const int64_t final = s - (p.length - K + 1);  // this input's place in the final state, if it has one
    Few<V> sum{};
    // Times after s where a document begins: from the first on, the sums are none of this input.
    const unsigned others = starts & ((1u << (K - 1)) - 1);
    const int nearest = 32 - __clz(others);
    if (final >= 0 && others == 0) sum = read<V>(p.dFinalState + (at.b * (K - 1) + final) * p.channels + at.c);
#pragma unroll
    for (int k = 0; k < K; ++k)
#pragma unroll
      for (int i = 0; i < V; ++i)
        if (k >= nearest) sum[i] += window.weight[k][i] * g[k][i];
    T *to = s >= 0 ? dx + (at.b * p.length + s) * p.channels : dInitial + (at.b * (K - 1) + s + K - 1) * p.channels;
    write<V>(to + at.c, sum);
  }
  float *toWeight = partial + at.slice * K * p.channels + at.c;
  for (int k = 0; k < K; ++k) write<V>(toWeight + k * p.channels, dWeight[k]);
  write<V>(partial + (layout.slices * K + at.slice) * p.channels + at.c, dBias);
}

// The backward pass takes 179 of a thread's 255 registers at 8 taps.
constexpr int kMostTaps = 8;

// Calls launch(V, K) with the number of channels a thread takes and of taps.
template <int K = 1, typename Launch>
const char *withSizes(bool fours, int64_t taps, const Launch &launch) {
  if constexpr (K > kMostTaps) {
    return "the CUDA kernels take at most 8 taps";
  } else {
    const std::integral_constant<int, K> these;
    if (taps != K) return withSizes<K + 1>(fours, taps, launch);
    return fours ? launch(std::integral_constant<int, 4>{}, these) : launch(std::integral_constant<int, 1>{}, these);
  }
}

int64_t wantedThreads(int multiprocessors) { return int64_t{1024} * multiprocessors; }

// For a workspace, which must do whatever the alignment turns out to be: single channels are cut into the fewest
// pieces, fours into the most.
Layout finest(const ConvProblem &p, int multiprocessors) { return Layout(p, 4, wantedThreads(multiprocessors)); }

}  // namespace

const char *launchCausalConv1d(const ConvForward &p, int multiprocessors, void *streamHandle) {
  const bool fours = inFours(p.channels, p.x, p.initialState, p.y, p.finalState);
  return withSizes(fours, p.taps, [&](auto vector, auto taps) -> const char * {
    constexpr int V = decltype(vector)::value, K = decltype(taps)::value;
    const Layout layout(p, V, wantedThreads(multiprocessors));
    const auto run = [&](auto kernel) {
      kernel<<<layout.blocks(), kThreads, 0, static_cast<cudaStream_t>(streamHandle)>>>(p, layout, p.x, p.initialState,
                                                                                      p.y, p.finalState);
    };
    p.sequenceIds ? run(convKernel<float, V, K, true>) : run(convKernel<float, V, K, false>);
    return lastError();
  });
}

size_t causalConv1dGradWorkspace(const ConvProblem &p, int multiprocessors) {
  return static_cast<size_t>(finest(p, multiprocessors).slices * (p.taps + 1) * p.channels);
}

const char *launchCausalConv1dGrad(const ConvBackward &p, int multiprocessors, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  const bool fours = inFours(p.channels, p.x, p.initialState, p.dy, p.dFinalState, p.dx, p.dInitialState, workspace);
  return withSizes(fours, p.taps, [&](auto vector, auto taps) -> const char * {
    constexpr int V = decltype(vector)::value, K = decltype(taps)::value;
    const Layout layout(p, V, wantedThreads(multiprocessors));
    const auto run = [&](auto kernel) {
      kernel<<<layout.blocks(), kThreads, 0, stream>>>(p, layout, p.x, p.initialState, p.dy, p.dx, p.dInitialState,
                                                       workspace);
    };
    p.sequenceIds ? run(convGradKernel<float, V, K, true>) : run(convGradKernel<float, V, K, false>);
    addSlices({{p.dWeight, workspace, layout.slices, K, p.channels},
               {p.dBias, workspace + layout.slices * K * p.channels, layout.slices, 1, p.channels}},
              stream);
    return lastError();
  });
}

}  // namespace cuda
}  // namespace tfjs_mamba
