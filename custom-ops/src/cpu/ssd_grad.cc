// Mamba-2's scan, backward: chunk by chunk from the last, from the kept state at its start and the gradient of the state at its
// end; see ssd_chunk.h. With M the mixing matrix, g the gradient of the ungated y, S the state at the start, E the gradient of
// the state at the end, and decays f from the start and e to the end:
//
//   dx = M^T g + e B E    dC = f g S + dM B    dB = e x E + dM^T C    E of the chunk before = whole E + (f g) C^T
//
// where dM = (g x^T) within. The gradient of log a_t is the sum of all that crosses from before t to t or after: pairs of
// positions, from the start, to the end, and from start to end. dB and dC are summed over a run of heads in place, over runs in
// their order at the end; the other sums chunk by chunk within one sequence, and over the batch in its order.
#include "fold.h"
#include "ssd_chunk.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

// Sums that cross tasks: slices by sequence or by task. Where there is one slice it is the output itself.
struct Partials {
  float *dA, *dD, *dBias;  // [B][H], [B][H,1] or [B][H,P]
  float *dB, *dC;          // [task][L][N]
};

struct GradChunk {
  float *g;              // [kSteps][P']
  float *gate;           // [kSteps][P']: sigma(z)
  float *y;              // [kSteps][P']: the ungated y, without the skip connection
  float *dx;             // [kSteps][P']
  float *pairs;          // [kSteps][kSteps]: g x^T
  float *transposed;     // a matrix that lies the other way
  float *state;          // [N'][P']: S
  float *throughSteps;   // [kSteps]: the gradient of log a_t
  float *dStep;          // [kSteps]: that of the step size but for what goes through A
  float *dC;             // [kSteps][N']: f g S
  float *dD;             // [P']
};

SIMD_INLINE float dot(const float *a, const float *b, int64_t n) {
  Vec total{};
  for (int64_t i = 0; i < n; i += kLanes) total += load(a + i) * load(b + i);
  return sum(total);
}

// The gradient of the ungated output.
void stageGradient(const SsdBackward &p, int64_t row, int64_t steps, const GradChunk &k) {
  const int64_t P = p.headDim, padded = wholeVectors(P);
  for (int64_t t = 0; t < steps; ++t)
    for (int64_t c = 0; c < P; c += kLanes) {
      const int64_t at = (row + t * p.heads) * P + c, n = P - c;
      Vec g = loadFirst(p.dy + at, n);
      if (p.z) {
        const Vec z = loadFirst(p.z + at, n), gate = sigmoid(z);
        store(k.gate + t * padded + c, gate);
        g *= z * gate;
      }
      store(k.g + t * padded + c, g);
    }
}

// dz = dy y silu'(z), with y before the gate.
void gateGradient(const SsdBackward &p, int64_t row, int64_t steps, const GroupChunk &rows, const HeadChunk &chunk,
                  const GradChunk &k, const float *skip) {
  const int64_t P = p.headDim, padded = wholeVectors(P);
  multiply<Onto::zero>(steps, p.states, padded, {rows.C, rows.stride, 1}, k.state, padded, k.y, padded);
  multiply<Onto::scaled, Part::lower>(steps, steps, padded, {chunk.mixing, kSteps, 1}, chunk.x, padded, k.y, padded,
                                      {chunk.fromStart, 1});
  for (int64_t t = 0; t < steps; ++t)
    for (int64_t c = 0; c < P; c += kLanes) {
      const int64_t at = (row + t * p.heads) * P + c, n = P - c;
      const Vec y = load(k.y + t * padded + c) + load(skip + c) * loadFirst(p.u + at, n);
      const Vec slope = siluGradient(loadFirst(p.z + at, n), load(k.gate + t * padded + c));
      storeFirst(p.dz + at, loadFirst(p.dy + at, n) * y * slope, n);
    }
}

