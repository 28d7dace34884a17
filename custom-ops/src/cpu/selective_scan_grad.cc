// The selective scan, backward: the recurrence run back in time on s_t, the gradient of the loss in h_t.
//
// Chunk by chunk from the last: from the saved state at its start the chunk's states are computed again and kept in the
// first cache together with their decay factors, for a few states and one vector of channels at a time; then time runs
// back over them. dB and dC are sums over channels: they are added lane by lane over the tile, folded to one number
// for each step and state once a tile, and the tiles are added in their order at the end. dA, dD and the bias gradient
// are summed chunk by chunk within one sequence, and over the batch in its order. So every sum has one fixed order.
#include "documents.h"
#include "fold.h"
#include "parallel.h"
#include "scan_tile.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

// States at once: enough chains to overlap, few enough for states and decay factors of a chunk to stay in cache.
constexpr int kStates = 4;

// Sums that cross tasks: slices by sequence or by task, added up in order when all tasks are done. Where there is one
// slice it is the output itself.
struct Partials {
  float *dA, *dD, *dBias;  // [B][D,N], [B][D]
  float *dB, *dC;          // [task][L][N], or [B][D,N] for constants
};

// Staged rows of the chunk, see rowAt.
struct Rows2D {
  float *delta, *deltaU, *dOut, *y;      // dOut: the gradient of the ungated y
  float *sumSB, *dDelta;                 // sums over the states of s B and of what multiplies delta
  float *gate, *slope;                   // sigma(z), and the derivative of delta's softplus
  Prefetch<4> next;                      // u, delta, z and dy of the chunk to come
  Prefetch<3> results;                   // du, ddelta and dz of this one
};

struct StateBlock {
  bool first;                // of the chunk's blocks: the one that fetches rows ahead
  const float *A, *A2;       // [S][kTile]: A, and A log2(e)
  const float *B, *C;        // at the chunk's first step, or transposed constants [S][kTile]
  int64_t strideB, strideC;
  const float *start;        // [S] rows of D channels: the state the chunk starts from
  const float *startAhead;   // the same of the chunk to come, to be fetched
  int64_t startStride;
  float *s, *dA;             // [S][kTile], carried through time
  float *dFixedB, *dFixedC;  // [S][kTile], for constants
  float *lanesB, *lanesC;    // [kChunk][kLanes], for the others: lane i is of state i % S
};

// The tile's first vector of channels sets the sums, the others add to them.
template <int S>
SIMD_INLINE void addLanes(float *lanes, Vec *v, bool first) {
  const Vec sums = sumInterleaved<S>(v);
  store(lanes, first ? sums : load(lanes) + sums);
}

