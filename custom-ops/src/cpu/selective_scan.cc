// The selective scan, forward: h_t = exp(delta_t A) h_{t-1} + delta_t u_t B_t, y_t = C_t h_t + D u_t, gated by silu(z).
//
// The exponential is nearly all of the work (about 10 of 13 instructions for each state and step), and the recurrence is
// a chain, so a block of states is carried in registers through a chunk of time: their chains overlap, and h never goes
// to memory but at the ends of chunks. A is multiplied by log2(e) once so that exp2 serves. Chunks are counted from where
// a document begins, so that packed documents are computed as each alone.
#include "documents.h"
#include "parallel.h"
#include "scan_tile.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

// As many states as the registers hold beside the constants of exp2.
constexpr int kStates = kLanes == 16 ? 16 : 8;
constexpr int kExponentials = 4;  // in one go

struct Chunk {
  int64_t steps;
  const float *delta, *deltaU;  // the chunk's rows
  float *y;                     // likewise, set by the first block of states and added to by the others
  Prefetch<3> next;             // u, delta and z of the chunk to come
  Prefetch<1> result;           // y of this one
};

// S states from n on, one vector of channels at lane offset c, one chunk. B and C point at state n of the chunk's
// first step, or at row n of the transposed constants.
template <int S, bool constantB, bool constantC>
SIMD_INLINE void advance(const Chunk &chunk, bool first, int64_t c, const float *A2, const float *B, int64_t strideB,
                         const float *C, int64_t strideC, float *state) {
  Vec h[S];
#pragma GCC unroll 16
  for (int n = 0; n < S; ++n) h[n] = load(state + n * kTile + c);
  for (int64_t t = 0; t < chunk.steps; ++t) {
    const Vec delta = load(chunk.delta + rowAt(t, c)), deltaU = load(chunk.deltaU + rowAt(t, c));
    Vec sum[2] = {first ? Vec{} : load(chunk.y + rowAt(t, c)), Vec{}};
    chunk.next.row<false>(t, c);
    chunk.result.row<true>(t, c);
    constexpr int kGroup = S < kExponentials ? S : kExponentials;
#pragma GCC unroll 4
    for (int i = 0; i < S; i += kGroup) {
      Vec decay[kGroup];
#pragma GCC unroll 4
      for (int j = 0; j < kGroup; ++j) decay[j] = delta * load(A2 + (i + j) * kTile + c);
      exp2Each<kGroup>(decay);
#pragma GCC unroll 4
      for (int j = 0; j < kGroup; ++j) {
        const int n = i + j;
        const Vec b = constantB ? load(B + n * kTile + c) : splat(B[t * strideB + n]);
        const Vec out = constantC ? load(C + n * kTile + c) : splat(C[t * strideC + n]);
        h[n] = decay[j] * h[n] + deltaU * b;
        sum[n & 1] += out * h[n];
      }
    }
    store(chunk.y + rowAt(t, c), sum[0] + sum[1]);
  }
#pragma GCC unroll 16
  for (int n = 0; n < S; ++n) store(state + n * kTile + c, h[n]);
}

// y from the sums over the states.
SIMD_INLINE void finishSteps(const ScanForward &p, const Tile &tile, int64_t t0, int64_t steps, const float *sums) {
  const float *u = p.u, *z = p.z, *D = p.D ? p.D + tile.channel : nullptr;
  float *y = p.y;
  const auto ungated = [=](auto place, int i) {
    const Vec sum = load(sums + place.row(i));
    return D ? sum + place.ofChannels(D, i) * place.read(u, i) : sum;
  };
  if (!z)
    return forRows(p, tile, t0, steps, [=](auto place) {
      each<place.vectors>([&](int i) { place.write(y, i, ungated(place, i)); });
    });
  forRows(p, tile, t0, steps, [=](auto place) {
    constexpr int S = place.vectors;
    Vec e[S];
    each<S>([&](int i) { e[i] = -place.read(z, i); });
    expEach<S>(e);
    each<S>([&](int i) { place.write(y, i, ungated(place, i) * (place.read(z, i) / (1.0f + e[i]))); });
  });
}

