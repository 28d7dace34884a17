// What the forward and the backward scan share: how the work is cut, and how a tile of it is brought into cache.
//
// One task is one sequence of the batch and one tile of channels that share their rows of B and C, over all of time. Lanes of a
// vector are neighbouring channels, which are neighbours in memory; the states of a channel are never summed across
// lanes. Time goes in chunks, small enough for a chunk of a tile to stay in the first cache.
#pragma once

#include "../problem.h"
#include "vector_math.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

constexpr int64_t kTile = 64;
constexpr int64_t kVectors = kTile / kLanes;

struct TileGrid {
  // A segment is the widest run of channels that lie in one group of B and in one group of C.
  int64_t segments, segmentWidth, tilesPerSegment, tasks;

  explicit TileGrid(const ScanProblem &p) {
    int64_t a = p.groupsB, b = p.groupsC;
    while (b != 0) {
      const int64_t rest = a % b;
      a = b, b = rest;
    }
    segments = p.groupsB / a * p.groupsC;
    segmentWidth = p.channels / segments;
    tilesPerSegment = (segmentWidth + kTile - 1) / kTile;
    tasks = p.batch * segments * tilesPerSegment;
  }
};

struct Tile {
  int64_t task, batch, channel, width;

  Tile(const TileGrid &grid, int64_t task) : task(task) {
    const int64_t index = task % grid.tilesPerSegment, segment = task / grid.tilesPerSegment % grid.segments;
    batch = task / grid.tilesPerSegment / grid.segments;
    channel = segment * grid.segmentWidth + index * kTile;
    const int64_t left = grid.segmentWidth - index * kTile;
    width = left < kTile ? left : kTile;
  }
};

// [width,N] of a matrix [D,N] to [N][kTile] times a factor, and back. Lanes past the width are zero.
SIMD_INLINE void loadTransposed(float *to, const float *from, int64_t width, int64_t states, float factor) {
  for (int64_t n = 0; n < states; ++n) {
    for (int64_t c = 0; c < width; ++c) to[n * kTile + c] = from[c * states + n] * factor;
    for (int64_t c = width; c < kTile; ++c) to[n * kTile + c] = 0;
  }
}
SIMD_INLINE void storeTransposed(float *to, const float *from, int64_t width, int64_t states) {
  for (int64_t c = 0; c < width; ++c)
    for (int64_t n = 0; n < states; ++n) to[c * states + n] = from[n * kTile + c];
}

SIMD_INLINE void zero(float *p, int64_t n) { std::memset(p, 0, n * sizeof(float)); }

// Covers n = 0 .. states-1 with blocks of `Largest`, then halves of it: block(Size<S>, first state).
template <int Largest, typename Block>
SIMD_INLINE void forStates(int64_t states, const Block &block, int64_t n = 0) {
  for (; n + Largest <= states; n += Largest) block(Size<Largest>{}, n);
  if constexpr (Largest > 1) forStates<Largest / 2>(states, block, n);
}

// delta after bias and softplus, and delta * u, for `steps` rows.
SIMD_INLINE void stageSteps(const ScanProblem &p, const Tile &tile, int64_t t0, int64_t steps, float *delta,
                            float *deltaU) {
  const int64_t row = (tile.batch * p.length + t0) * p.channels + tile.channel;
  for (int64_t t = 0; t < steps; ++t) {
    for (int64_t c = 0; c < tile.width; c += kLanes) {
      const int64_t at = row + t * p.channels + c, n = tile.width - c;
      Vec d = loadFirst(p.delta + at, n);
      if (p.deltaBias) d += loadFirst(p.deltaBias + tile.channel + c, n);
      if (p.softplus) d = softplusVec(d);
      store(delta + t * kTile + c, d);
      store(deltaU + t * kTile + c, d * loadFirst(p.u + at, n));
    }
  }
}

// Fetches the tile's rows of some [B,L,D] tensors ahead of their use. They are short and lie far apart, so the processor
// does not see them coming; asked for all at once they would hold it up as long as they take, so the loop over a chunk's
// steps asks for a row in each.
template <int Count>
struct Prefetch {
  const float *rows[Count];
  int64_t stride;

  // From step t0 on; the tensors that are there.
  void start(const ScanProblem &p, const Tile &tile, int64_t t0, const float *const (&tensors)[Count]) {
    const int64_t at = (tile.batch * p.length + t0) * p.channels + tile.channel;
    for (int i = 0; i < Count; ++i) rows[i] = (tensors[i] ? tensors[i] : tensors[0]) + at;
    stride = p.channels;
  }

  // One vector of the row of step t0 + t.
  template <bool write>
  inline __attribute__((always_inline)) void row(int64_t t, int64_t c) const {
    for (int i = 0; i < Count; ++i) __builtin_prefetch(rows[i] + t * stride + c, write, 2);
  }
};

// The rows of B or C for one sequence and tile: element [t][n] is at p[t * stride + n].
struct Rows {
  const float *p;
  int64_t stride;
  Rows(const float *base, int64_t groups, const ScanProblem &s, const Tile &tile)
      : p(base + (tile.batch * s.length * groups + tile.channel * groups / s.channels) * s.states),
        stride(groups * s.states) {}
};

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