template <int S, bool constantB, bool constantC>
SIMD_INLINE void chunkBack(const Rows2D &r, int64_t steps, int64_t c, int64_t width, const StateBlock &k,
                           float *states, float *decays) {
  Vec h[S], dFixedC[S];
  for (int n = 0; n < S; ++n) {
    dFixedC[n] = Vec{};
    h[n] = loadFirst(k.start + n * k.startStride + c, width - c);
    __builtin_prefetch(k.startAhead + n * k.startStride + c);
    store(states + n * kLanes, h[n]);
  }
  // A step ahead of their use, for they take long.
  Vec decay[S];
  const auto prepareDecays = [&](int64_t t) {
    const Vec delta = load(r.delta + rowAt(t, c));
    each<S>([&](int n) { decay[n] = delta * load(k.A2 + n * kTile + c); });
    exp2Each<S>(decay);
  };
  prepareDecays(0);
  for (int64_t t = 0; t < steps; ++t) {
    const Vec deltaU = load(r.deltaU + rowAt(t, c)), dOut = load(r.dOut + rowAt(t, c));
    Vec y{}, dC[S], now[S];
    each<S>([&](int n) { now[n] = decay[n]; });
    prepareDecays(t + 1 < steps ? t + 1 : t);
    if (k.first)
      r.next.row<false>(t, c);
    else
      y = load(r.y + rowAt(t, c));
#pragma GCC unroll 4
    for (int n = 0; n < S; ++n) {
      const int64_t lane = (t * S + n) * kLanes;
      h[n] = now[n] * h[n] + deltaU * (constantB ? load(k.B + n * kTile + c) : splat(k.B[t * k.strideB + n]));
      y += h[n] * (constantC ? load(k.C + n * kTile + c) : splat(k.C[t * k.strideC + n]));
      store(decays + lane, now[n]);
      store(states + lane + S * kLanes, h[n]);
      if (constantC) dFixedC[n] += dOut * h[n];
      dC[n] = dOut * h[n];
    }
    if (!constantC) addLanes<S>(k.lanesC + t * kLanes, dC, c == 0);
    store(r.y + rowAt(t, c), y);
  }

  Vec s[S], A[S], dA[S], dFixedB[S];
  for (int n = 0; n < S; ++n) {
    s[n] = load(k.s + n * kTile + c);
    A[n] = load(k.A + n * kTile + c);
    dA[n] = dFixedB[n] = Vec{};
  }
  for (int64_t t = steps - 1; t >= 0; --t) {
    const Vec delta = load(r.delta + rowAt(t, c)), deltaU = load(r.deltaU + rowAt(t, c));
    const Vec dOut = load(r.dOut + rowAt(t, c));
    Vec sumSB{}, dDelta{}, dB[S];
    if (k.first)
      r.results.row<true>(t, c);
    else
      sumSB = load(r.sumSB + rowAt(t, c)), dDelta = load(r.dDelta + rowAt(t, c));
#pragma GCC unroll 4
    for (int n = 0; n < S; ++n) {
      const int64_t lane = (t * S + n) * kLanes;
      s[n] += dOut * (constantC ? load(k.C + n * kTile + c) : splat(k.C[t * k.strideC + n]));
      if (constantB) dFixedB[n] += s[n] * deltaU;
      dB[n] = s[n] * deltaU;
      sumSB += s[n] * (constantB ? load(k.B + n * kTile + c) : splat(k.B[t * k.strideB + n]));
      s[n] *= load(decays + lane);
      const Vec product = s[n] * load(states + lane);
      dA[n] += delta * product;
      dDelta += A[n] * product;
    }
    if (!constantB) addLanes<S>(k.lanesB + t * kLanes, dB, c == 0);
    store(r.sumSB + rowAt(t, c), sumSB);
    store(r.dDelta + rowAt(t, c), dDelta);
  }
  for (int n = 0; n < S; ++n) {
    store(k.s + n * kTile + c, s[n]);
    store(k.dA + n * kTile + c, load(k.dA + n * kTile + c) + dA[n]);
    if (constantB) store(k.dFixedB + n * kTile + c, load(k.dFixedB + n * kTile + c) + dFixedB[n]);
    if (constantC) store(k.dFixedC + n * kTile + c, load(k.dFixedC + n * kTile + c) + dFixedC[n]);
  }
}

// delta and the gradient of the ungated output of one chunk.
void stageChunk(const ScanBackward &p, const Tile &tile, int64_t t0, int64_t steps, const Rows2D &r) {
  stageSteps(p, tile, t0, steps, r.delta, r.deltaU, r.slope);
  const float *dy = p.dy, *z = p.z;
  float *dOut = r.dOut, *gate = r.gate;
  if (!z)
    return forRows(p, tile, t0, steps, [=](auto place) {
      each<place.vectors>([&](int i) { store(dOut + place.row(i), place.read(dy, i)); });
    });
  forRows(p, tile, t0, steps, [=](auto place) {
    constexpr int S = place.vectors;
    Vec open[S];
    each<S>([&](int i) { open[i] = -place.read(z, i); });
    expEach<S>(open);
    each<S>([&](int i) {
      open[i] = 1.0f / (1.0f + open[i]);
      store(gate + place.row(i), open[i]);
      store(dOut + place.row(i), place.read(dy, i) * (place.read(z, i) * open[i]));
    });
  });
}

