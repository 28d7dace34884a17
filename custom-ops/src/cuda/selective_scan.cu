// The selective scan, forward. Bound by the special function unit: one exp2 for each state and step, once more where
// time is cut into pieces.
#include <type_traits>

#include "scan.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

template <int S>
struct Shared {
  Staged in;
  float y[kSteps][kChannels];
  Projection<S> B, C;
};

// kOutput false: from a zero state to `ends` [B,pieces,N,D] and sumDelta [B,pieces,D]. True: from `ends`, which now holds
// the pieces' starts, to y and the states.
template <int S, bool kOutput, bool kSelective>
__global__ void __launch_bounds__(kThreads) scanKernel(ScanForward p, Grid grid, Pieces pieces, float *sumDelta,
                                                       float *ends) {
  extern __shared__ float memory[];
  Shared<S> &s = *reinterpret_cast<Shared<S> *>(memory);
  if (kSelective) p.constantB = p.constantC = false;
  const Place at(p, grid, pieces);
  const int64_t slice = at.batch * pieces.count + at.piece;
  float A2[S], h[S], fixedB[S], fixedC[S];
  loadStates<S>(A2, p.A, p, at, kLog2e);
  if (p.constantB) loadStates<S>(fixedB, p.B, p, at, 1);
  if (p.constantC) loadStates<S>(fixedC, p.C, p, at, 1);
  for (int j = 0; j < S; ++j) {
    const int64_t i = stateIndex<S>(p, at, slice, j);
    h[j] = kOutput && i >= 0 ? ends[i] : 0.0f;
  }

  float total = 0;
  for (int64_t t0 = at.begin; t0 < at.end; t0 += kSteps) {
    const Fetched rawDelta(p.delta, p, at, t0), u(p.u, p, at, t0);
    __syncthreads();
    stage(s.in, p, at, t0, rawDelta, u);
    if (!p.constantB) stageProjection<S>(s.B, p.B, p.groupsB, p, at, t0);
    if (kOutput && !p.constantC) stageProjection<S>(s.C, p.C, p.groupsC, p, at, t0);
    __syncthreads();

    if (kOutput && p.chunkStates) {
      for (int j = 0; j < S; ++j) {
        const int64_t i = stateIndex<S>(p, at, at.batch * savedStates(p.length) + t0 / kSteps, j);
        if (i >= 0) p.chunkStates[i] = h[j];
      }
    }
    for (int first = 0; first < kSteps; first += kLanesPerChannel) {
      float y[kLanesPerChannel] = {};
#pragma unroll
      for (int k = 0; k < kLanesPerChannel; ++k) {
        const int t = first + k;
        const float delta = s.in.delta[t][at.channelInBlock], deltaU = s.in.deltaU[t][at.channelInBlock];
#pragma unroll
        for (int j = 0; j < S; ++j) {
          h[j] = exp2Fast(delta * A2[j]) * h[j] + deltaU * (p.constantB ? fixedB[j] : s.B[t][at.lane * S + j]);
          if (kOutput) y[k] += h[j] * (p.constantC ? fixedC[j] : s.C[t][at.lane * S + j]);
        }
        total += delta;
      }
      if (kOutput) s.y[first + at.lane][at.channelInBlock] = sumOwn(y);
    }

    if (kOutput) {
      const Fetched z(p.z ? p.z : p.u, p, at, t0);
      __syncthreads();
      const int c = threadIdx.x % kChannels, row = threadIdx.x / kChannels;
      const float D = p.D && c < at.width ? p.D[at.firstChannel + c] : 0.0f;
      float *to = p.y + (at.batch * p.length + t0 + row) * p.channels + at.firstChannel + c;
#pragma unroll
      for (int k = 0; k < kRowsPerThread; ++k) {
        const int t = row + k * kWarps;
        const float y = s.y[t][c] + D * u.v[k];
        if (c < at.width && t0 + t < at.end) to[k * kWarps * p.channels] = p.z ? y * silu(z.v[k]) : y;
      }
    }
  }

  if (!kOutput) {
    for (int j = 0; j < S; ++j) {
      const int64_t i = stateIndex<S>(p, at, slice, j);
      if (i >= 0) ends[i] = h[j];
    }
    if (at.active() && at.lane == 0) sumDelta[slice * p.channels + at.channel()] = total;
  } else if (at.piece == pieces.count - 1) {
    for (int j = 0; j < S; ++j) {
      const int n = at.lane * S + j;
      if (at.active() && n < p.states)
        p.finalState[(static_cast<int64_t>(at.batch) * p.channels + at.channel()) * p.states + n] = h[j];
    }
  }
}

