// What the forward and the backward scan of Mamba-2 share: how the work is cut, and a chunk of it made ready.
//
// A head has one decay a position, so inside a chunk of Q positions the scan is a product with the Q x Q matrix of
// (C_i . B_j) times the decay from j to i, and what came before enters by the state at the chunk's start (section 6 of
// arXiv 2405.21060). That takes 2N + Q multiplications for each position and channel where the recurrence takes 3N, backward 5N
// + 2Q in place of 9N and the traffic of a history. Decays over several positions are products of single ones, so that
// there is no difference of large sums. One task is one sequence and a run of heads of one group, which share the products of
// B and C, over all of time.
#pragma once

#include "multiply.h"
#include "parallel.h"
#include "scan_tile.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {

constexpr int64_t kSteps = kSsdChunk;
constexpr int64_t kRun = 2;  // heads a task: fewer cost time, as they share their sums; more, idle threads

inline int64_t wholeVectors(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

struct Runs {
  int64_t headsPerGroup, perGroup, tasks;

  explicit Runs(const SsdProblem &p)
      : headsPerGroup(p.heads / p.groups),
        perGroup((headsPerGroup + kRun - 1) / kRun),
        tasks(p.batch * p.groups * perGroup) {}
};

struct Run {
  int64_t task, batch, group, head, heads;

  Run(const SsdProblem &p, const Runs &runs, int64_t task) : task(task) {
    const int64_t index = task % runs.perGroup * kRun, left = runs.headsPerGroup - index;
    group = task / runs.perGroup % p.groups;
    batch = task / runs.perGroup / p.groups;
    head = group * runs.headsPerGroup + index;
    heads = left < kRun ? left : kRun;
  }
};

// Rows of `width` floats that lie `stride` apart, to rows of whole vectors that end in zeros; and back.
SIMD_INLINE void loadRows(float *to, const float *from, int64_t rows, int64_t width, int64_t stride) {
  const int64_t padded = wholeVectors(width);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < width; c += kLanes) store(to + r * padded + c, loadFirst(from + r * stride + c, width - c));
}
SIMD_INLINE void storeRows(float *to, const float *from, int64_t rows, int64_t width, int64_t stride) {
  const int64_t padded = wholeVectors(width);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < width; c += kLanes) storeFirst(to + r * stride + c, load(from + r * padded + c), width - c);
}

// A state [P,N] to [N][P'], and back. P' and N' are the next whole vectors.
SIMD_INLINE void loadState(float *to, const float *from, int64_t headDim, int64_t states) {
  const int64_t padded = wholeVectors(headDim);
  for (int64_t p = 0; p < headDim; ++p)
    for (int64_t n = 0; n < states; ++n) to[n * padded + p] = from[p * states + n];
}
SIMD_INLINE void storeState(float *to, const float *from, int64_t headDim, int64_t states) {
  const int64_t padded = wholeVectors(headDim);
  for (int64_t p = 0; p < headDim; ++p)
    for (int64_t n = 0; n < states; ++n) to[p * states + n] = from[n * padded + p];
}

SIMD_INLINE void scale(float *p, int64_t n, float factor) {
  for (int64_t i = 0; i < n; i += kLanes) store(p + i, load(p + i) * factor);
}
SIMD_INLINE void scaleRows(float *p, int64_t rows, int64_t width, const float *factors) {
  for (int64_t r = 0; r < rows; ++r) scale(p + r * width, width, factors[r]);
}

// How far a row of [B,L,H,P] is from that of the next chunk; 0 where that is not whole. The rows of a head are short and lie far
// apart, so the processor does not see them coming.
inline int64_t nextChunk(const SsdProblem &p, int64_t t0) {
  return t0 + 2 * kSteps <= p.length ? kSteps * p.heads * p.headDim : 0;
}

// One chunk of one group.
struct GroupChunk {
  const float *B, *C;     // the first of its rows, which lie `stride` apart
  int64_t stride;
  const float *products;  // [kSteps][kSteps]: C_i . B_j

  GroupChunk(const SsdProblem &p, const float *products, int64_t batch, int64_t group, int64_t t0)
      : stride(p.groups * p.states) {
    const int64_t at = ((batch * p.length + t0) * p.groups + group) * p.states;
    const int64_t chunk = (batch * ssdChunkCount(p.length) + t0 / kSteps) * p.groups + group;
    B = p.B + at, C = p.C + at, this->products = products + chunk * kSteps * kSteps;
  }
};

inline int64_t productsSize(const SsdProblem &p) {
  return p.batch * ssdChunkCount(p.length) * p.groups * kSteps * kSteps;
}

