// The depthwise causal convolution y_t = act(bias + sum_k weight[:,k] x_{t-K+1+k}), forward and backward.
//
// Bound by memory: rows of channels are streamed in order of time, the K rows of a window being in cache. Work is cut
// into blocks of time; the gradients of weight and bias are sums over time, one partial sum a block, added in order. A
// block goes document by document, with zeros for what a window has of another one.
#include "../problem.h"
#include "documents.h"
#include "fold.h"
#include "vector_math.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

constexpr int64_t kSteps = 64;     // of time a task
constexpr int64_t kColumns = 128;  // channels at a time in the backward pass, so that a block stays in cache

// Steps [t0,t1) of a block that are of one document, which lies in [begin,end): of what is before the K-1 positions that
// a window reaches back from t0, and behind the K-1 from t1 on, begin and end need not know.
struct Run {
  int64_t b, t0, t1, begin, end;

  Run(const ConvProblem &p, int64_t b, int64_t t0, int64_t limit) : b(b), t0(t0) {
    const int64_t back = p.taps - 1, far = limit + back < p.length ? limit + back : p.length;
    const int32_t *ids = idsOfRow(p.sequenceIds, b, p.length);
    begin = documentBegin(ids, t0, t0 > back ? t0 - back : 0);
    end = documentEnd(ids, t0, far);
    t1 = end < limit ? end : limit;
  }
};

// Calls visit(Run) for each document that has steps in the block from t0 on.
template <typename Visit>
SIMD_INLINE void forRuns(const ConvProblem &p, int64_t b, int64_t t0, const Visit &visit) {
  const int64_t limit = t0 + kSteps < p.length ? t0 + kSteps : p.length;
  while (t0 < limit) {
    const Run run(p, b, t0, limit);
    visit(run);
    t0 = run.t1;
  }
}

// The input at position t for a document that begins at `begin`, from K-1 before it on; `zeros` stands for what is not of
// the document, and for the missing initial state.
SIMD_INLINE const float *inputRow(const ConvProblem &p, int64_t b, int64_t t, int64_t begin, const float *zeros) {
  if (t >= begin) return p.x + (b * p.length + t) * p.channels;
  if (begin > 0 || !p.initialState) return zeros;
  return p.initialState + (b * (p.taps - 1) + t + p.taps - 1) * p.channels;
}

// weight [D,K] to [K][D].
void transposeWeight(const ConvProblem &p, float *to) {
  for (int64_t c = 0; c < p.channels; ++c)
    for (int64_t k = 0; k < p.taps; ++k) to[k * p.channels + c] = p.weight[c * p.taps + k];
}

// K as a constant for the common widths, so that the sum over taps is unrolled; 0: any.
template <int K>
SIMD_INLINE Vec window(const ConvProblem &p, const float *weight, const float *const *rows, int64_t c, int64_t n) {
  Vec sum = p.bias ? loadFirst(p.bias + c, n) : Vec{};
  const int64_t taps = K ? K : p.taps;
  for (int64_t k = 0; k < taps; ++k) sum += loadFirst(weight + k * p.channels + c, n) * loadFirst(rows[k] + c, n);
  return sum;
}

template <int K>
void forwardRun(const ConvForward &p, const Run &run, const float *weight, const float *zeros, const float **rows) {
  for (int64_t t = run.t0; t < run.t1; ++t) {
    for (int64_t k = 0; k < p.taps; ++k) rows[k] = inputRow(p, run.b, t - p.taps + 1 + k, run.begin, zeros);
    float *y = p.y + (run.b * p.length + t) * p.channels;
    for (int64_t c = 0; c < p.channels; c += kLanes) {
      const Vec sum = window<K>(p, weight, rows, c, p.channels - c);
      storeFirst(y + c, p.silu ? silu(sum) : sum, p.channels - c);
    }
  }
}

