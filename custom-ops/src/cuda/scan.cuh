// What the forward and the backward scan kernels share: how a block is laid out, how it stages its inputs, and how time
// is cut into pieces that run side by side.
//
// A block is 32 neighbouring channels, four lanes each; a lane carries a quarter of its channel's states, in registers.
// A warp is then 8 channels. Sequences alone rarely fill a GPU (a batch of one and 1,536 channels are 192 warps), so time
// is cut into pieces: a first kernel runs each from a zero state, a second strings the ends together - the decay of a
// whole piece is exp(A sum(delta)), one exponential - and a third runs each piece again from its true start.
#pragma once

#include <cuda_runtime.h>

#include "launch.h"

namespace tfjs_mamba {
namespace cuda {

constexpr int kChannels = 32;
constexpr int kLanesPerChannel = 4;
constexpr int kThreads = kChannels * kLanesPerChannel;
constexpr int kWarps = kThreads / 32;
constexpr float kLog2e = 1.44269504088896341f;

// 2^x in one instruction of the special function unit, relative error 2^-22. Exactly 1 at 0.
__device__ inline float exp2Fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
__device__ inline float sigmoid(float x) { return __fdividef(1.0f, 1.0f + exp2Fast(-kLog2e * x)); }
__device__ inline float silu(float x) { return x * sigmoid(x); }

// As on the CPU (vector_math.h): max(x, 0) + 2 atanh(e / (2 + e)) with e = exp(-|x|). The library's log1pf(expf(x)) costs
// about as much as the sixteen states it is for.
__device__ inline float softplus(float x) {
  const float e = exp2Fast(-kLog2e * fabsf(x)), s = __fdividef(e, 2.0f + e), q = s * s;
  float r = 0.24413069f;
  r = r * q + 0.2139325f;
  r = r * q + 0.28620723f;
  r = r * q + 0.39998692f;
  r = r * q + 0.6666668f;
  r = r * q + 2.0f;
  return x > 20.0f ? x : fmaxf(x, 0.0f) + s * r;
}

// Channels that share their rows of B and C, cut into blocks.
struct Grid {
  int segments, segmentWidth, blocksPerSegment;

  explicit Grid(const ScanProblem &p) {
    int64_t a = p.groupsB, b = p.groupsC;
    while (b != 0) {
      const int64_t rest = a % b;
      a = b, b = rest;
    }
    segments = static_cast<int>(p.groupsB / a * p.groupsC);
    segmentWidth = static_cast<int>(p.channels / segments);
    blocksPerSegment = (segmentWidth + kChannels - 1) / kChannels;
  }
  int blocks() const { return segments * blocksPerSegment; }
};

// Where a thread stands.
struct Place {
  int lane, channelInBlock, firstChannel, width, piece, batch;
  int64_t begin, end;  // of the piece, in steps

  __device__ Place(const ScanProblem &p, const Grid &grid, const Pieces &pieces) {
    lane = threadIdx.x % kLanesPerChannel;
    channelInBlock = threadIdx.x / kLanesPerChannel;
    const int inSegment = blockIdx.x % grid.blocksPerSegment * kChannels;
    firstChannel = blockIdx.x / grid.blocksPerSegment * grid.segmentWidth + inSegment;
    width = min(kChannels, grid.segmentWidth - inSegment);
    piece = blockIdx.y, batch = blockIdx.z;
    begin = piece * pieces.length;
    end = min(begin + pieces.length, p.length);
  }
  __device__ bool active() const { return channelInBlock < width; }
  __device__ int channel() const { return firstChannel + channelInBlock; }
};

// Rows that one thread stages of a chunk of rows of 32 channels, loaded by whole warps.
constexpr int kRowsPerThread = kSteps * kChannels / kThreads;

// This thread's elements of [B,L,D]: column threadIdx.x % 32, every fourth row. Fetched all at once, so that one wait for
// memory serves them all; steps past the end and channels past the width read as zero.
struct Fetched {
  float v[kRowsPerThread];

