// What the forward and the backward scan kernels share: how work is laid out, how inputs are staged, and how time is
// cut into pieces that run side by side.
//
// What binds is the number of instructions, then exponentials and shared memory. So a block is one warp, which needs no
// barrier, and 32 channels: each lane does what is done once for a channel and step (loads, softplus, gate, stores) for
// its own one. The states are shared out by four: a lane carries a quarter of the states of four channels, its own and
// its three neighbours', so that a row of B or C that it has read serves four channels. Values go to the neighbours and
// sums come back in three shuffles each.
//
// Sequences alone rarely fill a GPU (a batch of one and 1,536 channels are 48 warps), so time is cut into pieces: a
// first kernel runs each from a zero state, a second strings the true starts together from the ends of the pieces before -
// the decay of a whole piece is exp(A sum(delta)), one exponential - and a third runs each again from its true start.
//
// Where another of packed documents begins, what may have come before is replaced by zeros and not multiplied by them, as
// it may be infinite.
#pragma once

#include <cuda_pipeline.h>

#include <initializer_list>
#include <type_traits>

#include "early.cuh"
#include "launch.h"
#include "reduce.cuh"

namespace tfjs_mamba {
namespace cuda {

constexpr int kChannels = 32;  // of a block
constexpr int kShare = 4;      // channels a lane carries, and lanes that share one

// Channels that share their rows of B and C, cut into blocks.
struct Grid {
  int segments, segmentWidth, blocksPerSegment, perB, perC;  // perB, perC: channels of a group

  explicit Grid(const ScanShape &p) {
    int64_t a = p.groupsB, b = p.groupsC;
    while (b != 0) {
      const int64_t rest = a % b;
      a = b, b = rest;
    }
    segments = static_cast<int>(p.groupsB / a * p.groupsC);
    segmentWidth = static_cast<int>(p.channels / segments);
    blocksPerSegment = (segmentWidth + kChannels - 1) / kChannels;
    perB = static_cast<int>(p.channels / p.groupsB), perC = static_cast<int>(p.channels / p.groupsC);
  }
  __host__ __device__ int blocks() const { return segments * blocksPerSegment; }
};

// Where a thread stands. A lane beyond the channels of its block goes along with the last one and stores nothing. The states
// of a channel may be cut into parts, each with a block of its own, of which every lane has a part of its quarter.
struct Place {
  int lane, block, firstChannel, width, groupB, groupC, part, parts;
  int64_t batch, piece, slice;  // slice: batch and piece in one
  int64_t begin, end;           // of the piece, in steps

  // `run`: pieces of a sequence that have blocks, from piece `from` on. Divisions of 32 bits, for those of 64 take longer than a step.
  __device__ Place(const ScanShape &p, const Grid &grid, const Pieces &pieces, int run, int from = 0, int ofParts = 1) {
    lane = threadIdx.x;
    part = blockIdx.x % ofParts, parts = ofParts;
    const int tile = blockIdx.x / ofParts;
    block = tile % grid.blocks();
    const int inSegment = block % grid.blocksPerSegment * kChannels;
    firstChannel = block / grid.blocksPerSegment * grid.segmentWidth + inSegment;
    width = min(kChannels, grid.segmentWidth - inSegment);
    const int ofAll = tile / grid.blocks();
    batch = ofAll / run, piece = ofAll % run + from, slice = batch * pieces.count + piece;
    groupB = firstChannel / grid.perB, groupC = firstChannel / grid.perC;
    begin = piece * pieces.length;
    end = min(begin + pieces.length, p.length);
  }
  __device__ bool active() const { return lane < width; }
  __device__ int channel() const { return firstChannel + min(lane, width - 1); }
  // The thread's channel j, 0 being its own; and whether there is such a channel.
  __device__ int channel(int j) const { return firstChannel + min(lane ^ j, width - 1); }
  __device__ bool active(int j) const { return (lane ^ j) < width; }
  __device__ int quarter() const { return lane % kShare; }
  // The number of the thread's state i, of S.
  template <int S>
  __device__ int state(int i) const {
    return (quarter() * parts + part) * S + i;
  }
};

// Rows of W elements for one chunk of time, of which `width` are in memory; the others, and rows past the end, are
// zero. There is a room for the chunk at hand and one for the chunk that is on its way.
template <typename T, int W>
struct alignas(16) Rows {
  static constexpr int kEach = W * sizeof(T) < 16 ? W : 16 / sizeof(T);  // elements of a copy
  static constexpr int kLanes = W / kEach, kAtOnce = 32 / kLanes;        // lanes to a row, rows that the warp copies together
  T v[2][kSteps][W];

