// The selective scan, forward, for elements of any type: the files that instantiate it are selective_scan.cu and
// selective_scan_16.cu.
#pragma once

#include "scan.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

template <typename T, int S>
struct Memory {
  ChannelRows<T> delta, u, z;
  StateRows<T, S> B, C;
};

// Steps whose rows, and decays, are there ahead of the states that wait for them, where registers allow: a warp may be the only
// one of its scheduler, with no other to hide behind.
template <int S>
constexpr int kAheadOf = S <= 4 ? kSteps : S == 8 ? 2 : 1;

// kOutput false: from a zero state to `ends` and sumDelta [slices,D]. True: from the true start to y and the states.
template <typename T, int S, bool kOutput, bool kSelective, bool kPacked>
__global__ void __launch_bounds__(32)
    scanKernel(ScanForwardOf<T> p, bool fit, Grid grid, Pieces pieces, float *sumDelta, float *ends) {
  if (!kOutput) letNextBegin();
  constexpr int kAhead = kAheadOf<S>;
  __shared__ Memory<T, S> s;
  if (kSelective) p.constantB = p.constantC = false;
  if (!kPacked) p.sequenceIds = nullptr;
  const Place at(p, grid, pieces, static_cast<int>(pieces.count) - (kOutput ? 0 : 1));  // nothing follows the last
  const auto request = [&](const auto &ask) {
    ask.channels(s.delta, p.delta);
    ask.channels(s.u, p.u);
    if (kOutput && p.z) ask.channels(s.z, p.z);
    if (!p.constantB) ask.states(s.B, p.B, p.groupsB, at.groupB);
    if (kOutput && !p.constantC) ask.states(s.C, p.C, p.groupsC, at.groupC);
  };
  ask(fit, p, at, 0, at.begin, request);
  const float bias = p.deltaBias ? p.deltaBias[at.channel()] : 0.0f, D = p.D ? p.D[at.channel()] : 0.0f;
  const States<S> A2 = decays<S>(p.A, p, at);
  States<S> h, fixedB, fixedC;
  if (p.constantB) fixedB.fromMatrix(p.B, p, at);
  if (p.constantC) fixedC.fromMatrix(p.C, p, at);
  if (kOutput)
    h = startOf<S>(p.initialState, ends, p, at, grid, pieces);
  else
    h = {};

  T *to = p.y + (at.batch * p.length + at.begin) * p.channels + at.channel();
  float *saved = p.chunkStates + States<S>::place(at, grid, at.batch * savedStates(p.length) + at.begin / kSteps);
  float total = 0;
  bool cut = false;
  int room = 0;
  for (int64_t t0 = at.begin; t0 < at.end; t0 += kSteps, room ^= 1) {
    __syncwarp();  // all have done with the room that is to be filled
    ask(fit, p, at, room ^ 1, t0 + kSteps, request);
    __pipeline_wait_prior(1);
    __syncwarp();
    if (kOutput && p.chunkStates) h.store(saved), saved += grid.blocks() * States<S>::kTile;
    const int left = static_cast<int>(min(at.end - t0, static_cast<int64_t>(kSteps)));
    float delta[kSteps], out[kSteps];
#pragma unroll
    for (int k = 0; k < kSteps; ++k) delta[k] = s.delta.get(room, k) + bias;
    toSteps(delta, p.softplus, left);
    const unsigned starts = documentStarts(p.sequenceIds, p, at, t0, left);
    cut = cut || starts != 0;
#pragma unroll
    for (int k0 = 0; k0 < kSteps; k0 += kAhead) {
      float u[kAhead], deltas[kAhead][kShare], deltaUs[kAhead][kShare], sums[kAhead][kShare] = {};
      float rowB[kAhead][S], rowC[kAhead][S];
#pragma unroll
      for (int k = 0; k < kAhead; ++k) {
        u[k] = s.u.get(room, k0 + k);
        spread(deltas[k], delta[k0 + k]);
        spread(deltaUs[k], delta[k0 + k] * u[k]);
        if (!p.constantB) s.B.get(rowB[k], room, k0 + k);
        if (kOutput && !p.constantC) s.C.get(rowC[k], room, k0 + k);
      }
      States<S> decay = A2.decayedBy(deltas[0]);
#pragma unroll
      for (int k = 0; k < kAhead; ++k) {
        const States<S> now = decay;
        if (k + 1 < kAhead) decay = A2.decayedBy(deltas[k + 1]);
        if (starts >> (k0 + k) & 1) h = {};
        h.each([&](float &x, int j, int i) {
          x = now.v[j][i] * x + deltaUs[k][j] * (p.constantB ? fixedB.v[j][i] : rowB[k][i]);
          if (kOutput) sums[k][j] += x * (p.constantC ? fixedC.v[j][i] : rowC[k][i]);
        });
        total += delta[k0 + k];
      }
      if constexpr (kOutput) {
#pragma unroll
        for (int k = 0; k < kAhead; ++k) out[k0 + k] = gather(sums[k]) + D * u[k];
      }
    }
    if (!kOutput) continue;
    if (p.z) {
#pragma unroll
      for (int k = 0; k < kSteps; ++k) out[k] *= silu(s.z.get(room, k));
    }
#pragma unroll
    for (int k = 0; k < kSteps; ++k, to += p.channels)
      if (at.active() && k < left) *to = static_cast<T>(out[k]);
  }

  if (!kOutput) {
    h.store(ends + States<S>::place(at, grid, at.slice));
    if (at.active()) sumDelta[at.slice * p.channels + at.channel()] = cut ? kCut : total;
  } else if (at.piece == pieces.count - 1) {
    h.toMatrix(p.finalState + at.batch * p.channels * p.states, p, at);
  }
}

}  // namespace

template <typename T>
const char *launchSelectiveScan(const ScanForwardOf<T> &p, const Pieces &pieces, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  const Grid grid(p);
  const int64_t slices = p.batch * pieces.count;
  float *ends = workspace, *sumDelta = ends + slices * stateFloats(p);
  const unsigned blocks = static_cast<unsigned>(slices * grid.blocks());
  const bool selective = !p.constantB && !p.constantC, packed = p.sequenceIds != nullptr;
  if (!selective && !std::is_same_v<T, float>) return kConstant16;
  return withStates(p.states, [&](auto size) -> const char * {
    constexpr int S = decltype(size)::value;
    const auto passes = [&](auto first, auto output) {
      const bool fit = fits<S>(p, grid);
      if (pieces.count == 1) {
        output<<<blocks, 32, 0, stream>>>(p, fit, grid, pieces, sumDelta, ends);
        return;
      }
      first<<<blocks - static_cast<unsigned>(p.batch * grid.blocks()), 32, 0, stream>>>(p, fit, grid, pieces, sumDelta, ends);
      launchStringPieces<S>(p, grid, pieces, p.A, p.initialState, ends, sumDelta, false, stream);
      launchEarly(output, blocks, 32, 0, stream, p, fit, grid, pieces, sumDelta, ends);
    };
    if (packed && selective)
      passes(scanKernel<T, S, false, true, true>, scanKernel<T, S, true, true, true>);
    else if (selective)
      passes(scanKernel<T, S, false, true, false>, scanKernel<T, S, true, true, false>);
    else if constexpr (std::is_same_v<T, float>)
      passes(scanKernel<T, S, false, false, true>, scanKernel<T, S, true, false, true>);
    return lastError();
  });
}

}  // namespace cuda
}  // namespace tfjs_mamba