// kColumns columns from c0 on of the steps of a run. Computes the gradient g of the sum before the activation for
// these steps and the K-1 that follow, [steps+K-1][kColumns], then what depends on it. Positions below 0 are the
// initial state's, done with the first run. The block's first run stores its part of dWeight and dBias, others add theirs.
template <int K>
void backwardColumns(const ConvBackward &p, const Run &run, bool first, int64_t c0, const float *weight,
                     const float *zeros, const float **rows, float *g, float *dWeight, float *dBias) {
  const int64_t taps = K ? K : p.taps, D = p.channels, back = taps - 1, b = run.b, t0 = run.t0, t1 = run.t1;
  const int64_t width = D - c0 < kColumns ? D - c0 : kColumns;
  for (int64_t t = t0; t < t1 + back; ++t) {
    float *to = g + (t - t0) * kColumns;
    if (t >= run.end) {
      std::memset(to, 0, kColumns * sizeof(float));
      continue;
    }
    if (p.silu)
      for (int64_t k = 0; k < taps; ++k) rows[k] = inputRow(p, b, t - back + k, run.begin, zeros);
    const float *dy = p.dy + (b * p.length + t) * D + c0;
    for (int64_t c = 0; c < width; c += kLanes) {
      Vec d = loadFirst(dy + c, width - c);
      if (p.silu) {
        const Vec sum = window<K>(p, weight, rows, c0 + c, width - c);
        d *= siluGradient(sum, sigmoid(sum));
      }
      store(to + c, d);
    }
  }

  for (int64_t t = t0 == 0 && p.dInitialState ? -back : t0; t < t1; ++t) {
    float *to = t >= 0 ? p.dx + (b * p.length + t) * D : p.dInitialState + (b * back + t + back) * D;
    // This input's place in the final state, if it has one.
    const int64_t final = run.end == p.length ? t - (p.length - back) : -1;
    for (int64_t c = 0; c < width; c += kLanes) {
      const int64_t n = width - c;
      Vec sum = final >= 0 ? loadFirst(p.dFinalState + (b * back + final) * D + c0 + c, n) : Vec{};
      for (int64_t k = 0; k < taps; ++k) {
        const int64_t from = t + back - k;  // the output that tap k of this input went to
        if (from >= t0)
          sum += loadFirst(weight + k * D + c0 + c, n) * load(g + (from - t0) * kColumns + c);
      }
      storeFirst(to + c0 + c, sum, n);
    }
  }

  for (int64_t k = 0; k < taps; ++k)
    for (int64_t c = 0; c < width; c += kLanes) {
      Vec sum{};
      for (int64_t t = t0; t < t1; ++t)
        sum += load(g + (t - t0) * kColumns + c) *
               loadFirst(inputRow(p, b, t - back + k, run.begin, zeros) + c0 + c, width - c);
      float *to = dWeight + k * D + c0 + c;
      storeFirst(to, first ? sum : loadFirst(to, width - c) + sum, width - c);
    }
  for (int64_t c = 0; c < width; c += kLanes) {
    Vec sum{};
    for (int64_t t = t0; t < t1; ++t) sum += load(g + (t - t0) * kColumns + c);
    float *to = dBias + c0 + c;
    storeFirst(to, first ? sum : loadFirst(to, width - c) + sum, width - c);
  }
}

SIMD_INLINE float *zeroed(Scratch &scratch, int64_t n) {
  float *p = scratch.take(n);
  std::memset(p, 0, n * sizeof(float));
  return p;
}

// A pointer takes the room of two floats.
SIMD_INLINE const float **pointers(Scratch &scratch, int64_t n) {
  return reinterpret_cast<const float **>(scratch.take(2 * n));
}

template <int K>
void forward(const ConvForward &p) {
  Scratch scratch((p.taps + 1) * p.channels);
  float *weight = scratch.take(p.taps * p.channels), *zeros = zeroed(scratch, p.channels);
  transposeWeight(p, weight);
  const int64_t blocks = (p.length + kSteps - 1) / kSteps;
  parallelFor(p.batch * blocks, [&](int64_t task) {
    Scratch local(2 * p.taps);
    const float **rows = pointers(local, p.taps);
    forRuns(p, task / blocks, task % blocks * kSteps,
            [&](const Run &run) { forwardRun<K>(p, run, weight, zeros, rows); });
  });
  const int64_t back = p.taps - 1;
  for (int64_t b = 0; b < p.batch; ++b) {
    const Run last(p, b, p.length - 1, p.length);
    for (int64_t j = 0; j < back; ++j)
      std::memcpy(p.finalState + (b * back + j) * p.channels,
                  inputRow(p, b, p.length - back + j, last.begin, zeros), p.channels * sizeof(float));
  }
}

template <int K>
void backward(const ConvBackward &p) {
  const int64_t D = p.channels, blocks = (p.length + kSteps - 1) / kSteps, tasks = p.batch * blocks;
  const int64_t slice = (p.taps + 1) * D;  // [K][D] of the weight, then [D] of the bias
  Scratch scratch((p.taps + 1) * D + (tasks + 1) * slice);
  float *weight = scratch.take(p.taps * D), *zeros = zeroed(scratch, D);
  float *partial = scratch.take(tasks * slice), *total = scratch.take(slice);
  transposeWeight(p, weight);
  parallelFor(tasks, [&](int64_t task) {
    Scratch local(2 * p.taps + (kSteps + p.taps) * kColumns);
    const float **rows = pointers(local, p.taps);
    float *g = local.take((kSteps + p.taps) * kColumns), *sums = partial + task * slice;
    const int64_t t0 = task % blocks * kSteps;
    forRuns(p, task / blocks, t0, [&](const Run &run) {
      for (int64_t c = 0; c < D; c += kColumns)
        backwardColumns<K>(p, run, run.t0 == t0, c, weight, zeros, rows, g, sums, sums + p.taps * D);
    });
  });
  addSlices(total, partial, tasks, slice);
  for (int64_t c = 0; c < D; ++c)
    for (int64_t k = 0; k < p.taps; ++k) p.dWeight[c * p.taps + k] = total[k * D + c];
  if (p.dBias) std::memcpy(p.dBias, total + p.taps * D, D * sizeof(float));
}

}  // namespace

void causalConv1d(const ConvForward &p) {
  switch (p.taps) {
    case 2: return forward<2>(p);
    case 3: return forward<3>(p);
    case 4: return forward<4>(p);
    default: return forward<0>(p);
  }
}

void causalConv1dGrad(const ConvBackward &p) {
  switch (p.taps) {
    case 2: return backward<2>(p);
    case 3: return backward<3>(p);
    case 4: return backward<4>(p);
    default: return backward<0>(p);
  }
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