  // Whether rows that lie so can be copied by kEach elements.
  static bool fits(int64_t stride, std::initializer_list<const T *> tensors) {
    bool fit = stride % kEach == 0;
    for (const T *tensor : tensors) fit = fit && reinterpret_cast<uintptr_t>(tensor) % (kEach * sizeof(T)) == 0;
    return fit;
  }

  // `first` is where in `from` the first row begins, and `place` where in a row of memory a column lies.
  template <bool kFit, typename Place>
  __device__ void request(int room, const T *from, int64_t first, int stride, int width, int left, const Place &place) {
    if constexpr (kFit) {
      const int column = threadIdx.x % kLanes * kEach, n = place(column);
#pragma unroll
      for (int k = 0; k < kSteps; k += kAtOnce) {
        const int t = k + threadIdx.x / kLanes;
        if (kAtOnce > kSteps && t >= kSteps) break;
        const size_t zeros = t < left && n < width ? 0 : kEach * sizeof(T);
        __pipeline_memcpy_async(&v[room][t][column], from + (first + t * stride + n), kEach * sizeof(T), zeros);
      }
    } else {
#pragma unroll 1
      for (int i = threadIdx.x; i < kSteps * W; i += 32) {
        const int t = i / W, column = i % W, n = place(column);
        v[room][t][column] = t < left && n < width ? from[first + t * stride + n] : T(0.0f);
      }
    }
  }
};

// The channels' rows of [B,L,D]. `get` is for a lane's own channel.
template <typename T>
struct ChannelRows : Rows<T, kChannels> {
  __device__ float get(int room, int t) const { return static_cast<float>(this->v[room][t][threadIdx.x]); }
};

// The block's rows of B or C; `get` is for a lane's quarter.
template <typename T, int S>
struct StateRows : Rows<T, S * kShare> {
  __device__ void get(float (&to)[S], int room, int t) const {
    constexpr int kVector = S < 4 ? S : 4;
#pragma unroll
    for (int k = 0; k < S; k += kVector) {
      const Few<kVector> few = read<kVector>(&this->v[room][t][threadIdx.x % kShare * S + k]);
#pragma unroll
      for (int i = 0; i < kVector; ++i) to[k + i] = few[i];
    }
  }
};

// Asks for a chunk of everything a kernel streams by: request(ask) calls ask.channels(rows, from) and ask.states(rows,
// from, groups, group).
template <bool kFit>
struct Ask {
  const ScanShape &p;
  const Place &at;
  int room, left;
  int64_t row;  // of the chunk's first step, in [B,L]

  template <typename T>
  __device__ void channels(ChannelRows<T> &rows, const T *from) const {
    rows.template request<kFit>(room, from, row * p.channels + at.firstChannel, static_cast<int>(p.channels), at.width, left,
                                [](int column) { return column; });
  }
  template <typename T, int S>
  __device__ void states(StateRows<T, S> &rows, const T *from, int64_t groups, int group) const {
    rows.template request<kFit>(room, from, (row * groups + group) * p.states, static_cast<int>(groups * p.states),
                                static_cast<int>(p.states), left,
                                [&](int column) { return (column / S * at.parts + at.part) * S + column % S; });
  }
};

// `fit`: all rows can be copied in vectors (Rows::fits). The copies are one group of the pipeline.
template <typename Request>
__device__ inline void ask(bool fit, const ScanShape &p, const Place &at, int room, int64_t t, const Request &request) {
  if (t >= at.begin && t < at.end) {
    const int left = static_cast<int>(min(at.end - t, static_cast<int64_t>(kSteps)));
    const int64_t row = at.batch * p.length + t;
    fit ? request(Ask<true>{p, at, room, left, row}) : request(Ask<false>{p, at, room, left, row});
  }
  __pipeline_commit();
}

// Whether all that S states a lane stream by can be copied in vectors, `more` of [B,L,D] among it.
template <int S, typename T>
bool fits(const ScanProblemOf<T> &p, const Grid &grid, const T *more = nullptr) {
  using Channels = ChannelRows<T>;
  return Channels::fits(p.channels, {p.u, p.delta, p.z, more}) && grid.segmentWidth % Channels::kEach == 0 &&
         StateRows<T, S>::fits(p.states, {p.B, p.C});
}

// delta, its bias added, after softplus. Zero past the end, where the state is held.
__device__ inline void toSteps(float (&delta)[kSteps], bool withSoftplus, int left) {
  if (withSoftplus) {
#pragma unroll
    for (int k = 0; k < kSteps; ++k) delta[k] = softplus(delta[k]);
  }
  if (left == kSteps) return;
#pragma unroll
  for (int k = 0; k < kSteps; ++k) delta[k] = k < left ? delta[k] : 0.0f;
}

// Bit k: another document begins at step t + k. The same for all lanes.
__device__ inline unsigned documentStarts(const int32_t *ids, const ScanShape &p, const Place &at, int64_t t, int left) {
  if (!ids) return 0;
  ids += at.batch * p.length + t + at.lane;
  return __ballot_sync(kFullWarp, at.lane < left && t + at.lane > 0 && ids[0] != ids[-1]);
}

// In place of the sum of a piece's steps: a document begins in it, and nothing goes through.
constexpr float kCut = 3e38f;

// A value of each of the thread's four channels, from the lanes they belong to.
__device__ inline void spread(float (&to)[kShare], float own) {
  to[0] = own;
#pragma unroll
  for (int j = 1; j < kShare; ++j) to[j] = __shfl_xor_sync(kFullWarp, own, j);
}

// The sum over the four lanes that share the thread's own channel.
__device__ inline float gather(const float (&v)[kShare]) {
  float sum = v[0];
#pragma unroll
  for (int j = 1; j < kShare; ++j) sum += __shfl_xor_sync(kFullWarp, v[j], j);
  return sum;
}

// A thread's states: S of each of its four channels.
template <int S>
struct States {
  static constexpr int kVector = S < 4 ? S : 4;
  float v[kShare][S];

