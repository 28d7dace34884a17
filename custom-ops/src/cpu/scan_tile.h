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

// Rows of so many channels, half a kilobyte each, are read from memory a quarter faster than half of them; with few channels
// tiles are half as wide, to be enough for many threads.
constexpr int64_t kTile = 128;
constexpr int64_t kManyTasks = 8;

struct TileGrid {
  // A segment is the widest run of channels that lie in one group of B and in one group of C.
  int64_t segments, segmentWidth, tileWidth, tilesPerSegment, tasks;

  explicit TileGrid(const ScanProblem &p) {
    int64_t a = p.groupsB, b = p.groupsC;
    while (b != 0) {
      const int64_t rest = a % b;
      a = b, b = rest;
    }
    segments = p.groupsB / a * p.groupsC;
    segmentWidth = p.channels / segments;
    cut(p, kTile);
    if (tasks < kManyTasks) cut(p, kTile / 2);
  }

 private:
  void cut(const ScanProblem &p, int64_t width) {
    tileWidth = width;
    tilesPerSegment = (segmentWidth + width - 1) / width;
    tasks = p.batch * segments * tilesPerSegment;
  }
};

struct Tile {
  int64_t task, batch, channel, width;

  Tile(const TileGrid &grid, int64_t task) : task(task) {
    const int64_t index = task % grid.tilesPerSegment, segment = task / grid.tilesPerSegment % grid.segments;
    batch = task / grid.tilesPerSegment / grid.segments;
    channel = segment * grid.segmentWidth + index * grid.tileWidth;
    const int64_t left = grid.segmentWidth - index * grid.tileWidth;
    width = left < grid.tileWidth ? left : grid.tileWidth;
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

// Where vector c of step t lies in a chunk's rows: each vector of channels has its steps one after the other, as they are run
// over, and not all in the same few sets of the cache.
SIMD_INLINE int64_t rowAt(int64_t t, int64_t c) { return c * kChunk + t * kLanes; }

// Vectors of a row in one go, see each().
constexpr int kAtOnce = kLanes == 16 ? 4 : 1;

// S neighbouring vectors of a step, of which n channels are in the tile.
template <int S>
struct Place {
  static constexpr int vectors = S;
  int64_t t, c, at, n;

  // Vector i of a [B,L,D] tensor, of one of channels, and of the chunk's rows.
  inline __attribute__((always_inline)) Vec read(const float *tensor, int i) const {
    return loadFirst(tensor + at + i * kLanes, n - i * kLanes);
  }
  inline __attribute__((always_inline)) void write(float *tensor, int i, Vec v) const {
    storeFirst(tensor + at + i * kLanes, v, n - i * kLanes);
  }
  inline __attribute__((always_inline)) Vec ofChannels(const float *vector, int i) const {
    return loadFirst(vector + c + i * kLanes, n - i * kLanes);
  }
  inline __attribute__((always_inline)) int64_t row(int i) const { return rowAt(t, c + i * kLanes); }
};

// Runs work(place) for the vectors of `steps` rows of the tile. Long computations are cut into several such loops, each short
// enough for the processor to have many vectors in flight, and use pointers of their own: the compiler would take it that any
// store may change those in a problem.
template <typename Work>
SIMD_INLINE void forRows(const ScanProblem &p, const Tile &tile, int64_t t0, int64_t steps, const Work &work) {
  constexpr int64_t kMany = kAtOnce * kLanes;
  const int64_t stride = p.channels, width = tile.width, row = (tile.batch * p.length + t0) * stride + tile.channel;
  for (int64_t t = 0; t < steps; ++t) {
    int64_t c = 0;
    for (; c + kMany <= width; c += kMany) work(Place<kAtOnce>{t, c, row + t * stride + c, kMany});
    for (; c < width; c += kLanes) work(Place<1>{t, c, row + t * stride + c, width - c});
  }
}

// delta after bias and softplus, delta * u, and if `slope` is not null the derivative of the softplus, for `steps` rows.
SIMD_INLINE void stageSteps(const ScanProblem &p, const Tile &tile, int64_t t0, int64_t steps, float *delta,
                            float *deltaU, float *slope) {
  const float *from = p.delta, *u = p.u, *bias = p.deltaBias ? p.deltaBias + tile.channel : nullptr;
  float *e = deltaU;  // e^-|x|, where x goes into the softplus
  const bool softplus = p.softplus;
  forRows(p, tile, t0, steps, [=](auto place) {
    constexpr int S = place.vectors;
    Vec x[S];
    each<S>([&](int i) { x[i] = place.read(from, i); });
    if (bias) each<S>([&](int i) { x[i] += place.ofChannels(bias, i); });
    each<S>([&](int i) { store(delta + place.row(i), x[i]); });
    if (!softplus) return;
    each<S>([&](int i) { x[i] = -absolute(x[i]); });
    expEach<S>(x);
    each<S>([&](int i) { store(e + place.row(i), x[i]); });
  });
  if (slope)
    forRows(p, tile, t0, steps, [=](auto place) {
      each<place.vectors>([&](int i) {
        const int64_t in = place.row(i);
        store(slope + in, softplus ? softplusGradient(load(delta + in), load(e + in)) : splat(1.0f));
      });
    });
  forRows(p, tile, t0, steps, [=](auto place) {
    constexpr int S = place.vectors;
    Vec d[S], ex[S];
    each<S>([&](int i) { d[i] = load(delta + place.row(i)); });
    if (softplus) {
      each<S>([&](int i) { ex[i] = load(e + place.row(i)); });
      softplusEach<S>(d, ex);
      each<S>([&](int i) { store(delta + place.row(i), d[i]); });
    }
    each<S>([&](int i) { store(deltaU + place.row(i), d[i] * place.read(u, i)); });
  });
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
    for (int i = 0; i < Count; ++i) __builtin_prefetch(rows[i] + t * stride + c, write, 3);
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