// Adds dM of the head to that of the run, and to the gradient of each log a_t what pairs j < t <= i put into it: the sum of
// the rows from t on, as far as t.
void pairGradient(int64_t steps, int64_t headDim, const HeadChunk &chunk, const float *products, const GradChunk &k,
                  float *sumOfPairs) {
  const int64_t padded = wholeVectors(headDim);
  transpose(kSteps, padded, chunk.x, padded, k.transposed, kSteps);
  multiply<Onto::zero>(steps, headDim, wholeVectors(steps), {k.g, padded, 1}, k.transposed, kSteps, k.pairs, kSteps);
  Vec rows[kSteps / kLanes] = {};
  for (int64_t t = steps - 1; t >= 0; --t) {
    const int64_t at = t * kSteps;
    Vec total{};
    for (int64_t j = 0; j <= t; j += kLanes) {
      const Vec within = load(chunk.within + at + j), d = within == 0 ? Vec{} : within * load(k.pairs + at + j);
      store(sumOfPairs + at + j, load(sumOfPairs + at + j) + d);
      Vec &row = rows[j / kLanes];
      row += d * load(products + at + j);
      total += kLane < static_cast<int32_t>(t - j) ? row : Vec{};
    }
    k.throughSteps[t] += sum(total);
  }
}

// What goes through the state at the start: (f g S) . C of each position, summed from the last. Adds f g S to dC of the run.
void throughStart(int64_t steps, int64_t width, const float *C, const GradChunk &k, float *dC) {
  float later = 0;
  for (int64_t t = steps - 1; t >= 0; --t) {
    later += dot(k.dC + t * width, C + t * width, width);
    k.throughSteps[t] += later;
  }
  for (int64_t i = 0; i < steps * width; i += kLanes) store(dC + i, load(dC + i) + load(k.dC + i));
}

// From dx to du and the gradient of the step size but for what goes through A; dD of the chunk is added to `sumsD`.
void finishChannels(const SsdBackward &p, int64_t row, int64_t steps, const HeadChunk &chunk, const GradChunk &k,
                    const float *skip, float *sumsD) {
  const int64_t P = p.headDim, padded = wholeVectors(P);
  for (int64_t t = 0; t < steps; ++t) {
    Vec total{};
    for (int64_t c = 0; c < P; c += kLanes) {
      const int64_t at = (row + t * p.heads) * P + c, n = P - c;
      const Vec g = load(k.g + t * padded + c), dx = load(k.dx + t * padded + c), u = loadFirst(p.u + at, n);
      storeFirst(p.du + at, dx * chunk.step[t] + load(skip + c) * g, n);
      total += dx * u;
      // The sums of a chunk apart from those of all, for short chains of roundings.
      store(k.dD + c, (t == 0 ? Vec{} : load(k.dD + c)) + g * u);
    }
    k.dStep[t] = sum(total);
  }
  for (int64_t c = 0; c < P; c += kLanes) store(sumsD + c, load(sumsD + c) + load(k.dD + c));
}

// From the gradients of the step size and of log a to ddelta; what the chunk adds to dA and to the gradient of the bias.
void finishSteps(const SsdBackward &p, int64_t row, int64_t head, int64_t steps, const HeadChunk &chunk,
                 const GradChunk &k, double *sumA, double *sumBias) {
  for (int64_t t = 0; t < steps; t += kLanes) {
    const Vec raw = load(chunk.raw + t), soft = p.softplus ? softplusVec(raw) : raw;
    Vec d = load(k.dStep + t) + load(k.throughSteps + t) * p.A[head];
    if (p.softplus) d = raw > 20.0f ? d : d * sigmoid(raw);
    d = soft < p.deltaMin ? Vec{} : d;
    store(k.dStep + t, soft > p.deltaMax ? Vec{} : d);
  }
  for (int64_t t = 0; t < steps; ++t) {
    p.ddelta[row + t * p.heads] = k.dStep[t];
    *sumBias += k.dStep[t];
    *sumA += static_cast<double>(chunk.step[t]) * k.throughSteps[t];
  }
}

