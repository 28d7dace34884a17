// The selective scan, forward.
#include "scan.cuh"

namespace tfjs_mamba {
namespace cuda {
namespace {

template <typename T, int S>
struct Memory {
  ChannelRows<T> delta, u, z;
  StateRows<T, S> B, C;
};

// kOutput false: from a zero state to `ends` and sumDelta [slices,D]. True: from the true start to y and the states.
template <typename T, int S, bool kOutput, bool kSelective, bool kPacked>
__global__ void __launch_bounds__(32)
    scanKernel(ScanForward p, Inputs<T> in, T *y, bool fours, Grid grid, Pieces pieces, float *sumDelta, float *ends) {
  __shared__ Memory<T, S> s;
  if (kSelective) p.constantB = p.constantC = false;
  if (!kPacked) p.sequenceIds = nullptr;
  const Place at(p, grid, pieces);
  if (!kOutput && at.piece == pieces.count - 1) return;  // nothing follows
  const auto request = [&](const auto &ask) {
    ask.channels(s.delta, in.delta);
    ask.channels(s.u, in.u);
    if (kOutput && in.z) ask.channels(s.z, in.z);
    if (!p.constantB) ask.states(s.B, in.B, p.groupsB, at.groupB);
    if (kOutput && !p.constantC) ask.states(s.C, in.C, p.groupsC, at.groupC);
  };
  ask(fours, p, at, 0, at.begin, request);
  const float bias = p.deltaBias ? p.deltaBias[at.channel()] : 0.0f, D = p.D ? p.D[at.channel()] : 0.0f;
  const States<S> A2 = decays<S>(p, at);
  States<S> h, fixedB, fixedC;
  if (p.constantB) fixedB.fromMatrix(p.B, p, at);
  if (p.constantC) fixedC.fromMatrix(p.C, p, at);
  if (kOutput)
    h = startOf<S>(p.initialState, ends, p, at, grid, pieces);
  else
    h = {};

  T *to = y + (at.batch * p.length + at.begin) * p.channels + at.channel();
  float *saved = p.chunkStates + States<S>::place(at, grid, at.batch * savedStates(p.length) + at.begin / kSteps);
  float total = 0;
  bool cut = false;
  int room = 0;
  for (int64_t t0 = at.begin; t0 < at.end; t0 += kSteps, room ^= 1) {
    __syncwarp();  // all have done with the room that is to be filled
    ask(fours, p, at, room ^ 1, t0 + kSteps, request);
    __pipeline_wait_prior(1);
    __syncwarp();
    if (kOutput && p.chunkStates) h.store(saved), saved += grid.blocks() * States<S>::kTile;
    const int left = static_cast<int>(min(at.end - t0, static_cast<int64_t>(kSteps)));
    float delta[kSteps], out[kSteps];
#pragma unroll
    for (int k = 0; k < kSteps; ++k) delta[k] = s.delta.get(room, k) + bias;
    toSteps(delta, p.softplus, left);
    const unsigned starts = documentStarts(p, at, t0, left);
    cut = cut || starts != 0;
#pragma unroll
    for (int k = 0; k < kSteps; ++k) {
      if (starts >> k & 1) h = {};
      const float u = s.u.get(room, k);
      float deltas[kShare], deltaUs[kShare], rowB[S], rowC[S], sums[kShare] = {};
      spread(deltas, delta[k]);
      spread(deltaUs, delta[k] * u);
      if (!p.constantB) s.B.get(rowB, room, k);
      if (kOutput && !p.constantC) s.C.get(rowC, room, k);
      h.each([&](float &x, int j, int i) {
        x = exp2Fast(deltas[j] * A2.v[j][i]) * x + deltaUs[j] * (p.constantB ? fixedB.v[j][i] : rowB[i]);
        if (kOutput) sums[j] += x * (p.constantC ? fixedC.v[j][i] : rowC[i]);
      });
      if (kOutput) out[k] = gather(sums) + D * u;
      total += delta[k];
    }
    if (!kOutput) continue;
    if (in.z) {
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

// The number of pieces that is likely to take least, in the time of a step of one warp where its scheduler has as many
// as it holds at once: fewer do not hide each other's waiting, and what is left over after full rounds runs alone.
// Cutting costs a first pass over all but one piece, and for each piece half a step for every one before it. Fitted to
// an H200 (bench/NOTES.md).
Pieces cutTime(const ScanProblem &p, int multiprocessors, bool backward) {
  const int64_t warps = Grid(p).blocks() * p.batch, schedulers = 4 * multiprocessors, chunks = savedStates(p.length);
  const int64_t held = backward ? 2 : 3;
  constexpr double kRest[] = {0, 1.45, 2.1};
  Pieces best{1, chunks * kSteps};
  double least = 0;
  for (int64_t count = 1; count <= chunks && count <= 128; ++count) {
    const int64_t each = (chunks + count - 1) / count;
    if ((chunks + each - 1) / each != count) continue;
    const int64_t load = (warps * count + schedulers - 1) / schedulers;
    const double perStep = static_cast<double>(load - load % held) + kRest[load % held];
    const double passes = 1 + 0.7 * static_cast<double>(count - 1) / static_cast<double>(count);
    const double cost = static_cast<double>(each * kSteps) * perStep * passes + 0.5 * static_cast<double>(count);
    if (count == 1 || cost < least) least = cost, best = {count, each * kSteps};
  }
  return best;
}

// A tile of states for every block of every slice, and the sum of its steps.
size_t scanWorkspace(const ScanProblem &p, const Pieces &pieces) {
  return static_cast<size_t>(p.batch * pieces.count * (stateFloats(p) + p.channels));
}

// Tiles of whole quarters and whole blocks.
int64_t stateFloats(const ScanProblem &p) {
  int64_t each = 1;
  while (each * kShare < p.states) each *= 2;
  return Grid(p).blocks() * 32 * kShare * each;
}

const char *launchSelectiveScan(const ScanForward &p, const Pieces &pieces, float *workspace, void *streamHandle) {
  const cudaStream_t stream = static_cast<cudaStream_t>(streamHandle);
  const Grid grid(p);
  const int64_t slices = p.batch * pieces.count;
  float *ends = workspace, *sumDelta = ends + slices * stateFloats(p);
  const unsigned blocks = static_cast<unsigned>(slices * grid.blocks());
  return withStates(p.states, [&](auto size) -> const char * {
    constexpr int S = decltype(size)::value;
    const bool selective = !p.constantB && !p.constantC, packed = p.sequenceIds != nullptr;
    const auto pass = [&](auto kernel) {
      kernel<<<blocks, 32, 0, stream>>>(p, Inputs<float>(p), p.y, Inputs<float>(p).fours(p, grid), grid, pieces,
                                        sumDelta, ends);
    };
    const auto passes = [&](auto first, auto output) {
      if (pieces.count > 1) {
        pass(first);
        launchStringPieces<S>(p, grid, pieces, p.initialState, ends, sumDelta, false, stream);
      }
      pass(output);
    };
    if (!selective)
      passes(scanKernel<float, S, false, false, true>, scanKernel<float, S, true, false, true>);
    else if (packed)
      passes(scanKernel<float, S, false, true, true>, scanKernel<float, S, true, true, true>);
    else
      passes(scanKernel<float, S, false, true, false>, scanKernel<float, S, true, true, false>);
    return lastError();
  });
}

}  // namespace cuda
}  // namespace tfjs_mamba
