// What the forward and the backward scan of Mamba-2 share: how the work is cut, and a chunk's decays.
//
// As on the CPU (cpu/ssd_chunk.h), a chunk of Q = 64 positions of a head is a product with the Q x Q matrix of (C_i . B_j) times
// the decay from j to i, and what came before enters by the state at the chunk's start. Here all chunks run at once: first what
// each adds to the state, then, one thread to a state, the states it starts from, then its outputs. All products are of float32
// values (tile.cuh).
//
// Logarithms of decays are added up in double precision, so that a difference of two sums, which is what a decay over several
// positions is, has no error that float32 could hold.
#pragma once

#include "launch.h"
#include "tile.cuh"

namespace tfjs_mamba {
namespace cuda {

constexpr int kPositions = static_cast<int>(kSsdChunk);
static_assert(kPositions == kSide, "the positions of a chunk are the rows of a tile");

inline int64_t tilesOf(int64_t width) { return (width + kSide - 1) / kSide; }
// Of all sequences together.
inline int64_t chunksOf(const SsdProblem &p) { return p.batch * ssdChunkCount(p.length); }
// Elements of a state, of all heads.
__host__ __device__ inline int64_t stateSize(const SsdProblem &p) { return p.heads * p.headDim * p.states; }

// One chunk, of one head or of one group: where its elements lie, and zero where there are none. Offsets within it are of 32 bits.
struct Site {
  int64_t chunk, row;  // of all sequences; its first position in [B,L]
  int head, group, steps;

  // Of a group only, with its first head.
  __device__ Site(const SsdProblem &p, int64_t index, int group_) : chunk(index), group(group_) {
    const int64_t chunks = (p.length + kPositions - 1) / kPositions, t0 = chunk % chunks * kPositions;
    row = chunk / chunks * p.length + t0;
    steps = static_cast<int>(min(p.length - t0, static_cast<int64_t>(kPositions)));
    head = group * static_cast<int>(p.heads / p.groups);
  }
  __device__ static Site ofHead(const SsdProblem &p, int64_t index) {
    Site at(p, index / p.heads, 0);
    at.head = static_cast<int>(index % p.heads);
    at.group = at.head / static_cast<int>(p.heads / p.groups);
    return at;
  }
  // In u, y and z; and in delta.
  __device__ int64_t channel(const SsdProblem &p, int t, int c) const {
    return (row * p.heads + head) * p.headDim + t * static_cast<int>(p.heads * p.headDim) + c;
  }
  __device__ int64_t position(const SsdProblem &p, int t) const { return (row + t) * p.heads + head; }
  // In B and C.
  __device__ int64_t projectionAt(const SsdProblem &p, int t, int n) const {
    return (row * p.groups + group) * p.states + t * static_cast<int>(p.groups * p.states) + n;
  }
  __device__ float projection(const SsdProblem &p, const float *from, int t, int n) const {
    return t < steps && n < p.states ? from[projectionAt(p, t, n)] : 0.0f;
  }
  // An element [c,n] of a state of the head, of all that are kept at chunks.
  __device__ float state(const SsdProblem &p, const float *from, int c, int n) const {
    const int states = static_cast<int>(p.states);
    return c < p.headDim && n < states ? from[(chunk * p.heads + head) * p.headDim * p.states + c * states + n] : 0.0f;
  }
  __device__ float u(const SsdProblem &p, int t, int c) const {
    return t < steps && c < p.headDim ? p.u[channel(p, t, c)] : 0.0f;
  }
  // The matrix of the group's products C_i . B_j.
  __device__ const float *products(const SsdProblem &p, const float *from) const {
    return from + (chunk * p.groups + group) * kPositions * kPositions;
  }
};

// Step sizes and decays of a chunk of a head. Past its end steps are zero, and nothing decays.
struct Steps {
  double logs[kPositions];  // to base 2, from the chunk's start to after a position
  float raw[kPositions], step[kPositions];  // delta with its bias; the same after softplus and limits
  float fromStart[kPositions], toEnd[kPositions];