void scanRunBack(const SsdBackward &p, const Run &run, const float *products, const Partials &out) {
  const int64_t N = p.states, P = p.headDim, paddedN = wholeVectors(N), paddedP = wholeVectors(P);
  const int64_t size = paddedN * paddedP, square = kSteps * kSteps, rowsN = kSteps * paddedN, rowsP = kSteps * paddedP;
  const int64_t chunks = ssdChunkCount(p.length), wide = size > rowsP ? size : rowsP;
  Scratch scratch(HeadChunk::floats(P) + 4 * rowsP + 5 * rowsN + 2 * square + wide + (kRun + 1) * size + 2 * kSteps +
                  (2 + kRun) * paddedP);
  HeadChunk chunk(scratch, P);
  const GradChunk k{scratch.take(rowsP),  scratch.take(rowsP), scratch.take(rowsP), scratch.take(rowsP),
                    scratch.take(square), scratch.take(wide),  scratch.take(size),  scratch.take(kSteps),
                    scratch.take(kSteps), scratch.take(rowsN), scratch.take(paddedP)};
  float *carried = scratch.take(kRun * size), *sumOfPairs = scratch.take(square);
  float *B = scratch.take(rowsN), *C = scratch.take(rowsN), *dB = scratch.take(rowsN), *dC = scratch.take(rowsN);
  float *skip = scratch.take(paddedP), *sumsD = scratch.take(kRun * paddedP);
  double sumA[kRun] = {}, sumBias[kRun] = {};
  zero(carried, kRun * size), zero(k.state, size), zero(sumsD, kRun * paddedP), zero(k.g, rowsP);
  const int64_t first = run.batch * p.heads + run.head;
  for (int64_t i = 0; i < run.heads; ++i)
    loadState(carried + i * size, p.dFinalState + (first + i) * P * N, P, N);

  for (int64_t c = chunks - 1; c >= 0; --c) {
    const int64_t t0 = c * kSteps, steps = p.length - t0 < kSteps ? p.length - t0 : kSteps;
    const GroupChunk rows(p, products, run.batch, run.group, t0);
    loadRows(B, rows.B, steps, N, rows.stride), loadRows(C, rows.C, steps, N, rows.stride);
    zero(dB, rowsN), zero(dC, rowsN), zero(sumOfPairs, square);
    for (int64_t i = 0; i < run.heads; ++i) {
      const int64_t head = run.head + i, row = (run.batch * p.length + t0) * p.heads + head;
      float *end = carried + i * size;
      loadRows(k.state, p.chunkStates + ((run.batch * chunks + c) * p.heads + head) * N * P, N, P, P);
      chunk.enter(p, run.batch, head, t0, steps, rows.products);
      loadSkip(skip, p, head);
      stageGradient(p, row, steps, k);

      const float throughWhole = chunk.whole * dot(k.state, end, size);
      for (int64_t t = 0; t < steps; ++t) k.throughSteps[t] = throughWhole;
      pairGradient(steps, P, chunk, rows.products, k, sumOfPairs);

      if (p.z) gateGradient(p, row, steps, rows, chunk, k, skip);

      multiply<Onto::zero>(steps, N, paddedP, {rows.B, rows.stride, 1}, end, paddedP, k.dx, paddedP);
      scaleRows(k.dx, steps, paddedP, chunk.toEnd);
      float earlier = 0;
      for (int64_t t = 1; t < steps; ++t) {
        earlier += dot(chunk.x + (t - 1) * paddedP, k.dx + (t - 1) * paddedP, paddedP);
        k.throughSteps[t] += earlier;
      }
      multiply<Onto::out, Part::upper>(steps, steps, paddedP, {chunk.mixing, 1, kSteps}, k.g, paddedP, k.dx, paddedP);
      finishChannels(p, row, steps, chunk, k, skip, sumsD + i * paddedP);

      scaleRows(k.g, steps, paddedP, chunk.fromStart);
      scaleRows(chunk.x, steps, paddedP, chunk.toEnd);
      transpose(paddedN, paddedP, k.state, paddedP, k.transposed, paddedN);
      multiply<Onto::zero>(steps, P, paddedN, {k.g, paddedP, 1}, k.transposed, paddedN, k.dC, paddedN);
      throughStart(steps, paddedN, C, k, dC);
      transpose(paddedN, paddedP, end, paddedP, k.transposed, paddedN);
      multiply<Onto::out>(steps, P, paddedN, {chunk.x, paddedP, 1}, k.transposed, paddedN, dB, paddedN);
      multiply<Onto::scaled>(N, steps, paddedP, {rows.C, 1, rows.stride}, k.g, paddedP, end, paddedP, {&chunk.whole, 0});
      finishSteps(p, row, head, steps, chunk, k, sumA + i, sumBias + i);
    }
    multiply<Onto::out, Part::lower>(steps, steps, paddedN, {sumOfPairs, kSteps, 1}, B, paddedN, dC, paddedN);
    multiply<Onto::out, Part::upper>(steps, steps, paddedN, {sumOfPairs, 1, kSteps}, C, paddedN, dB, paddedN);
    storeRows(out.dB + (run.task * p.length + t0) * N, dB, steps, N, N);
    storeRows(out.dC + (run.task * p.length + t0) * N, dC, steps, N, N);
  }

  for (int64_t i = 0; i < run.heads; ++i) {
    out.dA[first + i] = static_cast<float>(sumA[i]);
    if (out.dBias) out.dBias[first + i] = static_cast<float>(sumBias[i]);
    if (p.dInitialState) storeState(p.dInitialState + (first + i) * P * N, carried + i * size, P, N);
    if (!out.dD) continue;
    float *dD = out.dD + (first + i) * p.skipWidth;
    if (p.skipWidth == P) {
      std::memcpy(dD, sumsD + i * paddedP, P * sizeof(float));
    } else {
      Vec total{};
      for (int64_t c = 0; c < paddedP; c += kLanes) total += load(sumsD + i * paddedP + c);
      dD[0] = sum(total);
    }
  }
}

}  // namespace