template <bool constantB, bool constantC>
void scanTile(const ScanForward &p, const Tile &tile) {
  const int64_t N = p.states, matrix = N * kTile;
  Scratch scratch(4 * matrix + 3 * kChunk * kTile);
  float *A2 = scratch.take(matrix), *state = scratch.take(matrix);
  float *fixedB = scratch.take(matrix), *fixedC = scratch.take(matrix);
  float *delta = scratch.take(kChunk * kTile), *deltaU = scratch.take(kChunk * kTile);
  float *y = scratch.take(kChunk * kTile);

  const int64_t column = tile.channel * N, stateRow = (tile.batch * p.channels + tile.channel) * N;
  loadTransposed(A2, p.A + column, tile.width, N, kLog2e);
  if (constantB) loadTransposed(fixedB, p.B + column, tile.width, N, 1);
  if (constantC) loadTransposed(fixedC, p.C + column, tile.width, N, 1);
  if (p.initialState)
    loadTransposed(state, p.initialState + stateRow, tile.width, N, 1);
  else
    zero(state, matrix);
  zero(delta, kChunk * kTile), zero(deltaU, kChunk * kTile);

  const Rows rowsB(p.B, p.groupsB, p, tile), rowsC(p.C, p.groupsC, p, tile);
  const int32_t *ids = idsOfRow(p.sequenceIds, tile.batch, p.length);
  for (int64_t t0 = 0, end = 0, steps; t0 < p.length; t0 += steps) {
    const bool first = t0 == end;
    if (first) {
      end = documentEnd(ids, t0, p.length);
      if (t0 > 0) zero(state, matrix);
    }
    steps = end - t0 < kChunk ? end - t0 : kChunk;
    if (p.chunkStates && (t0 == 0 || !first)) {
      float *keep = p.chunkStates + (tile.batch * chunkCount(p.length) + t0 / kChunk) * N * p.channels + tile.channel;
      for (int64_t n = 0; n < N; ++n) std::memcpy(keep + n * p.channels, state + n * kTile, tile.width * sizeof(float));
    }
    stageSteps(p, tile, t0, steps, delta, deltaU, nullptr);

    Chunk chunk{steps, delta, deltaU, y, {}, {}};
    // If less than as many steps are left, this one again, which does no harm.
    chunk.next.start(p, tile, t0 + 2 * steps <= p.length ? t0 + steps : t0, {p.u, p.delta, p.z});
    chunk.result.start(p, tile, t0, {p.y});
    const auto block = [&](auto size, int64_t n) {
      const float *B = constantB ? fixedB + n * kTile : rowsB.p + t0 * rowsB.stride + n;
      const float *C = constantC ? fixedC + n * kTile : rowsC.p + t0 * rowsC.stride + n;
      for (int64_t c = 0; c < tile.width; c += kLanes)
        advance<decltype(size)::value, constantB, constantC>(chunk, n == 0, c, A2 + n * kTile, B, rowsB.stride, C,
                                                             rowsC.stride, state + n * kTile);
    };
    forStates<kStates>(N, block);

    finishSteps(p, tile, t0, steps, y);
  }
  storeTransposed(p.finalState + stateRow, state, tile.width, N);
}

}  // namespace

void selectiveScan(const ScanForward &p) {
  const TileGrid grid(p);
  parallelFor(grid.tasks, [&](int64_t task) {
    const Tile tile(grid, task);
    if (p.constantB)
      p.constantC ? scanTile<true, true>(p, tile) : scanTile<true, false>(p, tile);
    else
      p.constantC ? scanTile<false, true>(p, tile) : scanTile<false, false>(p, tile);
  });
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