// The products of C and B of all chunks and groups, for the heads to share.
static inline void multiplyProjections(const SsdProblem &p, float *products) {
  const int64_t chunks = ssdChunkCount(p.length), N = p.states, padded = wholeVectors(N);
  parallelFor(p.batch * chunks * p.groups, [&](int64_t task) {
    const int64_t t0 = task / p.groups % chunks * kSteps, steps = p.length - t0 < kSteps ? p.length - t0 : kSteps;
    const GroupChunk group(p, products, task / p.groups / chunks, task % p.groups, t0);
    Scratch scratch(2 * kSteps * padded);
    float *rows = scratch.take(kSteps * padded), *columns = scratch.take(kSteps * padded);
    zero(rows, kSteps * padded);
    loadRows(rows, group.B, steps, N, group.stride);
    transpose(kSteps, padded, rows, padded, columns, kSteps);
    multiply<Onto::zero>(steps, N, wholeVectors(steps), {group.C, group.stride, 1}, columns, kSteps,
                    products + task * kSteps * kSteps, kSteps);
  });
}

// One chunk of one head.
struct HeadChunk {
  float *raw, *step;          // [kSteps]: delta with its bias, before softplus and limits, and after
  float *fromStart, *toEnd;   // [kSteps]: decay from the chunk's start to after a position; from there to its end
  float whole;                // decay over the chunk
  float *within;              // [kSteps][kSteps]: decay from after position j to i
  float *mixing;              // [kSteps][kSteps]: within times the products of C and B
  float *x;                   // [kSteps][P']: delta u

  HeadChunk(Scratch &scratch, int64_t headDim)
      : raw(scratch.take(kSteps)),
        step(scratch.take(kSteps)),
        fromStart(scratch.take(kSteps)),
        toEnd(scratch.take(kSteps)),
        within(scratch.take(kSteps * kSteps)),
        mixing(scratch.take(kSteps * kSteps)),
        x(scratch.take(kSteps * wholeVectors(headDim))) {
    zero(raw, kSteps), zero(x, kSteps * wholeVectors(headDim));
  }
  static int64_t floats(int64_t headDim) {
    return 4 * kSteps + 2 * kSteps * kSteps + kSteps * wholeVectors(headDim);
  }

  void enter(const SsdProblem &p, int64_t batch, int64_t head, int64_t t0, int64_t steps, const float *products) {
    const int64_t row = (batch * p.length + t0) * p.heads + head;
    const float bias = p.deltaBias ? p.deltaBias[head] : 0;
    for (int64_t t = 0; t < steps; ++t) raw[t] = p.delta[row + t * p.heads] + bias;
    float decay[kSteps] = {};
    for (int64_t t = 0; t < steps; t += kLanes) {
      Vec d = load(raw + t);
      if (p.softplus) d = softplusVec(d);
      d = clamp(d, p.deltaMin, p.deltaMax);
      store(step + t, d);
      store(decay + t, expVec(d * p.A[head]));
    }
    fromStart[0] = decay[0], toEnd[steps - 1] = 1;
    for (int64_t t = 1; t < steps; ++t) fromStart[t] = fromStart[t - 1] * decay[t];
    for (int64_t t = steps - 1; t > 0; --t) toEnd[t - 1] = toEnd[t] * decay[t];
    whole = fromStart[steps - 1];

    // Row i of `within` is that before it times a_i; up to the vector that the diagonal is in.
    Vec decays[kSteps / kLanes] = {};
    for (int64_t i = 0; i < steps; ++i)
      for (int64_t j = 0; j <= i; j += kLanes) {
        Vec &d = decays[j / kLanes];
        d = kLane == static_cast<int32_t>(i - j) ? splat(1) : d * decay[i];
        store(within + i * kSteps + j, d);
        store(mixing + i * kSteps + j, d == 0 ? Vec{} : d * load(products + i * kSteps + j));
      }
    const int64_t padded = wholeVectors(p.headDim);
    const int64_t ahead = nextChunk(p, t0);
    for (int64_t t = 0; t < steps; ++t)
      for (int64_t c = 0; c < p.headDim; c += kLanes) {
        const float *u = p.u + (row + t * p.heads) * p.headDim + c;
        __builtin_prefetch(u + ahead, 0, 2);
        store(x + t * padded + c, loadFirst(u, p.headDim - c) * step[t]);
      }
  }
};

// The skip connection of a head, [P'].
SIMD_INLINE void loadSkip(float *to, const SsdProblem &p, int64_t head) {
  for (int64_t c = 0; c < wholeVectors(p.headDim); ++c)
    to[c] = !p.D || c >= p.headDim ? 0 : p.D[head * p.skipWidth + (p.skipWidth == 1 ? 0 : c)];
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