__global__ void linkKernel(ScanProblem p, Pieces pieces, bool backward, const float *first, const float *sumDelta,
                           float *ends) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x, matrix = p.states * p.channels;
  if (i >= p.batch * matrix) return;
  const int64_t b = i / matrix, n = i % matrix / p.channels, d = i % p.channels;
  const int64_t turned = (b * p.channels + d) * p.states + n;
  const float A2 = p.A[d * p.states + n] * kLog2e;
  float carry = first ? first[turned] : 0.0f;
  for (int64_t k = 0; k < pieces.count; ++k) {
    const int64_t slice = b * pieces.count + (backward ? pieces.count - 1 - k : k);
    float *at = ends + (slice * p.states + n) * p.channels + d;
    const float own = pieces.count > 1 ? *at : 0.0f;
    *at = carry;
    carry = own + exp2Fast(A2 * sumDelta[slice * p.channels + d]) * carry;
  }
}

}  // namespace

const char *launchLink(const ScanProblem &p, const Pieces &pieces, bool backward, const float *first,
                       const float *sumDelta, float *ends, cudaStream_t stream) {
  const int64_t threads = p.batch * p.states * p.channels;
  linkKernel<<<static_cast<unsigned>((threads + 127) / 128), 128, 0, stream>>>(p, pieces, backward, first, sumDelta,
                                                                               ends);
  return lastError();
}

Pieces cutTime(const ScanProblem &p, int multiprocessors) {
  // Two dozen warps a multiprocessor hide the latency of memory and exponentials; a piece shorter than 64 steps costs more at its
  // ends than it gains.
  const int64_t blocks = Grid(p).blocks() * p.batch, wanted = multiprocessors * 24 / kWarps;
  int64_t count = (wanted + blocks - 1) / blocks;
  const int64_t most = (p.length + 63) / 64;
  count = count > most ? most : count;
  const int64_t chunks = savedStates(p.length), each = (chunks + count - 1) / count;
  return {(chunks + each - 1) / each, each * kSteps};
}

size_t scanWorkspace(const ScanProblem &p, const Pieces &pieces) {
  return static_cast<size_t>(p.batch * pieces.count * p.channels * (p.states + 1));
}

const char *launchSelectiveScan(const ScanForward &p, const Pieces &pieces, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  float *sumDelta = workspace, *ends = workspace + p.batch * pieces.count * p.channels;
  const Grid grid(p);
  const dim3 blocks(grid.blocks(), static_cast<unsigned>(pieces.count), static_cast<unsigned>(p.batch));
  return withStates(p.states, [&](auto size) -> const char * {
    constexpr int S = decltype(size)::value;
    const bool selective = !p.constantB && !p.constantC;
    const auto pass = [&](auto kernel) { kernel<<<blocks, kThreads, sizeof(Shared<S>), stream>>>(p, grid, pieces, sumDelta, ends); };
    if (pieces.count > 1) selective ? pass(scanKernel<S, false, true>) : pass(scanKernel<S, false, false>);
    if (const char *error = launchLink(p, pieces, false, p.initialState, sumDelta, ends, stream)) return error;
    selective ? pass(scanKernel<S, true, true>) : pass(scanKernel<S, true, false>);
    return lastError();
  });
}

}  // namespace cuda
}  // namespace tfjs_mamba
