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
__device__ inline float sigmoid(float x) { return 1.0f / (1.0f + __expf(-x)); }
__device__ inline float silu(float x) { return x * sigmoid(x); }
__device__ inline float softplus(float x) { return x > 20.0f ? x : log1pf(expf(x)); }

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

// The chunk's delta (after bias and softplus), u and delta u: rows of 32 channels, loaded by whole warps. Steps past
// the end and channels past the width read as zero, which holds the state and adds nothing.
struct Staged {
  float delta[kSteps][kChannels], deltaU[kSteps][kChannels], u[kSteps][kChannels];
};

__device__ inline void stage(Staged &s, const ScanProblem &p, const Place &at, int64_t t0) {
  const int c = threadIdx.x % kChannels;
  const float bias = p.deltaBias && c < at.width ? p.deltaBias[at.firstChannel + c] : 0.0f;
  for (int t = threadIdx.x / kChannels; t < kSteps; t += kThreads / kChannels) {
    const bool real = c < at.width && t0 + t < at.end;
    const int64_t i = (at.batch * p.length + t0 + t) * p.channels + at.firstChannel + c;
    float delta = 0, u = 0;
    if (real) {
      delta = p.delta[i] + bias, u = p.u[i];
      if (p.softplus) delta = softplus(delta);
    }
    s.delta[t][c] = delta, s.u[t][c] = u, s.deltaU[t][c] = delta * u;
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
  for (int i = threadIdx.x; i < kSteps * kPadded; i += kThreads) {
    const int t = i / kPadded, n = i % kPadded;
    const bool real = n < p.states && t0 + t < at.end;
    to[t][n] = real ? from[((at.batch * p.length + t0 + t) * groups + group) * p.states + n] : 0.0f;
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

// Calls launch(S) with the number of states a lane must carry.
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
// becomes what it starts from. `first` [B,D,N] is what the first piece starts from, or null for zero; `last`, if wanted,
// gets what comes out of the last.
const char *launchLink(const ScanProblem &p, const Pieces &pieces, bool backward, const float *first,
                       const float *sumDelta, float *ends, float *last, cudaStream_t stream);

}  // namespace cuda
}  // namespace tfjs_mamba
