// Mamba-2's scan, forward: h_t = a_t h_{t-1} + delta_t u_t (x) B_t, y_t = h_t C_t + D u_t, gated by silu(z); see ssd_chunk.h.
#include "ssd_chunk.h"

namespace tfjs_mamba {
namespace SIMD_LEVEL {
namespace {

void storeOutput(const SsdForward &p, int64_t row, int64_t steps, int64_t ahead, const float *y, const float *skip) {
  const int64_t P = p.headDim, padded = wholeVectors(P);
  for (int64_t t = 0; t < steps; ++t)
    for (int64_t c = 0; c < P; c += kLanes) {
      const int64_t at = (row + t * p.heads) * P + c, n = P - c;
      Vec out = load(y + t * padded + c);
      if (p.D) out += load(skip + c) * loadFirst(p.u + at, n);
      __builtin_prefetch(p.y + at + ahead, 1, 2);
      if (p.z) __builtin_prefetch(p.z + at + ahead, 0, 2);
      if (p.z) out *= silu(loadFirst(p.z + at, n));
      storeFirst(p.y + at, out, n);
    }
}

void scanRun(const SsdForward &p, const Run &run, const float *products) {
  const int64_t N = p.states, P = p.headDim, paddedP = wholeVectors(P), size = N * paddedP;
  const int64_t chunks = ssdChunkCount(p.length);
  Scratch scratch(HeadChunk::floats(P) + kRun * size + kSteps * paddedP + paddedP);
  HeadChunk chunk(scratch, P);
  float *states = scratch.take(kRun * size), *y = scratch.take(kSteps * paddedP), *skip = scratch.take(paddedP);
  zero(states, kRun * size);
  const int64_t first = run.batch * p.heads + run.head;
  for (int64_t i = 0; p.initialState && i < run.heads; ++i)
    loadState(states + i * size, p.initialState + (first + i) * P * N, P, N);

  for (int64_t t0 = 0; t0 < p.length; t0 += kSteps) {
    const int64_t steps = p.length - t0 < kSteps ? p.length - t0 : kSteps;
    const GroupChunk rows(p, products, run.batch, run.group, t0);
    for (int64_t i = 0; i < run.heads; ++i) {
      const int64_t head = run.head + i;
      float *state = states + i * size;
      if (p.chunkStates)
        storeRows(p.chunkStates + ((run.batch * chunks + t0 / kSteps) * p.heads + head) * N * P, state, N, P, P);
      chunk.enter(p, run.batch, head, t0, steps, rows.products);
      loadSkip(skip, p, head);
      multiply<Onto::zero>(steps, N, paddedP, {rows.C, rows.stride, 1}, state, paddedP, y, paddedP);
      multiply<Onto::scaled, Part::lower>(steps, steps, paddedP, {chunk.mixing, kSteps, 1}, chunk.x, paddedP, y, paddedP,
                                          {chunk.fromStart, 1});
      storeOutput(p, (run.batch * p.length + t0) * p.heads + head, steps, nextChunk(p, t0), y, skip);
      scaleRows(chunk.x, steps, paddedP, chunk.toEnd);
      multiply<Onto::scaled>(N, steps, paddedP, {rows.B, 1, rows.stride}, chunk.x, paddedP, state, paddedP, {&chunk.whole, 0});
    }
  }
  for (int64_t i = 0; i < run.heads; ++i) storeState(p.finalState + (first + i) * P * N, states + i * size, P, N);
}

}  // namespace

void ssd(const SsdForward &p) {
  const Runs runs(p);
  Scratch scratch(productsSize(p));
  float *products = scratch.take(productsSize(p));
  multiplyProjections(p, products);
  parallelFor(runs.tasks, [&](int64_t task) { scanRun(p, Run(p, runs, task), products); });
}

}  // namespace SIMD_LEVEL
}  // namespace tfjs_mamba