  // All threads of the block must call it.
  __device__ void enter(const SsdProblem &p, const Site &at) {
    constexpr double kLargest = 1000;  // beyond what float32 has, and small enough for sums to keep their digits
    const int t = threadIdx.x;
    __syncthreads();  // some may still read the last chunk's
    double log = 0;
    if (t < kPositions) {
      const bool there = t < at.steps;
      raw[t] = there ? p.delta[at.position(p, t)] + (p.deltaBias ? p.deltaBias[at.head] : 0.0f) : 0.0f;
      float d = p.softplus ? softplus(raw[t]) : raw[t];
      d = d < p.deltaMin ? p.deltaMin : d;  // in this form a NaN stays one
      d = d > p.deltaMax ? p.deltaMax : d;
      step[t] = there ? d : 0.0f;
      log = there ? static_cast<double>(d) * p.A[at.head] * 1.4426950408889634 : 0.0;
      log = log > kLargest ? kLargest : log < -kLargest ? -kLargest : log;
      for (int ahead = 1; ahead < 32; ahead *= 2) {
        const double before = __shfl_up_sync(kFullWarp, log, ahead);
        if (t % 32 >= ahead) log += before;
      }
      logs[t] = log;
    }
    __syncthreads();
    if (t >= 32 && t < kPositions) logs[t] = log += logs[31];
    __syncthreads();
    if (t < kPositions) {
      fromStart[t] = exp2Fast(static_cast<float>(log));
      toEnd[t] = exp2Fast(static_cast<float>(logs[kPositions - 1] - log));
    }
    __syncthreads();
  }
  __device__ float whole() const { return fromStart[kPositions - 1]; }
  // The decay from after position j to i, where that is not before j.
  __device__ float within(int i, int j) const {
    return j > i ? 0.0f : exp2Fast(static_cast<float>(logs[i] - logs[j]));
  }
  // Of a product of C_i and B_j, which may be infinite where nothing is left of it.
  __device__ float mixed(int i, int j, const float *products) const {
    const float decay = within(i, j);
    return decay == 0 ? 0.0f : decay * products[i * kPositions + j];
  }
};

// What launchers of both directions ask for. The products of C and B of each chunk and group [chunks,G,Q,Q]; of each chunk and
// head, what it adds to the state [chunks,H,P,N] and its decay over the chunk [chunks,H]. Backward, what each chunk adds to the
// gradient of the state at its start, of dy.
struct ChunkSums {
  float *products, *states, *whole;
};
inline size_t productsSize(const SsdProblem &p) { return chunksOf(p) * p.groups * kPositions * kPositions; }
inline size_t wholeSize(const SsdProblem &p) { return chunksOf(p) * p.heads; }
void launchChunkSums(const SsdProblem &p, const float *dy, const ChunkSums &to, cudaStream_t stream);

// From what chunks add to the state to the state that each starts from, in place, beginning with `first` [B,H,P,N], or zero, and
// giving `last`, unless that is null. Backward, from the last chunk on: to the gradient of the state at its end.
void launchCarry(const SsdProblem &p, bool backward, float *states, const float *whole, const float *first, float *last,
                 cudaStream_t stream);

// The gradient of the ungated output, zero past the end.
__device__ inline float ungated(const SsdProblem &p, const float *dy, const Site &at, int t, int c) {
  if (t >= at.steps || c >= p.headDim) return 0.0f;
  const int64_t i = at.channel(p, t, c);
  return p.z ? dy[i] * silu(p.z[i]) : dy[i];
}

__device__ inline float skipOf(const SsdProblem &p, int head, int c) {
  return p.D ? p.D[head * p.skipWidth + (p.skipWidth == 1 ? 0 : c)] : 0.0f;
}

}  // namespace cuda
}  // namespace tfjs_mamba