  template <typename F>
  __device__ void each(const F &f) {
#pragma unroll
    for (int j = 0; j < kShare; ++j)
#pragma unroll
      for (int i = 0; i < S; ++i) f(v[j][i], j, i);
  }

  // 2^(these times the steps of the thread's channels).
  __device__ States decayedBy(const float (&steps)[kShare]) const {
    States<S> decay;
    decay.each([&](float &x, int j, int i) { x = exp2Fast(steps[j] * v[j][i]); });
    return decay;
  }

  // Out of a matrix [...,D,N] of which `from` is the first row; zero where there is no such channel or state.
  template <typename T>
  __device__ void fromMatrix(const T *from, const ScanShape &p, const Place &at) {
    each([&](float &x, int j, int i) {
      const int n = at.state<S>(i);
      x = from && at.active(j) && n < p.states ? static_cast<float>(from[static_cast<int64_t>(at.channel(j)) * p.states + n]) : 0.0f;
    });
  }
  __device__ void toMatrix(float *to, const ScanShape &p, const Place &at) const {
    for (int j = 0; j < kShare; ++j)
      for (int i = 0; i < S; ++i) {
        const int n = at.state<S>(i);
        if (at.active(j) && n < p.states) to[static_cast<int64_t>(at.channel(j)) * p.states + n] = v[j][i];
      }
  }