// From the sums over the states to du, ddelta and dz; dD and the bias gradient of the chunk are added to theirs. An absent
// D is no zero, which times infinity would be NaN.
template <bool hasD>
void finishChunk(const ScanBackward &p, const Tile &tile, int64_t t0, int64_t steps, const Rows2D &r, float *dD,
                 float *dBias) {
  const float *u = p.u, *dOut = r.dOut, *y = r.y, *sumSB = r.sumSB, *sums = r.dDelta, *delta = r.delta;
  const float *gate = r.gate, *slope = r.slope, *z = p.z, *dy = p.dy, *D = hasD ? p.D + tile.channel : nullptr;
  float *du = p.du, *ddelta = p.ddelta, *dz = p.dz;
  forRows(p, tile, t0, steps, [=](auto place) {
    each<place.vectors>([&](int i) {
      const int64_t in = place.row(i), c = place.c + i * kLanes;
      const Vec out = load(dOut + in), SB = load(sumSB + in), now = place.read(u, i);
      const Vec dDelta = (load(sums + in) + now * SB) * load(slope + in);
      place.write(ddelta, i, dDelta);
      store(dBias + c, load(dBias + c) + dDelta);
      const Vec skip = hasD ? place.ofChannels(D, i) : Vec{};
      place.write(du, i, hasD ? skip * out + load(delta + in) * SB : load(delta + in) * SB);
      if (hasD) store(dD + c, load(dD + c) + out * now);
      if (z) {
        const Vec open = siluGradient(place.read(z, i), load(gate + in));
        place.write(dz, i, place.read(dy, i) * (hasD ? load(y + in) + skip * now : load(y + in)) * open);
      }
    });
  });
}

template <bool constantB, bool constantC>
void scanTileBack(const ScanBackward &p, const Tile &tile, const Partials &out) {
  const int64_t N = p.states, matrix = N * kTile, rows = kChunk * kTile, lanes = kChunk * kLanes;
  Scratch scratch(8 * matrix + 8 * rows + (2 * kStates + 2) * lanes + kStates * kLanes + 3 * kTile);
  float *A = scratch.take(matrix), *A2 = scratch.take(matrix), *s = scratch.take(matrix), *dA = scratch.take(matrix);
  float *fixedB = scratch.take(matrix), *fixedC = scratch.take(matrix);
  float *dFixedB = scratch.take(matrix), *dFixedC = scratch.take(matrix);
  Rows2D r{scratch.take(rows), scratch.take(rows), scratch.take(rows), scratch.take(rows),
           scratch.take(rows), scratch.take(rows), scratch.take(rows), scratch.take(rows), {}, {}};
  float *states = scratch.take(kStates * (lanes + kLanes)), *decays = scratch.take(kStates * lanes);
  float *lanesB = scratch.take(lanes), *lanesC = scratch.take(lanes);
  float *dD = scratch.take(kTile), *dBias = scratch.take(kTile), *zeros = scratch.take(kTile);

  const int64_t column = tile.channel * N, stateRow = (tile.batch * p.channels + tile.channel) * N;
  loadTransposed(A, p.A + column, tile.width, N, 1);
  loadTransposed(A2, p.A + column, tile.width, N, kLog2e);
  loadTransposed(s, p.dFinalState + stateRow, tile.width, N, 1);
  if (constantB) loadTransposed(fixedB, p.B + column, tile.width, N, 1), zero(dFixedB, matrix);
  if (constantC) loadTransposed(fixedC, p.C + column, tile.width, N, 1), zero(dFixedC, matrix);
  zero(dA, matrix), zero(dD, kTile), zero(dBias, kTile), zero(zeros, kTile);

  const Rows rowsB(p.B, p.groupsB, p, tile), rowsC(p.C, p.groupsC, p, tile);
  const int64_t chunks = chunkCount(p.length);
  const int32_t *ids = idsOfRow(p.sequenceIds, tile.batch, p.length);
  for (int64_t end = p.length, begin = end; end > 0;) {
    if (end == begin) begin = documentBegin(ids, end - 1, 0);
    const int64_t t0 = begin + (end - 1 - begin) / kChunk * kChunk, steps = end - t0;
    const bool fromZero = t0 == begin && begin > 0;
    stageChunk(p, tile, t0, steps, r);
    r.next.start(p, tile, t0 >= kChunk ? t0 - kChunk : t0, {p.u, p.delta, p.z, p.dy});
    r.results.start(p, tile, t0, {p.du, p.ddelta, p.dz});
    const float *kept = p.chunkStates + (tile.batch * chunks + t0 / kChunk) * N * p.channels + tile.channel;
    const float *ahead = t0 >= kChunk ? kept - N * p.channels : kept;
    forStates<kStates>(N, [&](auto size, int64_t n) {
      constexpr int S = decltype(size)::value;
      const StateBlock block{n == 0,
                             A + n * kTile,
                             A2 + n * kTile,
                             constantB ? fixedB + n * kTile : rowsB.p + t0 * rowsB.stride + n,
                             constantC ? fixedC + n * kTile : rowsC.p + t0 * rowsC.stride + n,
                             rowsB.stride,
                             rowsC.stride,
                             fromZero ? zeros : kept + n * p.channels,
                             fromZero ? zeros : ahead + n * p.channels,
                             fromZero ? 0 : p.channels,
                             s + n * kTile,
                             dA + n * kTile,
                             dFixedB + n * kTile,
                             dFixedC + n * kTile,
                             lanesB,
                             lanesC};
      for (int64_t c = 0; c < tile.width; c += kLanes)
        chunkBack<S, constantB, constantC>(r, steps, c, tile.width, block, states, decays);
      const int64_t to = (tile.task * p.length + t0) * N + n;
      if (!constantB) foldRows<S>(out.dB + to, N, lanesB, steps);
      if (!constantC) foldRows<S>(out.dC + to, N, lanesC, steps);
    });
    p.D ? finishChunk<true>(p, tile, t0, steps, r, dD, dBias) : finishChunk<false>(p, tile, t0, steps, r, dD, dBias);
    if (fromZero) zero(s, matrix);  // nothing goes from a document to the one before
    end = t0;
  }

  storeTransposed(out.dA + stateRow, dA, tile.width, N);
  if (constantB) storeTransposed(out.dB + stateRow, dFixedB, tile.width, N);
  if (constantC) storeTransposed(out.dC + stateRow, dFixedC, tile.width, N);
  if (p.dInitialState) storeTransposed(p.dInitialState + stateRow, s, tile.width, N);
  const int64_t vector = tile.batch * p.channels + tile.channel;
  if (out.dD) std::memcpy(out.dD + vector, dD, tile.width * sizeof(float));
  if (out.dBias) std::memcpy(out.dBias + vector, dBias, tile.width * sizeof(float));
}

}  // namespace