  __device__ Fetched(const float *from, const ScanProblem &p, const Place &at, int64_t t0) {
    const int c = threadIdx.x % kChannels, row = threadIdx.x / kChannels;
    from += (at.batch * p.length + t0 + row) * p.channels + at.firstChannel + c;
#pragma unroll
    for (int k = 0; k < kRowsPerThread; ++k) {
      const bool real = c < at.width && t0 + row + k * kWarps < at.end;
      v[k] = real ? from[k * kWarps * p.channels] : 0.0f;
    }
  }
};

// The chunk's delta (after bias and softplus), u and delta u. Zeros hold the state and add nothing.
struct Staged {
  float delta[kSteps][kChannels], deltaU[kSteps][kChannels], u[kSteps][kChannels];
};

__device__ inline void stage(Staged &s, const ScanProblem &p, const Place &at, int64_t t0, const Fetched &delta,
                             const Fetched &u) {
  const int c = threadIdx.x % kChannels, row = threadIdx.x / kChannels;
  const float bias = p.deltaBias && c < at.width ? p.deltaBias[at.firstChannel + c] : 0.0f;
#pragma unroll
  for (int k = 0; k < kRowsPerThread; ++k) {
    const int t = row + k * kWarps;
    float step = 0;
    if (c < at.width && t0 + t < at.end) {
      step = delta.v[k] + bias;
      if (p.softplus) step = softplus(step);
    }
    s.delta[t][c] = step, s.u[t][c] = u.v[k], s.deltaU[t][c] = step * u.v[k];
  }
}

// The chunk's rows of B or C, padded with zero states to a multiple of the lanes.
template <int S>
using Projection = float[kSteps][S * kLanesPerChannel];

template <int S>
__device__ inline void stageProjection(Projection<S> &to, const float *from, int groups, const ScanProblem &p,
                                       const Place &at, int64_t t0) {
  constexpr int kPadded = S * kLanesPerChannel;
  const int64_t group = static_cast<int64_t>(at.firstChannel) * groups / p.channels;
  from += ((at.batch * p.length + t0) * groups + group) * p.states;
#pragma unroll
  for (int i = threadIdx.x; i < kSteps * kPadded; i += kThreads) {
    const int t = i / kPadded, n = i % kPadded;
    const bool real = n < p.states && t0 + t < at.end;
    to[t][n] = real ? from[t * groups * p.states + n] : 0.0f;
  }
}

// The S values of a lane out of a row [D,N] of a matrix, zero where there is no such channel or state.
template <int S>
__device__ inline void loadStates(float (&to)[S], const float *matrix, const ScanProblem &p, const Place &at,
                                  float factor) {
  for (int j = 0; j < S; ++j) {
    const int n = at.lane * S + j;
    to[j] = at.active() && n < p.states ? matrix[static_cast<int64_t>(at.channel()) * p.states + n] * factor : 0.0f;
  }
}

// Index into [..., N, D] for a lane's state j, or -1.
template <int S>
__device__ inline int64_t stateIndex(const ScanProblem &p, const Place &at, int64_t slice, int j) {
  const int n = at.lane * S + j;
  return at.active() && n < p.states ? (slice * p.states + n) * p.channels + at.channel() : -1;
}

// Sum over the lanes of a channel.
__device__ inline float sumLanes(float x) {
  x += __shfl_xor_sync(0xffffffffu, x, 1);
  return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

// Each lane of a channel gets the sum over its lanes of the value with its own number: three shuffles for four sums.
__device__ inline float sumOwn(const float (&v)[kLanesPerChannel]) {
  const bool odd = threadIdx.x & 1, upper = threadIdx.x & 2;
  float low = upper ? v[2] : v[0], high = upper ? v[3] : v[1];
  low += __shfl_xor_sync(0xffffffffu, upper ? v[0] : v[2], 2);
  high += __shfl_xor_sync(0xffffffffu, upper ? v[1] : v[3], 2);
  return (odd ? high : low) + __shfl_xor_sync(0xffffffffu, odd ? low : high, 1);
}

// Calls launch(S) with the number of states a lane must carry. kSelective, a parameter of the kernels, says that B and C
// both change with time: the usual case, in which nothing need be asked at every step.
template <typename Launch>
const char *withStates(int64_t states, const Launch &launch) {
  const int64_t each = (states + kLanesPerChannel - 1) / kLanesPerChannel;
  if (each <= 1) return launch(std::integral_constant<int, 1>{});
  if (each <= 2) return launch(std::integral_constant<int, 2>{});
  if (each <= 4) return launch(std::integral_constant<int, 4>{});
  if (each <= 8) return launch(std::integral_constant<int, 8>{});
  if (each <= 16) return launch(std::integral_constant<int, 16>{});
  return "the CUDA kernels take at most 64 states a channel";
}

inline const char *lastError() {
  const cudaError_t error = cudaGetLastError();
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

// Strings the pieces together, in the order of time or against it: ends[piece] holds what a piece gives from zero and
// becomes what it starts from. `first` [B,D,N] is what the first piece starts from, or null for zero.
const char *launchLink(const ScanProblem &p, const Pieces &pieces, bool backward, const float *first,
                       const float *sumDelta, float *ends, cudaStream_t stream);

}  // namespace cuda
}  // namespace tfjs_mamba