  // Between kernels they lie as the threads have them that carry all kParts parts: a tile for each block, tile `index` of
  // `tiles`.
  static constexpr int kTile = 32 * kShare * S;
  template <int kParts = 1>
  __device__ static int64_t place(const Place &at, const Grid &grid, int64_t index) {
    return (index * grid.blocks() + at.block) * kParts * kTile + at.part * S * 32 + at.lane * kVector;
  }
  template <int kParts = 1>
  __device__ void store(float *tile) const {
#pragma unroll
    for (int k = 0; k < kShare * S; k += kVector) {
      Few<kVector> few;
#pragma unroll
      for (int i = 0; i < kVector; ++i) few[i] = v[k / S][k % S + i];
      write<kVector>(tile + (k / S * kParts * S + k % S) * 32, few);
    }
  }
  template <int kParts = 1>
  __device__ void load(const float *tile) {
#pragma unroll
    for (int k = 0; k < kShare * S; k += kVector) {
      const Few<kVector> few = read<kVector>(tile + (k / S * kParts * S + k % S) * 32);
#pragma unroll
      for (int i = 0; i < kVector; ++i) v[k / S][k % S + i] = few[i];
    }
  }
};

// A in units of ln 2.
template <int S>
__device__ inline States<S> decays(const float *A, const ScanShape &p, const Place &at) {
  States<S> A2;
  A2.fromMatrix(A, p, at);
  A2.each([](float &x, int, int) { x *= kLog2e; });
  return A2;
}

// Turns what each piece makes of a zero state (`ends`) into where it starts, against time where it ends: `first`, then through the
// pieces on the way to it, each of which adds its own to the state before it, decayed by the sum of its steps. A thread
// has a vector of a tile; its loads of many pieces are under way together, as one after the other they would take most of a short
// scan's time.
template <int S>
__global__ void __launch_bounds__(32 * kShare *S / States<S>::kVector)
    stringPieces(ScanShape p, Grid grid, Pieces pieces, const float *A, const float *first, float *ends,
                 const float *sumDelta, bool backward) {
  constexpr int kVector = States<S>::kVector, kAtOnce = 16;
  const int lane = threadIdx.x % 32, vector = threadIdx.x / 32, block = blockIdx.x % grid.blocks();
  const int j = vector * kVector / S, i = vector * kVector % S;
  const int64_t batch = blockIdx.x / grid.blocks();
  const int inSegment = block % grid.blocksPerSegment * kChannels, width = min(kChannels, grid.segmentWidth - inSegment);
  const int channel = block / grid.blocksPerSegment * grid.segmentWidth + inSegment + min(lane ^ j, width - 1);
  Few<kVector> h, A2;
#pragma unroll
  for (int k = 0; k < kVector; ++k) {
    const int n = lane % kShare * S + i + k;
    const bool there = (lane ^ j) < width && n < p.states;
    A2[k] = there ? A[static_cast<int64_t>(channel) * p.states + n] * kLog2e : 0.0f;
    h[k] = there && first ? first[(batch * p.channels + channel) * p.states + n] : 0.0f;
  }
  const auto slice = [&](int64_t k) { return batch * pieces.count + (backward ? pieces.count - 1 - k : k); };
  const auto tile = [&](int64_t k) {
    return ends + (slice(k) * grid.blocks() + block) * States<S>::kTile + (vector * 32 + lane) * kVector;
  };
  awaitLast();
  letNextBegin();  // not before, as then its blocks would crowd where the first pieces end
  for (int64_t k0 = 0; k0 < pieces.count; k0 += kAtOnce) {
    Few<kVector> own[kAtOnce];
    float total[kAtOnce];
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      if (k0 + k >= pieces.count - 1) break;  // nothing comes behind the last
      own[k] = read<kVector>(tile(k0 + k));
      total[k] = sumDelta[slice(k0 + k) * p.channels + channel];
    }
#pragma unroll
    for (int k = 0; k < kAtOnce; ++k) {
      if (k0 + k >= pieces.count) break;
      write<kVector>(tile(k0 + k), h);
      if (k0 + k == pieces.count - 1) break;
#pragma unroll
      for (int n = 0; n < kVector; ++n)
        h[n] = own[k][n] + (total[k] == kCut ? 0.0f : exp2Fast(A2[n] * total[k]) * h[n]);
    }
  }
}

template <int S>
void launchStringPieces(const ScanShape &p, const Grid &grid, const Pieces &pieces, const float *A, const float *first,
                        float *ends, const float *sumDelta, bool backward, cudaStream_t stream) {
  launchEarly(stringPieces<S>, static_cast<unsigned>(p.batch * grid.blocks()), 32 * kShare * S / States<S>::kVector, 0,
              stream, p, grid, pieces, A, first, ends, sumDelta, backward);
}

// The state that a piece starts from, against time ends with: out of `starts` where time is cut, else `first`.
template <int S, int kParts = 1>
__device__ inline States<S> startOf(const float *first, const float *starts, const ScanShape &p, const Place &at,
                                    const Grid &grid, const Pieces &pieces) {
  States<S> h;
  awaitLast();
  if (pieces.count > 1)
    h.template load<kParts>(starts + States<S>::template place<kParts>(at, grid, at.slice));
  else
    h.fromMatrix(first ? first + at.batch * p.channels * p.states : nullptr, p, at);
  return h;
}

// Those are weights, which stay float32 where the rest has 16 bits.
constexpr const char *kConstant16 = "with elements of 16 bits B and C must change with time";

// Calls launch(S) with the number of states a lane carries of a channel. kSelective, a parameter of the kernels, says
// that B and C both change with time: the usual case, in which nothing need be asked at every step; without kPacked, there
// are no packed documents.
template <typename Launch>
const char *withStates(int64_t states, const Launch &launch) {
  const int64_t each = (states + kShare - 1) / kShare;
  if (each <= 1) return launch(std::integral_constant<int, 1>{});
  if (each <= 2) return launch(std::integral_constant<int, 2>{});
  if (each <= 4) return launch(std::integral_constant<int, 4>{});
  if (each <= 8) return launch(std::integral_constant<int, 8>{});
  if (each <= 16) return launch(std::integral_constant<int, 16>{});
  return "the CUDA kernels take at most 64 states a channel";
}

}  // namespace cuda
}  // namespace tfjs_mamba