void ssdGrad(const SsdBackward &p) {
  const Runs runs(p);
  const int64_t heads = p.heads, skips = p.heads * p.skipWidth, rows = p.length * p.states;
  // How much each partial sum needs beyond its output.
  const bool isBatch = p.batch > 1;
  const int64_t ofHeads = isBatch ? p.batch * heads : 0, ofSkips = isBatch ? p.batch * skips : 0;
  const int64_t ofRows = runs.tasks > 1 ? runs.tasks * rows : 0;
  Scratch scratch(2 * ofHeads + ofSkips + 2 * ofRows + productsSize(p));
  const auto partial = [&](float *output, int64_t floats) { return floats && output ? scratch.take(floats) : output; };
  const Partials out{partial(p.dA, ofHeads), partial(p.dD, ofSkips), partial(p.ddeltaBias, ofHeads),
                     partial(p.dB, ofRows), partial(p.dC, ofRows)};
  float *products = scratch.take(productsSize(p));
  multiplyProjections(p, products);
  parallelFor(runs.tasks, [&](int64_t task) { scanRunBack(p, Run(p, runs, task), products, out); });

  const auto addSequences = [&](float *output, const float *from, int64_t n) {
    if (output && output != from) addSlices(output, from, p.batch, n);
  };
  addSequences(p.dA, out.dA, heads);
  addSequences(p.dD, out.dD, skips);
  addSequences(p.ddeltaBias, out.dBias, heads);
  if (ofRows) {
    const Projection shape{p.batch, p.length, p.groups, p.states};
    addRows(shape, runs.perGroup, out.dB, p.dB);
    addRows(shape, runs.perGroup, out.dC, p.dC);
  }
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