void selectiveScanGrad(const ScanBackward &p) {
  const TileGrid grid(p);
  const int64_t matrix = p.channels * p.states;
  // How much each partial sum needs beyond its output.
  const int64_t matrices = p.batch > 1 ? p.batch * matrix : 0, vectors = p.batch > 1 ? p.batch * p.channels : 0;
  const auto need = [&](bool constant) {
    return constant ? matrices : grid.tasks > p.batch || p.batch > 1 ? grid.tasks * p.length * p.states : 0;
  };
  Scratch scratch(matrices + 2 * vectors + need(p.constantB) + need(p.constantC));
  const auto partial = [&](float *output, int64_t floats) { return floats && output ? scratch.take(floats) : output; };
  const Partials out{partial(p.dA, matrices), partial(p.dD, vectors), partial(p.ddeltaBias, vectors),
                     partial(p.dB, need(p.constantB)), partial(p.dC, need(p.constantC))};

  parallelFor(grid.tasks, [&](int64_t task) {
    const Tile tile(grid, task);
    if (p.constantB)
      p.constantC ? scanTileBack<true, true>(p, tile, out) : scanTileBack<true, false>(p, tile, out);
    else
      p.constantC ? scanTileBack<false, true>(p, tile, out) : scanTileBack<false, false>(p, tile, out);
  });

  const auto addSequences = [&](float *output, const float *from, int64_t n) {
    if (output && output != from) addSlices(output, from, p.batch, n);
  };
  const auto addProjection = [&](float *output, const float *from, bool constant, int64_t groups) {
    if (constant)
      addSequences(output, from, matrix);
    else if (output != from)
      addRows({p.batch, p.length, groups, p.states}, grid.tasks / (p.batch * groups), from, output);
  };
  addSequences(p.dA, out.dA, matrix);
  addProjection(p.dB, out.dB, p.constantB, p.groupsB);
  addProjection(p.dC, out.dC, p.constantC, p.groupsC);
  addSequences(p.dD, out.dD, p.channels);
  addSequences(p.ddeltaBias, out.dBias, p.channels);
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
